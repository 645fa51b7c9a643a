"""One session without I/O: what it sends, when it is ready, what it writes down; and the same findings from its rows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtests import session, trail
from loadtests.findings import Finding
from loadtests.flight import KEPT_FRAMES
from loadtests.history import UNKNOWN_TURN, End, Flag, RowKind
from loadtests.rundir import frames, read_run
from loadtests.session import TURN_ID, tag_of
from reports.replay import replay
from tests.loadtests.histories import NONCE, Bench, Talk, compiled

WHOLE = ("start", "think", "open", "close", "done")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "run")


@pytest.fixture
def old_wire(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "run", "netra")


def outspoken(folder: Path) -> str:
    """The reference contract, but that an end says no outcome and no text: so whole turns go the short way."""
    data = yaml.safe_load(compiled("reference").text)
    for part in ("outcomes", "answer", "streams"):
        del data[part]
    file = folder / "outspoken.yaml"
    file.write_text(yaml.safe_dump({**data, "name": "outspoken"}))
    return str(file)


def told(bench: Bench) -> list[str]:
    return [RowKind(row["kind"]).name for row in bench.rows()]


def same_again(bench: Bench) -> bool:
    """What the rows give is what the sessions found live."""
    bench.recorder.close()
    again = replay(read_run(bench.path)).findings

    def key(finding: Finding) -> tuple[str, int, int, int, int, int]:
        return finding.kind.name, *finding[1:]

    return sorted(map(key, again)) == sorted(map(key, bench.found))


# -- connections -------------------------------------------------------------------------------------------------------


def test_a_clean_turn_from_dial_to_goodbye(bench: Bench) -> None:
    talk = bench.session()
    assert not talk.session.ready
    talk.ready()
    assert talk.session.ready
    talk.begin()
    talk.say(*WHOLE)
    assert (talk.session.flight, talk.session.last_end, talk.kinds) == (None, End.OK, [])
    talk.close(1000, ours=True).stop()
    assert told(bench) == ["DIAL", "OPEN", "EVENT", "READY", "SEND", *["EVENT"] * 5, "END", "CLOSE", "STOP"]
    assert same_again(bench)


def test_the_message_carries_the_sessions_mark_everywhere(bench: Bench) -> None:
    sent = bench.session(26).ready().begin("what now?")
    tag = f"{NONCE}s00001a"
    assert sent == {
        "type": "user_message",
        "message_id": f"msg_{tag}t1",
        "payload": {
            "content": f"what now? [{tag}]", "thread_id": f"thread_{tag}", "run_id": f"run_{tag}t1", "timestamp": "now",
        },
    }  # fmt: skip


def test_frames_before_the_welcome_make_nothing_ready(bench: Bench) -> None:
    talk = bench.session().connect().raw({"type": "ping"})
    assert not talk.session.ready
    assert talk.welcome().session.ready


def test_a_contract_without_a_welcome_is_ready_when_open(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text('contract: 1\nname: bare\nextends: netra\nhandshake: {ready: ""}\n')
    talk = Bench(tmp_path / "run", str(path)).session().connect()
    assert talk.session.ready


def test_the_time_to_be_ready_counts_from_the_dial(bench: Bench) -> None:
    bench.session().ready()
    ready = bench.rows(RowKind.READY)[0]
    assert 0 < ready["intended"] < ready["received"]


def nodes(bench: Bench) -> list[str]:
    """What the READY rows say of who welcomed them."""
    strings = bench.read().strings
    return [strings[row["labels"]] for row in bench.rows(RowKind.READY)]


def test_the_row_of_a_welcome_says_which_node_gave_it(bench: Bench) -> None:
    talk = bench.session()
    for name in ("a", "b", None, 7, "x" * 10_000):
        data = {"stream_id": f"st_{name}"[:20], **({} if name is None else {"node": name})}
        talk.connect().raw({"type": "connection_established", "data": data})
        if talk.session.expects_answer:
            talk.answer(resumed=True, head=0)
        talk.close()
    assert nodes(bench) == ["node:a", "node:b", "", "", ""]


def test_a_contract_that_does_not_look_for_a_node_has_none(old_wire: Bench) -> None:
    old_wire.session().connect().raw({"type": "connection_established", "data": {"node": "a"}})
    assert nodes(old_wire) == [""]


@pytest.mark.parametrize(
    ("code", "how", "flags"),
    [
        (1006, {}, Flag.RESUMED),
        (1000, {"ours": True}, Flag.OURS | Flag.RESUMED),
    ],
)
def test_a_close_is_written_with_who_and_when(bench: Bench, code: int, how: dict[str, bool], flags: Flag) -> None:
    bench.session().ready().close(code, **how)
    last = bench.rows()[-1]
    assert (last["kind"], last["code"], last["flags"]) == (RowKind.CLOSE, code, flags)


def test_a_failed_dial_is_written_with_status_and_words(bench: Bench) -> None:
    talk = bench.session()
    talk.session.dial(bench.tick())
    talk.session.dial_failed(bench.tick(), 503, "upgrade: HTTP 503", fatal=False)
    bench.recorder.flush()
    data = read_run(bench.path)
    assert (data.rows["code"][-1], data.strings[data.rows["text"][-1]]) == (503, "upgrade: HTTP 503")


@pytest.mark.parametrize(
    ("code", "fatal"), [(1008, True), (401, True), (403, True), (1006, False), (1011, False), (503, False)]
)
def test_what_a_client_must_not_come_back_after(bench: Bench, code: int, fatal: bool) -> None:
    assert bench.session().session.is_fatal(code) is fatal


# -- resume ------------------------------------------------------------------------------------------------------------


def cut_in_turn(bench: Bench, *seen: str) -> Talk:
    talk = bench.session().ready()
    talk.begin()
    return talk.say(*seen).close(1001).connect()


def test_the_first_connection_asks_for_nothing(bench: Bench) -> None:
    assert bench.session().ready().session.outbox == []


def test_a_session_that_comes_back_names_its_stream_and_the_last_number(bench: Bench) -> None:
    talk = cut_in_turn(bench, "start", "think")
    first_stream, talk.stream = talk.stream, "stream_new"
    talk.welcome()
    assert not talk.session.ready
    (ask,) = (json.loads(raw) for raw in talk.session.outbox)
    assert ask == {"type": "session_restore", "payload": {"stream_id": first_stream, "last_seq": 2}}


def test_resumed_it_stays_on_its_stream_and_nothing_is_missing(bench: Bench) -> None:
    talk = cut_in_turn(bench, "start", "think")
    kept, talk.stream = talk.stream, "stream_new"
    talk.welcome()
    talk.stream = kept
    talk.answer(resumed=True).say("open", "close", "done").stop()
    assert (talk.session.stream, talk.kinds) == (kept, [])
    assert same_again(bench)


def test_lost_it_takes_the_new_stream_and_the_turns_gap_is_declared(bench: Bench) -> None:
    talk = cut_in_turn(bench, "start", "think")
    talk.stream = "stream_new"
    talk.welcome().answer(resumed=False).say("done").stop()
    assert (talk.session.stream, talk.session.last_end, talk.kinds) == ("stream_new", End.OK, [])
    assert same_again(bench)


def test_lost_and_replayed_in_part_is_dishonest(bench: Bench) -> None:
    talk = cut_in_turn(bench, "start", "think")
    old = talk.event("open")
    talk.stream = "stream_new"
    talk.welcome().answer(resumed=False).raw(old).say("done").stop()
    assert talk.kinds == ["partial-replay"]
    assert same_again(bench)


def test_continuity_claimed_over_a_gap_is_dishonest(bench: Bench) -> None:
    talk = cut_in_turn(bench, "start")
    talk.seq = 3
    talk.welcome().answer(resumed=True, head=3).say("done").stop()
    assert talk.kinds == ["claimed-over-hole"]
    assert same_again(bench)


def test_a_message_in_doubt_is_sent_again_the_same(bench: Bench) -> None:
    talk = bench.session().ready()
    sent = talk.begin()
    talk.close(1001).connect().welcome()
    talk.session.outbox.clear()
    talk.answer(resumed=True, head=0)
    assert [json.loads(raw) for raw in talk.session.outbox] == [sent]
    assert told(bench)[-1] == "RESEND"


def test_a_message_that_was_answered_is_not_sent_again(bench: Bench) -> None:
    talk = cut_in_turn(bench, "start").welcome()
    talk.session.outbox.clear()
    assert talk.answer(resumed=True).session.outbox == []


def test_nothing_is_sent_again_where_the_contract_does_not_allow_it(old_wire: Bench) -> None:
    talk = old_wire.session().ready()
    talk.begin()
    talk.close(1001).ready()
    assert (talk.session.ready, talk.session.outbox) == (True, [])


def test_an_answer_that_was_not_asked_for_changes_nothing(bench: Bench) -> None:
    talk = bench.session().ready().answer(resumed=False)
    assert (talk.session.stream, told(bench).count("CLAIM")) == (talk.stream, 0)


@pytest.mark.parametrize("head", [None, True, "7", 1.5, [1]])
def test_a_head_that_is_no_number_is_no_head(bench: Bench, head: object) -> None:
    talk = cut_in_turn(bench, "start").welcome()
    talk.raw({"type": "session_restored", "data": {"resumed": True, "last_seq": head}})
    claim = bench.rows(RowKind.CLAIM)[0]
    assert (claim["cursor"], claim["flags"]) == (-1, Flag.RESUMED)


# -- turns -------------------------------------------------------------------------------------------------------------


def test_a_turn_cut_by_the_end_of_the_run_is_censored(bench: Bench) -> None:
    talk = bench.session().ready()
    talk.begin()
    talk.say("start").stop()
    end = bench.rows(RowKind.END)[0]
    assert (end["code"], talk.kinds) == (End.CUT_BY_STOP, [])


def test_a_turn_that_is_given_up_was_never_ended(bench: Bench) -> None:
    talk = bench.session().ready()
    talk.begin()
    talk.say("start").session.give_up(bench.tick(), End.TIMEOUT)
    talk.stop()
    assert talk.kinds == ["never-ended"]
    assert same_again(bench)


def test_an_abandoned_turn_is_neither_good_nor_bad(tmp_path: Path) -> None:
    path = tmp_path / "abandons.yaml"
    path.write_text("contract: 1\nname: abandons\nextends: netra\nturn: {interrupted: abandoned}\n")
    bench = Bench(tmp_path / "run", str(path))
    talk = bench.session().ready()
    talk.begin()
    talk.say("start").close(1001).stop()
    assert (talk.session.last_end, talk.kinds) == (End.ABANDONED, [])
    assert same_again(bench)


def test_a_failed_turn_ends_as_failed(bench: Bench) -> None:
    talk = bench.session().ready()
    talk.begin()
    talk.say("start", "fail")
    assert (talk.session.last_end, talk.session.flight, talk.kinds) == (End.FAILED, None, [])


def test_the_deadline_counts_from_the_actual_send(bench: Bench) -> None:
    talk = bench.session().ready()
    assert talk.session.deadline_ns() == 0
    talk.session.begin(1, "late", 5_000_000_000)
    assert talk.session.deadline_ns() == 5_000_000_000 + bench.contract.file.turn.deadline_ms * 1_000_000


def test_latency_counts_from_the_intended_send(bench: Bench) -> None:
    talk = bench.session().ready()
    talk.session.begin(7_000, "late", 9_000)
    talk.say("start")
    last = bench.rows()[-1]
    assert (last["intended"], last["sent"]) == (7_000, 9_000)


def test_a_dropped_turn_is_written_with_its_reason(bench: Bench) -> None:
    bench.session().session.dropped(5, 9, "not connected")
    bench.recorder.flush()
    data = read_run(bench.path)
    (row,) = data.rows
    assert (row["kind"], row["intended"], data.strings[row["text"]]) == (RowKind.DROP, 5, "not connected")


def test_a_frame_without_a_turn_belongs_to_the_one_in_flight(old_wire: Bench) -> None:
    talk = old_wire.session().ready()
    talk.begin()
    talk.say(*WHOLE, run_id=None).stop()
    assert (talk.session.last_end, talk.kinds) == (End.OK, [])
    events = old_wire.rows(RowKind.EVENT)[1:]
    assert all(row["flags"] & Flag.ASSUMED_TURN and row["turn"] == 1 for row in events)


# -- whose frame is it -------------------------------------------------------------------------------------------------


def test_another_sessions_turn_is_a_leak(bench: Bench) -> None:
    talk = bench.session(1).ready()
    talk.begin()
    talk.say("content", run_id=f"run_{tag_of(NONCE, 2)}t1")
    (found,) = bench.found
    assert (found.kind.name, found.detail) == ("foreign", 2)


@pytest.mark.parametrize("field", ["reasoning", "results", "event_id", "unheard_of"])
def test_another_sessions_mark_anywhere_in_our_own_event_is_a_leak(bench: Bench, field: str) -> None:
    talk = bench.session(1).ready()
    talk.begin()
    talk.say("start").say("think", **{field: f"… [{tag_of(NONCE, 7)}] …"}).say("open", "close", "done").stop()
    assert talk.kinds == ["foreign"]
    assert next(row["foreign"] for row in bench.rows() if row["foreign"] >= 0) == 7
    assert same_again(bench)


def test_our_own_mark_however_often_is_no_leak(bench: Bench) -> None:
    talk = bench.session(1).ready()
    talk.begin()
    talk.say("start").say("think", reasoning=f"{talk.tag} {talk.tag} said {talk.tag}")
    assert talk.kinds == []


@pytest.mark.parametrize("leaky", ["think", "close", "done", ""])
def test_frames_that_come_together_are_judged_each_as_if_it_had_come_alone(bench: Bench, leaky: str) -> None:
    """Turns on a way that is known by then; in one of them another session's mark stands in one frame, or nowhere."""
    for number in (1, 2):
        talk = bench.session(number).ready()
        for turn in range(3):
            talk.begin()
            frames = []
            for role in WHOLE:
                changes = {"more": f"[{tag_of(NONCE, 7)}]"} if role == leaky and turn == 2 else {}
                frames.append(json.dumps(talk.event(role, **changes)).encode())
            if number == 1:
                for frame in frames:
                    talk.raw(frame)
            else:
                talk.session.frames(frames, bench.tick(), b"\x81\x7e  ".join(frames))
        talk.stop()
    alone, together = ([found.kind.name for found in bench.found if found.session == number] for number in (1, 2))
    assert alone == together == (["foreign"] if leaky else [])
    columns = ("event", "flags", "turn", "agent", "tool", "execution", "foreign", "code", "size", "cursor")
    events = bench.rows(RowKind.EVENT)
    ours, theirs = ([[row[c] for c in columns] for row in events if row["session"] == number] for number in (1, 2))
    assert ours == theirs


