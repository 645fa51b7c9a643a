"""The backend as one: welcome, resume in the middle of a turn exactly once, recovery without a cursor."""

from __future__ import annotations

from typing import Any

import pytest


def test_the_welcome_comes_first_and_names_a_stream_that_is_nobody_else_s(stage: Any) -> None:
    links = [stage.join() for _ in range(3)]
    welcomes = [link.sent[0] for link in links]
    assert {w["type"] for w in welcomes} == {"connection_established"}
    data = welcomes[0]["data"]
    assert set(data) == {"mode", "connection_id", "user_id", "node", "build", "stream_id", "last_seq"}
    for name in ("connection_id", "user_id", "stream_id"):
        assert len({w["data"][name] for w in welcomes}) == 3


def test_a_token_s_user_keeps_its_name_and_nobody_gets_an_anonymous_one(stage: Any) -> None:
    assert stage.join("ann").user == "ann"
    anonymous = stage.join().user
    assert stage.join(anonymous).user != anonymous


@pytest.mark.parametrize("received", range(7))
def test_a_resume_in_the_middle_of_a_turn_delivers_every_event_once_and_in_order(stage: Any, received: int) -> None:
    link = stage.join()
    stage.ask(link)
    while len(link.events) < received:
        stage.run(1)
    stage.cut(link)
    had = link.events
    stage.run(40)
    back = stage.join()
    stage.resume(back, link.stream, len(had))
    stage.run()
    assert back.kinds[:2] == ["connection_established", "session_restored"]
    answer = back.sent[1]["data"]
    assert (answer["resumed"], answer["from_seq"], answer["stream_id"]) == (True, len(had), link.stream)
    seqs = [f["seq"] for f in had + back.events]
    assert seqs == list(range(1, len(seqs) + 1))
    assert back.events[-1]["type"] == "agent_completed"
    assert back.events[-1]["user_id"] == link.user


def test_the_head_in_the_answer_is_what_the_replay_reaches(stage: Any) -> None:
    link = stage.join()
    stage.ask(link)
    stage.run(100)
    stage.cut(link)
    stage.run(100)
    back = stage.join()
    stage.resume(back, link.stream, 1)
    assert back.sent[-1]["seq"] == back.sent[1]["data"]["last_seq"]


def test_a_resumed_stream_can_be_asked_on_and_resumed_again(stage: Any) -> None:
    first = stage.join()
    stage.ask(first)
    stage.run()
    second = stage.join()
    stage.resume(second, first.stream, len(first.events))
    assert first.closed == (1001, "resumed on another connection")
    stage.ask(second, "m2")
    stage.run()
    third = stage.join()
    stage.resume(third, first.stream, 0)
    assert [f["seq"] for f in third.events] == list(range(1, len(first.events) + len(second.events) + 1))
    assert {f["stream_id"] for f in third.events} == {first.stream}


def test_a_refused_resume_says_why_and_leaves_the_new_stream_usable(stage: Any) -> None:
    link = stage.join()
    own = link.stream
    stage.resume(link, "st_nobody", 4)
    answer = link.sent[-1]["data"]
    assert (answer["resumed"], answer["reason"]) == (False, "unknown stream")
    stage.ask(link)
    stage.run()
    assert (link.events[0]["seq"], link.events[0]["stream_id"]) == (1, own)


def test_another_user_s_stream_is_not_given_away(stage: Any) -> None:
    ann = stage.join("ann")
    stage.ask(ann)
    stage.run()
    for user in ("bob", ""):
        thief = stage.join(user)
        stage.resume(thief, ann.stream, 0)
        assert thief.sent[-1]["data"]["resumed"] is False
        assert thief.events == []


def test_a_message_sent_again_after_a_resume_is_executed_once(stage: Any) -> None:
    link = stage.join()
    stage.ask(link)
    stage.cut(link)
    back = stage.join()
    stage.resume(back, link.stream, 0)
    stage.ask(back)
    stage.run()
    assert sum(f["type"] == "agent_completed" and f["agent_name"] == "supervisor" for f in back.events) == 1


def test_a_message_that_never_arrived_is_executed_when_sent_again(stage: Any) -> None:
    link = stage.join()
    stage.cut(link)
    back = stage.join()
    stage.resume(back, link.stream, 0)
    assert back.sent[-1]["data"]["resumed"] is True
    stage.ask(back)
    stage.run()
    assert back.events[-1]["type"] == "agent_completed"


def test_without_a_cursor_a_known_user_gets_the_rest_marked_recovered(stage: Any) -> None:
    link = stage.join("ann", cursor=False)
    stage.ask(link)
    stage.run(60)
    stage.cut(link)
    had = link.events
    stage.run(150)
    back = stage.join("ann", cursor=False)
    stage.run()
    late = [f for f in back.sent if f.get("recovered")]
    assert late
    seqs = [f["seq"] for f in [*had, *(f["data"] for f in late), *back.events]]
    assert seqs == list(range(1, len(seqs) + 1))


def test_with_a_cursor_the_messages_of_a_known_user_are_their_stream_s(stage: Any) -> None:
    one, other = stage.join("ann"), stage.join("ann")
    for link in (one, other):
        stage.ask(link, "m1")
    stage.run()
    assert [link.events[-1]["type"] for link in (one, other)] == ["agent_completed"] * 2


def test_an_idle_client_hears_a_heartbeat(stage: Any) -> None:
    link = stage.join()
    stage.backend.idle(link)
    assert link.kinds[-1] == "heartbeat"


