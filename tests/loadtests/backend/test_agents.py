"""Turns run to their end whether or not the client is there, each message once, many at a time."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.backend.agents import POLICIES, policy_of
from loadtests.backend.notifier import UnapprovedEventError
from loadtests.backend.threads import MOST_WAITING
from loadtests.errors import ConfigError


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


def test_of_more_turns_than_may_run_at_once_the_rest_fail_and_say_why(make_stage: Any) -> None:
    stage = make_stage(at_once=3)
    links = [stage.join() for _ in range(5)]
    for n, link in enumerate(links):
        stage.ask(link, f"m{n}")
    stage.run()
    ends = [link.events[-1] for link in links]
    assert [end["status"] for end in ends] == ["completed"] * 3 + ["failed"] * 2
    assert {len(link.events) for link in links[3:]} == {2}
    assert ends[4]["error"] == "too many turns at once"
    stage.ask(links[4], "m9")
    stage.run()
    assert links[4].events[-1]["status"] == "completed"


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


def runs(link: Any) -> list[str]:
    """Run ids in the order of their events, each change once."""
    found: list[str] = []
    for event in link.events:
        if not found or found[-1] != event["run_id"]:
            found.append(event["run_id"])
    return found


def stop(stage: Any, link: Any, run: str) -> None:
    stage.say(link, type="stop_agent", payload={"run_id": run})


def test_by_default_a_message_waits_for_the_turn_of_its_thread(stage: Any) -> None:
    link = stage.join()
    for n in (1, 2, 3):
        stage.ask(link, f"m{n}")
    stage.ask(link, "m2")
    stage.run()
    assert runs(link) == ["run_m1", "run_m2", "run_m3"]
    assert sum(f["type"] == "agent_completed" and f["agent_name"] == "supervisor" for f in link.events) == 3


def test_threads_do_not_wait_for_each_other(stage: Any) -> None:
    link = stage.join()
    stage.ask(link, "m1", thread_id="t1")
    stage.ask(link, "m2", thread_id="t2")
    assert stage.backend.agents.running == 2
    stage.run()
    assert len(runs(link)) > 2


def test_too_many_that_wait_are_rejected(stage: Any) -> None:
    link = stage.join()
    for n in range(MOST_WAITING + 2):
        stage.ask(link, f"m{n}")
    assert link.kinds.count("message_rejected") == 1
    stage.run()
    assert len(runs(link)) == MOST_WAITING + 1


def test_in_parallel_turns_of_one_thread_run_at_once(make_stage: Any) -> None:
    stage = make_stage(concurrent="parallel")
    link = stage.join()
    stage.ask(link, "m1")
    stage.ask(link, "m2")
    assert stage.backend.agents.running == 2
    stage.run()
    assert len(runs(link)) > 2


def test_a_message_that_supersedes_ends_the_turn_before_and_then_begins(make_stage: Any) -> None:
    stage = make_stage(concurrent="supersede")
    link = stage.join()
    stage.ask(link, "m1")
    stage.run(30)
    stage.ask(link, "m2")
    stage.run()
    assert runs(link) == ["run_m1", "run_m2"]
    first = [f["type"] for f in link.events if f["run_id"] == "run_m1"]
    assert first[-1] == "agent_stopped"
    assert stage.backend.agents.running == 0


def test_a_stop_ends_the_turn_at_once_explicitly_and_the_next_one_works(stage: Any) -> None:
    link = stage.join()
    stage.ask(link)
    stage.run(30)
    had = len(link.events)
    stop(stage, link, "run_m1")
    stop(stage, link, "run_m1")
    stage.ask(link, "m2")
    stage.run()
    first = [f for f in link.events if f["run_id"] == "run_m1"]
    assert (first[-1]["type"], first[-1]["status"], len(first)) == ("agent_stopped", "cancelled", had + 1)
    assert link.events[-1]["type"] == "agent_completed"
    assert stage.backend.agents.running == 0


def test_a_turn_that_still_waits_can_be_stopped_too(stage: Any) -> None:
    link = stage.join()
    for n in (1, 2, 3):
        stage.ask(link, f"m{n}")
    stop(stage, link, "run_m2")
    stage.run()
    assert [f["type"] for f in link.events if f["run_id"] == "run_m2"] == ["agent_stopped"]
    assert link.events[-1]["run_id"] == "run_m3"
    assert stage.backend.agents.running == 0


def test_a_stop_while_the_client_is_away_is_there_for_it_later(stage: Any) -> None:
    link = stage.join("ann")
    stage.ask(link)
    stage.run(30)
    stop(stage, link, "run_m1")
    stage.cut(link)
    stage.run()
    back = stage.join("ann")
    stage.resume(back, link.stream, len(link.events))
    assert back.events[-1]["type"] == "agent_stopped"


def test_a_turn_that_dies_with_its_connection_leaves_its_thread_free(make_stage: Any) -> None:
    stage = make_stage("zombie-after-cut")
    link = stage.join()
    stage.ask(link)
    stage.run(40)
    stage.cut(link)
    back = stage.join()
    stage.resume(back, link.stream, len(link.events))
    stage.run()
    assert back.events == []
    stage.ask(back, "m2")
    stage.run()
    assert back.events[-1]["type"] == "agent_completed"
    assert stage.backend.agents.running == 0


def test_a_thread_that_is_stuck_after_a_stop_serves_nobody_more(make_stage: Any) -> None:
    stage = make_stage("stuck-after-cancel")
    link = stage.join()
    stage.ask(link)
    stop(stage, link, "run_m1")
    stage.run()
    stage.ask(link, "m2")
    stage.run()
    assert runs(link) == ["run_m1"]


def test_a_policy_is_one_of_the_contract_s() -> None:
    assert policy_of("") == "queue"
    assert [policy_of(name) for name in POLICIES] == list(POLICIES)
    with pytest.raises(ConfigError, match="supersede"):
        policy_of("overtake")
