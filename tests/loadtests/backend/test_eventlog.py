"""The log numbers without holes, answers a resume honestly, executes a message id once; in memory and on disk alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.backend.database import SqliteStorage
from loadtests.backend.eventlog import EventLog, MemoryStorage, Storage, Turn


def turn(message: str = "m1", *, stream: str = "st_1", user: str = "ann", thread: str = "t1") -> Turn:
    return Turn(owner=stream, stream=stream, user=user, thread=thread, run=f"run_{message}", message=message)


def fill(log: EventLog, count: int, **of: str) -> None:
    one = turn(**of)
    for _ in range(count):
        log.append(one, "kind", 1.0, lambda seq: f"frame {seq}".encode())


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "memory":
        yield MemoryStorage()
        return
    database = SqliteStorage(tmp_path / "log.db")
    yield database
    database.close()


@pytest.fixture
def log(storage: Storage) -> EventLog:
    log = EventLog(storage)
    log.open("st_1", "ann")
    return log


def test_numbers_start_at_one_and_have_no_holes(log: EventLog) -> None:
    fill(log, 5)
    claim = log.claim("st_1", "ann", 0)
    assert [entry.seq for entry in claim.missed] == [1, 2, 3, 4, 5]
    assert [entry.frame for entry in claim.missed][:2] == [b"frame 1", b"frame 2"]
    assert log.head("st_1") == 5


def test_a_resume_gets_exactly_what_it_missed(log: EventLog) -> None:
    fill(log, 5)
    claim = log.claim("st_1", "ann", 3)
    assert (claim.resumed, claim.head, [e.seq for e in claim.missed]) == (True, 5, [4, 5])
    assert claim.last_had is not None
    assert claim.last_had.seq == 3


def test_a_resume_that_missed_nothing_is_granted_too(log: EventLog) -> None:
    assert (log.claim("st_1", "ann", 0).resumed, log.claim("st_1", "ann", 0).last_had) == (True, None)
    fill(log, 2)
    assert (log.claim("st_1", "ann", 2).resumed, log.claim("st_1", "ann", 2).missed) == (True, ())


def test_what_nobody_can_promise_is_refused_with_a_reason(log: EventLog) -> None:
    fill(log, 2)
    for stream, user, after in (("st_other", "ann", 0), ("st_1", "bob", 0), ("st_1", "anon_1", 0), ("st_1", "ann", 3)):
        claim = log.claim(stream, user, after)
        assert (claim.resumed, claim.missed, bool(claim.reason)) == (False, (), True)


def test_among_clients_without_credentials_the_streams_name_is_enough(log: EventLog) -> None:
    log.open("st_2", "anon_1")
    assert log.claim("st_2", "anon_2", 0).user == "anon_1"
    assert not log.claim("st_2", "ann", 0).resumed


def test_trimmed_events_are_not_claimed(storage: Storage) -> None:
    log = EventLog(storage, keep_events=300)
    log.open("st_1", "ann")
    fill(log, 600)
    assert log.claim("st_1", "ann", 0).reason == "events were trimmed"
    whole = log.claim("st_1", "ann", 500)
    assert (whole.resumed, [e.seq for e in whole.missed]) == (True, list(range(501, 601)))


def test_a_message_id_is_executed_once_per_owner(log: EventLog) -> None:
    assert log.begin(turn("m1"))
    assert not log.begin(turn("m1"))
    log.end(turn("m1"))
    assert not log.begin(turn("m1"))
    assert log.begin(turn("m2"))


def test_the_next_process_knows_streams_numbers_and_turns(storage: Storage, log: EventLog) -> None:
    log.begin(turn("m1"))
    log.begin(turn("m2"))
    log.end(turn("m2"))
    fill(log, 3)
    after = EventLog(storage)
    assert [t.message for t in after.unended()] == ["m1"]
    assert not after.begin(turn("m2"))
    assert after.head("st_1") == 3
    assert [e.seq for e in after.claim("st_1", "ann", 1).missed] == [2, 3]


def test_a_thread_is_rebuilt_over_streams_and_only_for_its_user(log: EventLog) -> None:
    log.open("st_2", "ann")
    log.open("st_3", "bob")
    fill(log, 2)
    fill(log, 1, stream="st_2")
    fill(log, 1, stream="st_2", thread="t2")
    fill(log, 1, stream="st_3", user="bob")
    assert [(e.stream, e.seq) for e in log.history("ann", "t1")] == [("st_1", 1), ("st_1", 2), ("st_2", 1)]
    assert [e.stream for e in log.history("bob", "t1")] == ["st_3"]
    assert log.history("eve", "t1") == []


def test_a_forgotten_stream_that_was_used_is_still_stored(log: EventLog) -> None:
    fill(log, 2)
    log.open("st_2", "ann")
    log.forget("st_1")
    log.forget("st_2")
    assert log.claim("st_1", "ann", 0).head == 2
    assert not log.claim("st_2", "ann", 0).resumed


def test_the_words_of_a_thread_are_remembered_in_order_up_to_a_number_and_a_length(log: EventLog) -> None:
    for n in range(30):
        assert log.begin(turn(f"m{n}"), f"word {n} " + "x" * 1000)
    log.begin(turn("other", thread="t2"), "elsewhere")
    words = log.words("st_1", "t1")
    assert [text.split()[1] for text in words] == [str(n) for n in range(10, 30)]
    assert max(map(len, words)) == 500
    assert log.words("st_1", "t2") == ("elsewhere",)
    assert log.words("st_2", "t1") == ()


def test_a_message_is_known_once_it_was_begun(log: EventLog) -> None:
    assert not log.knows(turn())
    log.begin(turn())
    assert log.knows(turn())
    log.end(turn())
    assert log.knows(turn())


def test_the_whole_stream_is_read_where_it_is_asked_for(log: EventLog) -> None:
    fill(log, 5)
    assert [e.seq for e in log.claim("st_1", "ann", 3).had] == [3]
    claim = log.claim("st_1", "ann", 3, whole=True)
    assert ([e.seq for e in claim.had], [e.seq for e in claim.missed]) == ([1, 2, 3], [4, 5])
    assert claim.last_had == claim.had[-1]


def test_a_rewound_stream_goes_on_from_there(log: EventLog) -> None:
    fill(log, 5)
    log.rewind("st_1", 3)
    assert log.head("st_1") == 3
    fill(log, 1)
    assert [e.seq for e in log.claim("st_1", "ann", 0).missed] == [1, 2, 3, 4]
