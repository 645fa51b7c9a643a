"""What sessions read in content: chunks against the whole, outcomes, answers, versions; as rows and as findings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.content import END_OF
from loadtests.contract.decoder import UNNUMBERED_CHUNK
from loadtests.history import OUTCOMES, End, Flag, RowKind
from loadtests.prompts import Expect, Expectation
from loadtests.session import tag_of
from tests.loadtests.histories import NONCE, Bench, Talk

BUSY = str(Path(__file__).with_name("busy.yaml"))
BEFORE = ("start", "think", "open", "close")


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Bench(tmp_path / "run", BUSY).session().ready()


def chunks(talk: Talk, *texts: str, first: int = 0) -> Talk:
    for number, text in enumerate(texts, start=first):
        talk.say("content", content=text, chunk_index=number)
    return talk


def test_outcomes_and_ends_agree() -> None:
    assert [end.name.lower() for end in END_OF] == list(OUTCOMES)


def test_chunks_are_numbered_in_rows_and_their_whole_is_what_was_said(talk: Talk) -> None:
    talk.begin()
    chunks(talk.say(*BEFORE), "he", "llo").say("done", final_response="hello", status="completed")
    assert (talk.kinds, talk.session.last_end) == ([], End.OK)
    content = talk.bench.contract.by_name[talk.bench.contract.name_of("content")].index
    assert [row["code"] for row in talk.bench.rows(RowKind.EVENT) if row["event"] == content] == [1, 2]


def test_a_whole_that_differs_is_told(talk: Talk) -> None:
    talk.begin()
    chunks(talk.say(*BEFORE), "he", "llo").say("done", final_response="hell", status="completed")
    assert talk.kinds == ["text-differs"]
    assert talk.bench.rows(RowKind.EVENT)[-1]["flags"] & Flag.TEXT_DIFFERS


def test_chunks_go_on_over_a_resume(talk: Talk) -> None:
    talk.begin()
    chunks(talk.say(*BEFORE), "he").close(1001).connect().welcome().answer(resumed=True)
    chunks(talk, "llo", first=1).say("done", final_response="hello", status="completed")
    assert talk.kinds == []


def test_a_turn_that_streams_nothing_has_no_text_to_compare(talk: Talk) -> None:
    talk.begin()
    talk.say(*BEFORE, "done", final_response="hello", status="completed")
    assert talk.kinds == []


@pytest.mark.parametrize(
    ("status", "end"),
    [("completed", End.OK), ("partial", End.DEGRADED), ("refused", End.REFUSED), ("throttled", End.THROTTLED)],
)
def test_a_turn_ends_as_its_backend_says(talk: Talk, status: str, end: End) -> None:
    talk.begin()
    talk.say(*BEFORE, "done", status=status, final_response="x")
    assert (talk.session.last_end, talk.kinds) == (end, [])
    assert talk.bench.rows(RowKind.END)[-1]["code"] == end


def test_a_refusal_need_not_have_thought(talk: Talk) -> None:
    talk.begin()
    talk.say("start", "done", status="refused", final_response="no")
    assert (talk.session.last_end, talk.kinds) == (End.REFUSED, [])


@pytest.mark.parametrize(("answer", "found"), [("the word is abc", []), ("what word?", ["poor-answer"])])
def test_an_answer_is_held_to_its_expectation(talk: Talk, answer: str, found: list[str]) -> None:
    session = talk.session
    session.begin(talk.bench.tick(), "?", talk.bench.tick(), Expectation(Expect(recalls=True), "abc"))
    session.outbox.clear()
    talk.say(*BEFORE, "done", status="completed", final_response=answer)
    assert talk.kinds == found


def test_a_nested_agents_end_answers_for_nobody_else(talk: Talk) -> None:
    session = talk.session
    session.begin(talk.bench.tick(), "?", talk.bench.tick(), Expectation(Expect(min_chars=3), ""))
    talk.say("start", "think").say("start", "done", agent_name="analyst").say("open", "close")
    talk.say("done", status="completed", final_response="long enough")
    assert talk.kinds == []


@pytest.mark.parametrize(("version", "found"), [("2", []), ("1", ["version-deprecated"]), ("3", ["version-unknown"])])
def test_old_and_new_versions_may_be_mixed_and_others_not(talk: Talk, version: str, found: list[str]) -> None:
    talk.begin()
    talk.say("start", event_version="2").say("think", event_version=version).say("open", "close", event_version="2")
    talk.say("done", status="completed", event_version="2")
    assert talk.kinds == found
    strings = talk.bench.read().strings
    labels = {strings[row["labels"]] for row in talk.bench.rows(RowKind.EVENT) if row["labels"]}
    assert labels == {"version:2", f"version:{version}"}


def test_a_cancel_names_its_turn_and_the_end_is_a_cancelled_one(talk: Talk) -> None:
    talk.begin()
    talk.say("start", "think")
    talk.session.cancel(talk.bench.tick())
    talk.session.cancel(talk.bench.tick())
    assert [json.loads(one) for one in talk.session.outbox] == [
        {"type": "stop_agent", "payload": {"run_id": f"run_{talk.tag}t1"}}
    ]
    stopped = talk.event("done")
    talk.raw({**stopped, "type": "agent_stopped"})
    assert (talk.session.last_end, talk.kinds) == (End.CANCELLED, [])
    assert len(talk.bench.rows(RowKind.CANCEL)) == 1


def test_two_turns_in_flight_are_told_apart(talk: Talk) -> None:
    talk.begin()
    first = [talk.event(role) for role in ("start", "think")]
    for frame in first:
        talk.raw(frame)
    talk.begin("and?")
    assert list(talk.session.flights) == [1, 2]
    for role in ("open", "close", "done"):
        talk.raw({**talk.event(role), "run_id": f"run_{talk.tag}t1", "status": "completed"})
    assert list(talk.session.flights) == [2]
    talk.say("start", "think", "open", "close", "done", status="completed")
    assert (talk.session.flight, talk.kinds) == (None, [])
    assert [row["turn"] for row in talk.bench.rows(RowKind.END)] == [1, 2]


def test_a_turn_stopped_without_being_asked_to_has_failed(talk: Talk) -> None:
    talk.begin()
    talk.say("start", "think").raw({**talk.event("done"), "type": "agent_stopped"})
    assert talk.session.last_end is End.FAILED


def test_an_outcome_that_the_contract_does_not_list_is_told(talk: Talk) -> None:
    talk.begin()
    talk.say(*BEFORE, "done", status="exploded")
    assert talk.kinds == ["undeclared-outcome"]


def test_an_outcome_that_is_not_said_is_the_roles(talk: Talk) -> None:
    talk.begin()
    talk.say(*BEFORE, "done")
    assert (talk.kinds, talk.session.last_end) == ([], End.OK)


@pytest.mark.parametrize(("mode", "end"), [("queue", End.FAILED), ("reject", End.REJECTED)])
def test_to_be_turned_away_is_right_only_where_it_is_promised_and_another_turn_runs(
    tmp_path: Path, mode: str, end: End
) -> None:
    path = tmp_path / "mode.yaml"
    path.write_text(f"contract: 1\nname: mode\nextends: reference\nturn: {{concurrent: {mode}}}\n")
    talk = Bench(tmp_path / "run", str(path)).session().ready()
    talk.begin()
    talk.say("start")
    talk.begin("and?")
    talk.raw({**talk.event("fail"), "type": "message_rejected"})
    assert talk.session.last_end is end
    talk.raw({**talk.event("done"), "run_id": f"run_{talk.tag}t1"})
    talk.begin("alone")
    talk.raw({**talk.event("fail"), "type": "message_rejected"})
    assert talk.session.last_end is End.FAILED


def test_a_turn_that_hangs_does_not_take_a_healthy_one_with_it(talk: Talk) -> None:
    talk.begin()
    talk.begin("and?")
    talk.session.give_up(talk.bench.tick(), End.TIMEOUT, 1)
    assert list(talk.session.flights) == [2]


def test_a_chunk_without_the_number_that_it_must_have_is_told_and_nothing_else_is(talk: Talk) -> None:
    talk.begin()
    chunks(talk.say(*BEFORE), "h").say("content", content="e").say("content", content="l", chunk_index="two")
    chunks(talk, "lo", first=3).say("done", final_response="hello", status="completed")
    assert talk.kinds == ["field-missing", "field-missing"]
    content = talk.bench.contract.by_name[talk.bench.contract.name_of("content")].index
    assert {row["schema"] for row in talk.bench.rows(RowKind.EVENT) if row["event"] == content} == {0, UNNUMBERED_CHUNK}


def test_a_chunk_without_a_number_is_taken_for_the_one_after_the_highest(talk: Talk) -> None:
    talk.begin()
    chunks(chunks(talk.say(*BEFORE), "h"), "l", first=2).say("content", content="l")
    chunks(talk, "o", first=4).say("done", final_response="hello", status="completed")
    assert talk.kinds == ["chunk-missing", "field-missing"]
    content = talk.bench.contract.by_name[talk.bench.contract.name_of("content")].index
    assert [row["code"] for row in talk.bench.rows(RowKind.EVENT) if row["event"] == content] == [1, 3, 4, 5]


KEYED = "contract: 1\nname: keyed\nextends: netra\nfields: {event_id: [event_id]}\n"
CURSED = "contract: 1\nname: cursed\nextends: busy\n"
STREAM = "streams:\n  - {event: partial_result, text: content, final: {event: agent_completed, text: final_response}}\n"


@pytest.fixture(params=[KEYED, CURSED], ids=["by-id", "by-number"])
def unnumbered(tmp_path: Path, request: pytest.FixtureRequest) -> Talk:
    """A talk whose chunks have no number of their own, but are events with an id, or with a number in the session's stream."""
    path = tmp_path / "own.yaml"
    (tmp_path / "busy").write_text(Path(BUSY).read_text())
    path.write_text(request.param + STREAM)
    return Bench(tmp_path / "run", str(path)).session().ready()