@pytest.mark.parametrize(
    ("run_id", "turn", "kinds"),
    [
        ("run_of_nobody", UNKNOWN_TURN, ["unknown-turn"]),
        (f"run_{tag_of(NONCE, 1)}t2", UNKNOWN_TURN, ["unknown-turn"]),
        (f"run_{tag_of(NONCE, 1)}t0", UNKNOWN_TURN, ["unknown-turn"]),
        (f"run_{tag_of(NONCE, 1)}t{'9' * 5000}", UNKNOWN_TURN, ["unknown-turn"]),
        (f"run_{tag_of('gxffffffff', 1)}t1", UNKNOWN_TURN, []),
    ],
)  # fmt: skip
def test_turns_that_this_session_never_began(bench: Bench, run_id: str, turn: int, kinds: list[str]) -> None:
    talk = bench.session(1).ready()
    talk.begin()
    talk.say("start", "think").say("content", run_id=run_id)
    assert (bench.rows()[-1]["turn"], talk.kinds) == (turn, kinds)


def test_a_late_event_of_an_own_turn_is_after_its_end(bench: Bench) -> None:
    talk = bench.session(1).ready()
    talk.begin()
    talk.say(*WHOLE)
    talk.begin()
    talk.say("think", run_id=f"run_{talk.tag}t1").say(*WHOLE).stop()
    assert talk.kinds == ["after-end"]
    assert same_again(bench)