def test_a_client_that_stays_away_long_loses_its_unused_stream_only(stage: Any) -> None:
    used, unused = stage.join(), stage.join()
    stage.ask(used)
    stage.run()
    stage.cut(used)
    stage.cut(unused)
    stage.run(3_600_000)
    stage.backend.sweep()
    for link, resumed in ((used, True), (unused, False)):
        back = stage.join()
        stage.resume(back, link.stream, 0)
        assert back.sent[1]["data"]["resumed"] is resumed


def cut_in_the_middle(stage: Any, user: str = "", *, cursor: bool = True) -> Any:
    link = stage.join(user, cursor=cursor)
    stage.ask(link, f"m{id(link)}")
    while len(link.events) < 2:
        stage.run(1)
    stage.cut(link)
    return link


@pytest.mark.parametrize(("defect", "head"), [("claims-behind", 1), ("stream-reset-ignored", 0)])
def test_a_log_that_lost_events_numbers_on_from_what_it_claims(make_stage: Any, defect: str, head: int) -> None:
    stage = make_stage(defect)
    link = cut_in_the_middle(stage)
    back = stage.join()
    stage.resume(back, link.stream, 2)
    answer = back.sent[-1]["data"]
    assert (answer["resumed"], answer["last_seq"]) == (True, head)
    stage.run()
    assert [f["seq"] for f in back.events] == list(range(head + 1, head + 1 + len(back.events)))


def test_a_replay_from_the_first_event_holds_all_of_them(make_stage: Any) -> None:
    stage = make_stage("replay-all-again")
    link = cut_in_the_middle(stage)
    back = stage.join()
    stage.resume(back, link.stream, 2)
    assert [f["seq"] for f in back.events] == [1, 2]


def test_a_live_event_overtakes_the_replay(make_stage: Any) -> None:
    stage = make_stage("live-overtakes-replay")
    link = stage.join()
    stage.ask(link)
    while not link.events:
        stage.run(1)
    stage.cut(link)
    back = stage.join()
    stage.resume(back, link.stream, 0)
    stage.run()
    seqs = [f["seq"] for f in back.events]
    assert (seqs[:2], sorted(seqs)) == ([2, 1], list(range(1, len(seqs) + 1)))


@pytest.mark.parametrize(("user", "cursor"), [("", True), ("ann", False)])
def test_who_comes_back_is_everybody_s_business_under_a_broadcast(make_stage: Any, user: str, cursor: bool) -> None:
    stage = make_stage("broadcast-on-reconnect")
    other = stage.join("bob", cursor=cursor)
    link = cut_in_the_middle(stage, user, cursor=cursor)
    stage.run()
    assert other.events == []
    back = stage.join(user, cursor=cursor)
    if cursor:
        stage.resume(back, link.stream, len(link.events))
    assert [f["stream_id"] for f in other.events] == [link.stream]


def test_who_has_missed_nothing_is_broadcast_by_its_last_event(make_stage: Any) -> None:
    stage = make_stage("broadcast-on-reconnect")
    other, link = stage.join("bob"), stage.join()
    stage.ask(link)
    stage.run()
    stage.cut(link)
    stage.resume(stage.join(), link.stream, len(link.events))
    assert [f["seq"] for f in other.events] == [len(link.events)]


def test_a_flush_that_repeats_sends_each_kept_event_twice(make_stage: Any) -> None:
    stage = make_stage("flush-repeats")
    cut_in_the_middle(stage, "ann", cursor=False)
    stage.run()
    back = stage.join("ann", cursor=False)
    stage.run()
    seqs = [f["data"]["seq"] for f in back.sent if f.get("recovered")]
    assert len(seqs) >= 4
    assert seqs[::2] == seqs[1::2]


def test_open_connections_are_counted_and_those_of_vanished_clients_never_released_under_the_defect(
    make_stage: Any,
) -> None:
    for defect, left in (("", 0), ("never-frees", 3)):
        stage = make_stage(defect)
        links = [stage.join() for _ in range(4)]
        assert stage.backend.connections == 4
        stage.backend.lost(links[0], [], cut=False)
        for link in links[1:]:
            stage.cut(link)
        assert stage.backend.connections == left


def test_after_the_first_cut_nobody_is_let_in_for_a_while(make_stage: Any) -> None:
    stage = make_stage("refuses-return")
    links = [stage.join() for _ in range(6)]
    assert stage.backend.admits()
    stage.cut(links[0])
    assert not stage.backend.admits()
    stage.run(30_000)
    assert stage.backend.admits()


def test_a_connection_that_is_not_welcomed_may_be_closed_at_once(make_stage: Any) -> None:
    stage = make_stage("closed-unwelcomed")
    links = [stage.join() for _ in range(5)]
    assert [link.closed for link in links[:4]] == [None] * 4
    assert links[4].closed is not None
    assert links[4].closed[0] == 1000
    assert links[4].sent == []


def test_once_a_connection_was_cut_every_turn_takes_longer(make_stage: Any) -> None:
    took = []
    for cut in (False, True):
        stage = make_stage("slow-after-cut")
        links = [stage.join() for _ in range(6)]
        if cut:
            stage.cut(links[0])
        stage.ask(links[5])
        stage.run()
        assert links[5].events[-1]["type"] == "agent_completed"
        took.append(stage.time.now_ms)
    assert took[1] == pytest.approx(took[0] + 2000)