def test_a_chunk_without_a_number_that_comes_twice_is_one_finding(unnumbered: Talk) -> None:
    talk = unnumbered
    talk.begin()
    again = talk.say(*BEFORE, "content", content="he").event("content", content="l")
    talk.raw(again).raw(again).say("content", content="lo").say("done", final_response="hello", status="completed")
    assert talk.kinds == ["redelivered"]


@pytest.mark.parametrize("unnumbered", [CURSED], indirect=True)
def test_chunks_without_a_number_are_put_together_by_that_of_their_event(unnumbered: Talk) -> None:
    talk = unnumbered
    talk.begin()
    talk.say(*BEFORE)
    first, second = (talk.event("content", content=text) for text in ("hel", "lo"))
    talk.raw(second).raw(first).say("done", final_response="hello", status="completed")
    assert talk.kinds == ["went-back"]


def test_an_event_may_say_of_the_end_that_follows_that_it_is_a_failure(tmp_path: Path) -> None:
    """As in GraphQL: errors come first, and the operation completes all the same."""
    talk = Bench(tmp_path / "run", "graphql-transport-ws").session()
    talk.connect().raw({"type": "connection_ack"})
    for raises, end in ((True, End.FAILED), (False, End.OK)):
        turn = talk.begin()["id"]
        names = ("RunStarted", "Thought", "ToolCalled", "ToolReturned")
        names = names[:3] if raises else (*names, "TextDelta", "Answer")
        common = {"agent": "a", "reasoning": "hm", "callId": turn, "tool": "t", "output": "o", "index": 0, "text": "x"}
        for name in names:
            chat = {"__typename": name, "eventId": f"{turn}{name}", **common}
            talk.raw({"id": turn, "type": "next", "payload": {"data": {"chat": chat}}})
        if raises:
            talk.raw({"id": turn, "type": "next", "payload": {"data": None, "errors": [{"message": "gone"}]}})
        talk.raw({"id": turn, "type": "complete"})
        assert (talk.session.last_end, talk.kinds) == (end, [])