def test_the_form_of_our_turn_ids_is_the_one_that_is_recognised() -> None:
    found = TURN_ID.match(f"run_{tag_of(NONCE, 0xFFFFFF)}t12")
    assert found
    assert found.groups() == (NONCE, "ffffff", "12")


# -- bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"\xff\xfe", b'{"type":', b"\x00", b"[" * 100_000, b'{"type":"\xff"}', b'{"a":' * 50_000]
)
def test_bytes_that_are_no_json_are_one_finding_and_no_exception(bench: Bench, raw: bytes) -> None:
    talk = bench.session().ready().raw(raw)
    assert talk.kinds == ["not-json"]


@pytest.mark.parametrize("raw", [b"null", b"[]", b"1e999", b'"text"', b"{}", b'{"type":1}', b'{"type":null}'])
def test_json_that_says_not_what_it_is(bench: Bench, raw: bytes) -> None:
    assert bench.session().ready().raw(raw).kinds == ["no-type"]


@pytest.mark.parametrize("pad", ["", " ", "\n\t"])
def test_a_binary_frame_is_no_event_whatever_is_in_it(bench: Bench, pad: str) -> None:
    talk = bench.session().ready()
    talk.begin()
    talk.session.binary((pad + json.dumps(talk.event("start"))).encode(), bench.tick())
    assert talk.kinds == ["not-json"]


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_the_frames_of_a_turn_with_a_finding_are_kept_from_its_message_on(bench: Bench) -> None:
    talk = bench.session().ready()
    talk.begin("why?")
    talk.say("think", "start", "open", "close", "done")
    bench.recorder.close()
    kept = list(frames(bench.path))
    assert [frame["direction"] for frame in kept] == ["out", *["in"] * 5]
    assert "why?" in kept[0]["text"]
    assert {frame["turn"] for frame in kept} == {1}


