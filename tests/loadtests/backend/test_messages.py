"""What clients send: understood in its variants, refused with a reason, never a reason to fall over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def last(link: Any) -> dict[str, Any]:
    return link.sent[-1]


@pytest.mark.parametrize("field", ["content", "text", "message"])
def test_the_words_may_stand_under_several_names_in_a_payload_or_flat(stage: Any, field: str) -> None:
    link = stage.join()
    stage.say(link, type="user_message", message_id="m1", payload={field: "hello"})
    stage.say(link, type="user_message", message_id="m2", **{field: "hello"})
    stage.run()
    ends = [f for f in link.events if f["type"] == "agent_completed" and f["agent_name"] == "supervisor"]
    assert sorted(f["message_id"] for f in ends) == ["m1", "m2"]
    assert {f["final_response"] for f in ends} == {"answer to: hello"}


def test_ids_that_the_client_gives_are_echoed_and_missing_ones_are_made(stage: Any) -> None:
    link = stage.join()
    stage.ask(link, "m1", run_id="run_mine", thread_id="thread_mine")
    stage.run()
    assert {(f["run_id"], f["thread_id"], f["message_id"]) for f in link.events} == {("run_mine", "thread_mine", "m1")}
    other = stage.join()
    stage.say(other, type="user_message", payload={"content": "x"})
    stage.run()
    (ids,) = {(f["run_id"], f["thread_id"], f["message_id"]) for f in other.events}
    assert ids[0].startswith("run_")
    assert ids[1].startswith("thread_")
    assert ids[2].startswith("msg_")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "JSON_PARSE_ERROR"),
        (b"\xff\xfe", "JSON_PARSE_ERROR"),
        (b"[" * 100_000, "JSON_PARSE_ERROR"),
        (b"[]", "INVALID_MESSAGE"),
        (b"{}", "INVALID_MESSAGE"),
        (b'{"type":7}', "INVALID_MESSAGE"),
        (b'{"type":"user_message","payload":{}}', "MESSAGE_EMPTY"),
        (b'{"type":"user_message","payload":{"content":"  "}}', "MESSAGE_EMPTY"),
        (b'{"type":"user_message","payload":{"content":5}}', "MESSAGE_EMPTY"),
        (b'{"type":"session_restore","payload":{"stream_id":"s"}}', "INVALID_MESSAGE"),
        (b'{"type":"session_restore","payload":{"stream_id":"s","last_seq":-1}}', "INVALID_MESSAGE"),
        (b'{"type":"session_restore","payload":{"stream_id":"s","last_seq":true}}', "INVALID_MESSAGE"),
        (b'{"type":"get_thread_history"}', "INVALID_MESSAGE"),
        (b'{"type":"stop_agent"}', "INVALID_MESSAGE"),
        (b'{"type":"stop_agent","payload":{"run_id":7}}', "INVALID_MESSAGE"),
    ],
)
def test_what_makes_no_sense_gets_an_error_frame_and_the_connection_stays(stage: Any, raw: bytes, code: str) -> None:
    link = stage.join()
    stage.backend.received(link, raw)
    assert (last(link)["type"], last(link)["error_code"]) == ("error_message", code)
    stage.say(link, type="ping")
    assert last(link)["type"] == "pong"


def test_an_unknown_type_is_acknowledged_and_nothing_else(stage: Any) -> None:
    link = stage.join()
    stage.say(link, type="dance", payload={"content": "x"})
    stage.run()
    assert {k: last(link)[k] for k in ("type", "received_type", "status")} == {
        "type": "ack",
        "received_type": "dance",
        "status": "acknowledged",
    }
    assert link.events == []


def test_ping_and_heartbeat_are_answered_and_answers_are_not(stage: Any) -> None:
    link = stage.join()
    for kind in ("ping", "heartbeat", "pong", "heartbeat_ack"):
        stage.say(link, type=kind)
    assert link.kinds[1:] == ["pong", "heartbeat_ack"]


def test_a_thread_s_history_is_its_events_and_only_for_its_user(stage: Any) -> None:
    link = stage.join("ann")
    stage.ask(link, thread_id="t1")
    stage.ask(link, "m2", thread_id="t2")
    stage.run()
    stage.say(link, type="get_thread_history", payload={"thread_id": "t1"})
    answer = last(link)
    assert answer["type"] == "thread_history"
    assert answer["data"]["events"] == [f for f in link.events if f["thread_id"] == "t1"]
    stranger = stage.join("bob")
    stage.say(stranger, type="get_thread_history", payload={"thread_id": "t1"})
    assert last(stranger)["data"]["events"] == []


def test_a_user_s_message_is_executed_once_over_its_connections_and_a_stranger_s_is_another(stage: Any) -> None:
    first = stage.join("ann", cursor=False)
    stage.ask(first)
    stage.run()
    second, stranger = stage.join("ann", cursor=False), stage.join("bob", cursor=False)
    stage.ask(second)
    stage.ask(stranger)
    stage.run()
    assert second.events == []
    assert stranger.events


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "payload", "content", "stream_id", "last_seq"]), inner, max_size=4
                )
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_bytes_whatever_make_it_raise(stage: Any, raw: bytes) -> None:
    stage.backend.received(stage.join(), raw)


def answer(link: Any, run: str) -> str:
    return str(next(f["final_response"] for f in link.events if f["run_id"] == run and "final_response" in f))


def test_a_message_that_asks_to_recall_is_answered_with_what_was_said_on_its_thread(stage: Any) -> None:
    link, other = stage.join("ann"), stage.join("bob")
    stage.ask(link, "m1", content="the code word is violet")
    stage.ask(link, "m2", content="on another thread: red", thread_id="t2")
    stage.ask(other, "m3", content="a secret of another user")
    stage.ask(link, "m4", content="what was it?")
    stage.ask(link, "m5", content="please Recall it")
    stage.run()
    assert answer(link, "run_m4") == "answer to: what was it?"
    told = answer(link, "run_m5")
    assert told == "answer to: please Recall it; before that you said: the code word is violet | what was it?"


@pytest.mark.parametrize(
    ("said", "times"),
    [("write it 3 times", 3), ("1234 times", 1), ("0 times", 1), ("13 Times or 99 times", 99), ("times", 1)],
)
def test_a_message_is_answered_as_often_as_it_asks_for(stage: Any, said: str, times: int) -> None:
    link = stage.join("ann")
    stage.ask(link, "m1", content=said)
    stage.run()
    assert answer(link, "run_m1") == f"answer to: {' '.join([said] * times)}"


def test_what_was_said_outlives_a_resume_and_a_restart(make_stage: Any) -> None:
    before = make_stage()
    link = before.join("ann")
    before.ask(link, "m1", content="the code word is violet")
    before.run()
    after = make_stage(storage=before.storage)
    back = after.join("ann")
    after.resume(back, link.stream, len(link.events))
    after.ask(back, "m2", content="recall")
    after.run()
    assert "violet" in answer(back, "run_m2")


@pytest.mark.parametrize(
    ("said", "lag_ms"),
    [
        ("2023-11-14T22:13:19.500+00:00", 500.0),
        ("2023-11-14T22:13:19.500Z", 500.0),
        ("2023-11-14T22:13:19.500", 500.0),
        (1_699_999_999.5, 500.0),
        ("2023-11-14T22:13:21Z", 0.0),
        ("soon", 0.0),
        ("9" * 400, 0.0),
        (None, 0.0),
        (True, 0.0),
        ([], 0.0),
    ],
)
def test_how_long_a_message_was_on_its_way_is_known_where_it_says_a_time(stage: Any, said: Any, lag_ms: float) -> None:
    seen = []

    def accept(_turn: Any, ask: Any) -> str:
        seen.append(ask.lag_ms)
        return "known"

    stage.backend.agents.accept = accept
    stage.ask(stage.join(), timestamp=said)
    assert seen == [pytest.approx(lag_ms, abs=0.001)]


def test_a_stop_reaches_only_the_user_s_own_turn_and_one_that_is_over_is_no_error(stage: Any) -> None:
    ann, bob = stage.join("ann"), stage.join("bob")
    stage.ask(ann)
    stage.say(bob, type="stop_agent", payload={"run_id": "run_m1"})
    stage.run()
    assert ann.kinds[-1] == "agent_completed"
    stage.say(ann, type="stop_agent", payload={"run_id": "run_m1"})
    stage.run()
    assert ann.kinds[-1] == "agent_completed"
    assert bob.kinds == ["connection_established"]


def test_a_message_that_is_rejected_says_which_and_may_be_sent_again_later(make_stage: Any) -> None:
    stage = make_stage(concurrent="reject")
    link = stage.join()
    stage.ask(link, "m1")
    stage.ask(link, "m2")
    refused = last(link)
    assert (refused["type"], refused["error_code"], refused["run_id"]) == (
        "message_rejected",
        "TURN_IN_PROGRESS",
        "run_m2",
    )
    stage.run()
    assert {f["run_id"] for f in link.events} == {"run_m1"}
    stage.ask(link, "m2")
    stage.run()
    assert link.events[-1]["run_id"] == "run_m2"


def test_a_node_that_restarts_says_so_and_takes_or_forgets_the_message(make_stage: Any) -> None:
    for defect, executed in (("resend-executes-twice", 2), ("resend-ignored", 0)):
        stage = make_stage(defect)
        link = stage.join()
        stage.ask(link)
        assert link.closed == (1001, "restarting")
        back = stage.join()
        stage.resume(back, link.stream, 0)
        stage.ask(back)
        stage.run()
        ends = [f for f in back.events if f["type"] == "agent_completed" and f["agent_name"] == "supervisor"]
        assert len(ends) == executed
        assert [f.get("run_id") for f in back.sent if f["type"] == "ack"] == ([] if executed else ["run_m1"])


def test_a_message_that_is_only_acknowledged_is_executed_when_it_is_sent_again(make_stage: Any) -> None:
    stage = make_stage("ack-only")
    link = stage.join()
    stage.ask(link)
    stage.run()
    assert (last(link)["type"], last(link)["run_id"]) == ("ack", "run_m1")
    stage.ask(link)
    stage.run()
    assert link.kinds[-1] == "agent_completed"