def test_what_was_said_of_the_end_to_come_is_not_said_of_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("contract: 1\nname: own\nextends: graphql-transport-ws\noutcomes: {events: {next: refused}}\n")
    talk = Bench(tmp_path / "run", str(path)).session()
    talk.connect().raw({"type": "connection_ack"})
    for last, end in (("complete", End.REFUSED), ("error", End.FAILED)):
        turn = talk.begin()["id"]
        talk.raw({"id": turn, "type": "next", "payload": {"data": None}}).raw({"id": turn, "type": last})
        assert talk.session.last_end == end


ELSE = tag_of(NONCE, 7)


def pieces(text: str, chars: int = 4) -> list[str]:
    return [text[at : at + chars] for at in range(0, len(text), chars)]


def foreign(talk: Talk) -> list[int]:
    """Whose marks the rows tell of."""
    return [row["foreign"] for row in talk.bench.rows(RowKind.EVENT) if row["foreign"] >= 0]


@pytest.fixture
def agui(tmp_path: Path) -> Talk:
    """A turn whose chunks name nobody, and whose end need not hold the text."""
    talk = Bench(tmp_path / "run", "ag-ui").session().connect()
    talk.begin()
    return talk.raw({"type": "RUN_STARTED", "runId": f"run_{talk.tag}t1", "threadId": "t"})