def test_the_frames_of_an_ordinary_turn_are_not_kept(bench: Bench) -> None:
    talk = bench.session(2).ready()
    talk.begin()
    talk.say(*WHOLE)
    bench.recorder.close()
    assert list(frames(bench.path)) == []


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ({"usage": {"input_tokens": 12, "output_tokens": 345}}, (12, 345)),
        ({"usage": {"input_tokens": 12}}, (12, 0)),
        ({"usage": {"input_tokens": True, "output_tokens": -1}}, (0, 0)),
        ({"usage": [12]}, (0, 0)),
        ({}, (0, 0)),
    ],
)
def test_a_turn_s_last_frame_tells_how_many_tokens_it_took(
    bench: Bench, said: dict[str, object], tokens: tuple[int, int]
) -> None:
    talk = bench.session().ready()
    for number in range(3):  # the short way is learned
        talk.begin()
        talk.say(*WHOLE[:-1]).say("done", **(said if number else {"usage": {"input_tokens": 1}}))
    talk.begin()
    talk.stop()
    ends = [row for row in bench.rows() if row["kind"] == RowKind.END]
    assert [(int(row["cursor"]), int(row["key"])) for row in ends] == [(1, 0), tokens, tokens, (-1, 0)]


def test_a_long_last_frame_is_read_whole(bench: Bench) -> None:
    talk = bench.session().ready()
    talk.begin()
    talk.say(*WHOLE[:-1]).say("done", padding="x" * 20_000, usage={"output_tokens": 5})
    (end,) = [row for row in bench.rows() if row["kind"] == RowKind.END]
    assert (int(end["cursor"]), int(end["key"])) == (0, 5)


