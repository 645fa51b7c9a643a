"""Turns run to their end whether or not the client is there, each message once, many at a time."""

from __future__ import annotations

from typing import Any

from loadtests.backend.notifier import UnapprovedEventError


def test_a_turn_is_the_five_events_in_order_then_over(stage: Any) -> None:
    link = stage.join()
    stage.ask(link)
    assert stage.backend.agents.running == 1
    stage.run()
    kinds = [f["type"] for f in link.events if f["agent_name"] == "supervisor"]
    assert kinds[:2] == ["agent_started", "agent_thinking"]
    assert kinds[-1] == "agent_completed"
    assert {"tool_executing", "tool_completed"} <= set(kinds)
    assert [f["seq"] for f in link.events] == list(range(1, len(link.events) + 1))
    assert stage.backend.agents.running == 0


def test_the_same_message_again_is_not_executed_again(stage: Any) -> None:
    link = stage.join()
    stage.ask(link)
    stage.run(20)
    stage.ask(link)
    stage.run()
    count = len(link.events)
    stage.ask(link)
    stage.run()
    assert len(link.events) == count
    assert sum(f["type"] == "agent_completed" and f["agent_name"] == "supervisor" for f in link.events) == 1


def test_turns_of_many_clients_run_at_once_each_to_its_own(stage: Any) -> None:
    links = [stage.join() for _ in range(20)]
    for n, link in enumerate(links):
        stage.ask(link, f"m{n}", content=f"canary {n}")
    assert stage.backend.agents.running == 20
    stage.run()
    for n, link in enumerate(links):
        assert {f["run_id"] for f in link.events} == {f"run_m{n}"}
        assert link.events[-1]["final_response"] == f"answer to: canary {n}"


def test_the_same_seed_gives_the_same_turns_to_the_byte(make_stage: Any) -> None:
    played = []
    for _ in range(2):
        stage = make_stage(seed=7)
        link = stage.join()
        stage.ask(link)
        stage.run()
        played.append([parcel.frame for parcel in link.parcels])
    assert played[0] == played[1]


def test_a_refused_event_is_left_out_and_the_turn_goes_on(stage: Any) -> None:
    link = stage.join()
    check = stage.backend.notifier.check

    def picky(kind: str) -> None:
        if kind == "agent_thinking":
            raise UnapprovedEventError(kind)
        check(kind)

    stage.backend.notifier.check = picky
    stage.ask(link)
    stage.run()
    kinds = [f["type"] for f in link.events]
    assert "agent_thinking" not in kinds
    assert kinds[-1] == "agent_completed"


def test_a_turn_that_a_former_process_left_is_failed_explicitly(make_stage: Any) -> None:
    before = make_stage()
    link = before.join("ann")
    before.ask(link)
    before.run(60)
    after = make_stage(storage=before.storage)
    back = after.join("ann")
    after.resume(back, link.stream, len(link.events))
    assert back.events[-1]["type"] == "agent_error"
    assert back.events[-1]["run_id"] == "run_m1"
    after.run()
    assert back.events[-1]["type"] == "agent_error"
    again = make_stage(storage=before.storage)
    assert again.backend.log.head(link.stream) == back.events[-1]["seq"]