def deltas(talk: Talk, *texts: str) -> Talk:
    for text in texts:
        talk.raw({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": text})
    return talk


@pytest.mark.parametrize("chars", [1, 3, 4, 16, 17, 40])
def test_anothers_mark_is_found_once_however_it_is_cut_into_chunks(agui: Talk, chars: int) -> None:
    deltas(agui.raw({"type": "TEXT_MESSAGE_START"}), *pieces(f"you asked me about it [{ELSE}] and so on", chars))
    agui.raw({"type": "TEXT_MESSAGE_END"}).raw({"type": "RUN_FINISHED", "runId": f"run_{agui.tag}t1", "threadId": "t"})
    assert (agui.kinds, foreign(agui), agui.session.last_end) == (["foreign"], [7], End.OK)


@pytest.mark.parametrize("chars", [1, 4, 16, 17])
def test_our_own_mark_is_nobody_elses_however_it_is_cut_into_chunks(agui: Talk, chars: int) -> None:
    deltas(agui.raw({"type": "TEXT_MESSAGE_START"}), *pieces(f"[{agui.tag}] twice [{agui.tag}]", chars))
    assert agui.kinds == []


def test_two_turns_one_after_the_other_whose_events_name_none_are_told_apart(agui: Talk) -> None:
    agui.begin("and?")
    for turn in (1, 2):
        run = {"runId": f"run_{agui.tag}t{turn}", "threadId": "t"}
        if turn == 2:
            agui.raw({"type": "RUN_STARTED", **run})
        deltas(agui.raw({"type": "TEXT_MESSAGE_START"}), "he", "llo").raw({"type": "TEXT_MESSAGE_END"})
        agui.raw({"type": "RUN_FINISHED", "result": {"text": "hello"}, **run})
    assert (agui.kinds, [row["turn"] for row in agui.bench.rows(RowKind.END)]) == ([], [1, 2])


def test_where_neither_turn_has_begun_what_names_none_is_the_first_ones(tmp_path: Path) -> None:
    talk = Bench(tmp_path / "run", "netra").session().ready()
    talk.begin()
    talk.begin("and?")
    talk.say("start", "think", "open", "close", "done", run_id=None).say(*BEFORE, "done", run_id=None)
    assert (talk.kinds, [row["turn"] for row in talk.bench.rows(RowKind.END)]) == ([], [1, 2])


def test_a_mark_that_comes_in_pieces_outside_of_any_turn_is_found(agui: Talk) -> None:
    agui.session.give_up(agui.bench.tick(), End.TIMEOUT)
    assert "foreign" not in agui.kinds
    deltas(agui, *pieces(f"[{ELSE}]"))
    assert foreign(agui) == [7]


def test_parts_of_our_own_mark_make_no_other_whatever_is_lost_or_mixed_between_them(agui: Talk) -> None:
    """As where a chunk is lost, comes twice, or two messages are streamed at a time."""
    agui.raw({"type": "TEXT_MESSAGE_START"})
    for kept in range(len(agui.tag)):
        for gone in range(len(agui.tag)):
            deltas(agui, f"[{agui.tag[:kept]}", f"{agui.tag[gone:]}] ")
        deltas(agui, f"[{agui.tag[:kept]}", "a fee, added ")
    assert (agui.kinds, foreign(agui)) == ([], [])


def test_a_mark_goes_on_over_a_resume(talk: Talk) -> None:
    talk.begin()
    chunks(talk.say(*BEFORE), ELSE[:9]).close(1001).connect().welcome().answer(resumed=True)
    chunks(talk, f"{ELSE[9:]}]", first=1)
    assert (talk.kinds, foreign(talk)) == (["foreign"], [7])


def test_the_end_of_one_turns_text_is_not_put_before_the_next_ones(talk: Talk) -> None:
    for text in (ELSE[:9], f"{ELSE[9:]}]"):
        talk.begin()
        chunks(talk.say(*BEFORE), text).say("done", status="completed")
    assert talk.kinds == []
    assert talk.session._content._tails == {}