def test_no_token_reaches_a_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run", secret=re.compile(r"hush-gauntlet-\d+"))
    talk = bench.session().ready()
    talk.begin("my token is hush-gauntlet-1")
    talk.say("think", reasoning="hush-gauntlet-1", agent_name="hush-gauntlet-1")
    talk.raw({"type": "hush-gauntlet-2"}).say("start", "open", "close", "done").close(1011)
    talk.session.dial_failed(bench.tick(), 401, "refused hush-gauntlet-3")
    talk.stop()
    bench.recorder.close()
    written = b"".join(path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file())
    assert b"[redacted]" in written
    assert b"hush" not in written


# -- live and offline are the same code --------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 2]),
        st.one_of(
            st.sampled_from(
                ["connect", "welcome", "begin", "whole", "repeat", "skip", "swap", "cut", "bye", "kept", "lost", "give up",
                 "garbage", "legacy", "phantom", "leak", "late", "new stream", "recovered", "unnamed"]
            ),
            st.sampled_from(["start", "think", "open", "close", "done", "fail", "content", "other"]),
        ),
    ),
    max_size=60,
)  # fmt: skip


def act(talk: Talk, step: str) -> None:
    session = talk.session
    match step:
        case "connect":
            if not session.open:
                talk.connect()
        case "welcome":
            talk.welcome()
        case "begin":
            if session.ready and session.flight is None:
                talk.begin()
        case "whole":
            if session.ready and session.flight is None:
                talk.begin()
                talk.say(*WHOLE)
        case "repeat":
            talk.raw(talk.event("content", seq=max(1, talk.seq - 1), event_id="again"))
        case "skip":
            talk.event("content")
        case "swap":
            first, second = talk.event("think"), talk.event("open")
            talk.raw(second).raw(first)
        case "cut" | "bye":
            if session.open:
                talk.close(1006 if step == "cut" else 1000, ours=step == "bye")
        case "kept" | "lost":
            talk.answer(resumed=step == "kept", head=talk.seq)
        case "give up":
            session.give_up(talk.bench.tick(), End.TIMEOUT)
        case "garbage":
            talk.raw(b"\xff{")
        case "legacy":
            talk.raw({"type": "chat_message"})
        case "phantom":
            talk.say("content", run_id="run_x")
        case "leak":
            talk.say("think", reasoning=tag_of(NONCE, 3 - talk.number))
        case "late":
            talk.say("think", run_id=f"run_{talk.tag}t1")
        case "new stream":
            talk.stream = f"stream_{talk.number}_{talk.seq}"
        case "recovered":
            talk.raw({**talk.event("close"), "recovered": True})
        case "unnamed":
            talk.say("think", run_id=None, seq=None)
        case _:
            talk.say(step)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(STEPS, st.sampled_from(["reference", "netra"]), st.booleans())
def test_the_rows_of_any_sessions_give_the_findings_that_they_had_live(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], name: str, stop: bool
) -> None:
    bench = Bench(tmp_path_factory.mktemp("walk") / "run", name)
    talks = {number: bench.session(number) for number in (1, 2)}
    for number, step in steps:
        act(talks[number], step)
    if stop:
        for talk in talks.values():
            talk.stop()
    assert same_again(bench)


def written(folder: Path, name: str, steps: list[tuple[int, str]]) -> tuple[bytes, bytes, list[Finding], int]:
    """What two sessions leave behind that have had a few turns before, each of them like the other's."""
    bench = Bench(folder, name)
    talks = {number: bench.session(number).ready() for number in (1, 2)}
    for talk in talks.values():
        for _ in range(6):
            act(talk, "whole")
    for number, step in steps:
        act(talks[number], step)
    bench.recorder.close()
    rows, kept = ((folder / "rows" / f"worker-0.{end}").read_bytes() for end in ("bin", "frames"))
    return rows, kept, bench.found, bench.recorder.frames_received


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=STEPS, outcomes=st.booleans())
def test_the_way_of_ordinary_frames_writes_what_the_long_way_writes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], outcomes: bool
) -> None:
    folder = tmp_path_factory.mktemp("ways")
    name = "reference" if outcomes else outspoken(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trail, "MOST_NODES", 0)
        patch.setattr(session, "MOST_MET", 0)
        expected = written(folder / "long", name, steps)
    assert written(folder / "short", name, steps) == expected


@pytest.mark.parametrize("outcomes", [True, False])
def test_ordinary_frames_are_judged_on_the_short_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: bool
) -> None:
    """Remove it and this fails."""
    bench = Bench(tmp_path / "run", "reference" if outcomes else outspoken(tmp_path))
    talk = bench.session().ready()
    for _ in range(3):
        act(talk, "whole")
    monkeypatch.setattr(session.Session, "_judge", lambda *_: pytest.fail("the long way"))
    talk.begin()
    talk.say("start", "think", "open", "close")
    if not outcomes:
        talk.say("done")
        assert (talk.session.flight, talk.session.last_end, bench.found) == (None, End.OK, [])


def test_a_turn_off_the_way_remembers_no_executions(bench: Bench) -> None:
    talk = bench.session().ready()
    for _ in range(3):
        act(talk, "whole")
    talk.begin()
    talk.say("start", "think")
    talk.say(*["think"] * 40, execution_id="e0")
    assert talk.session.flight is not None
    before = dict(talk.session.flight.turn.executions or {})
    for name in range(100):
        talk.say("think", execution_id=f"x{name}")
    assert talk.session.flight.turn.executions == (before or None)


def test_frames_that_are_kept_are_no_more_on_the_short_way(bench: Bench) -> None:
    talk = bench.session().ready()
    for _ in range(3):
        act(talk, "whole")
    talk.begin()
    talk.say("start")
    for _ in range(KEPT_FRAMES + 8):
        talk.raw({"type": "chat_message", "run_id": f"run_{talk.tag}t{talk.session.turns}"})
    talk.say("think")
    flight = talk.session.flight
    assert flight is not None
    assert len(flight.frames) == KEPT_FRAMES
    assert flight.tail is not None
    assert b"agent_thinking" in flight.tail[-1][2]


@pytest.mark.parametrize("long", [256, 257, 511, 600])
def test_a_name_that_is_too_long_has_the_same_number_each_time(bench: Bench, long: int) -> None:
    talk = bench.session().ready()
    for _ in range(3):
        talk.begin()
        talk.say("start", "think", "open", "close", "done", tool_name="t" * long)
    (number,) = {row["tool"] for row in bench.rows(RowKind.EVENT) if row["tool"]}
    assert bench.read().strings[number] == "t" * min(long, 256)


def test_a_number_beyond_all_is_none_on_either_way(bench: Bench) -> None:
    talk = bench.session().ready()
    for _ in range(3):
        act(talk, "whole")
    talk.begin()
    talk.seq = (1 << 62) - 3
    talk.say("start", "think", "open", "close")
    assert [row["cursor"] for row in bench.rows(RowKind.EVENT)][-3:] == [(1 << 62) - 1, -1, -1]


def test_an_absurd_head_is_no_head(bench: Bench) -> None:
    talk = cut_in_turn(bench, "start")
    talk.ready().answer(resumed=True, head=1 << 70)
    assert [row["cursor"] for row in bench.rows(RowKind.CLAIM)] == [-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([1, 2, 3]), max_size=90), st.sampled_from(["reference", "netra"]))
def test_sessions_that_talk_at_once_do_not_disturb_each_other(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], name: str
) -> None:
    bench = Bench(tmp_path_factory.mktemp("talk") / "run", name)
    talks = {number: bench.session(number).ready() for number in (1, 2, 3)}
    at = dict.fromkeys(talks, 0)
    for number in order:
        talk, place = talks[number], at[number]
        if place % 6 == 0:
            talk.begin()
        else:
            talk.say(WHOLE[place % 6 - 1])
        at[number] += 1
    for talk in talks.values():
        talk.stop()
    assert bench.found == []
    assert same_again(bench)
