"""The notifier logs before it delivers, numbers everything, refuses what no contract approves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtests.backend.eventlog import Turn
from loadtests.backend.notifier import UnapprovedEventError
from loadtests.backend.script import Step


def turn_of(link: Any) -> Turn:
    return Turn(owner=link.stream, stream=link.stream, user=link.user, thread="t", run="r", message="m")


THINKS = Step(delay_ms=0.0, role="thinking", agent="supervisor", body={"reasoning": "hm"})


def test_an_event_carries_all_ids_and_its_number(stage: Any) -> None:
    link = stage.join("ann")
    for _ in range(2):
        stage.backend.notifier.emit(turn_of(link), THINKS)
    first, second = link.events
    assert (first["seq"], second["seq"]) == (1, 2)
    assert first["event_id"] != second["event_id"]
    assert first["event_id"].startswith("evt_")
    ids = {"stream_id": link.stream, "run_id": "r", "thread_id": "t", "user_id": "ann", "message_id": "m"}
    assert ids.items() <= first.items()
    assert first["event_version"] == "1"
    assert (first["type"], first["agent_name"], first["reasoning"]) == ("agent_thinking", "supervisor", "hm")


def test_an_event_id_does_not_give_the_stream_s_name_away(stage: Any) -> None:
    link = stage.join()
    stage.backend.notifier.emit(turn_of(link), THINKS)
    known = link.events[0]["event_id"].split("_")[1]
    assert len(link.stream) - len("st_") - len(known) >= 16


def test_it_is_in_the_log_before_it_is_delivered(stage: Any) -> None:
    link = stage.join()
    seen: list[int] = []
    put = link.put

    def watched(parcel: Any, **how: Any) -> bool:
        seen.append(len(stage.storage.read(link.stream, 0, 99)))
        return bool(put(parcel, **how))

    link.put = watched
    stage.backend.notifier.emit(turn_of(link), THINKS)
    assert seen == [1]


def test_without_a_connection_it_is_logged_all_the_same(stage: Any) -> None:
    link = stage.join()
    stage.cut(link)
    stage.backend.notifier.emit(turn_of(link), THINKS)
    assert [e.seq for e in stage.storage.read(link.stream, 0, 99)] == [1]


def test_an_unapproved_type_is_refused_counted_and_leaves_no_number(stage: Any) -> None:
    notifier = stage.backend.notifier
    with pytest.raises(UnapprovedEventError, match="made_up"):
        notifier.check("made_up")
    notifier._kinds = {**notifier._kinds, "thinking": "made_up"}
    link = stage.join()
    with pytest.raises(UnapprovedEventError):
        notifier.emit(turn_of(link), THINKS)
    assert notifier.refused == 2
    assert link.events == []
    assert stage.backend.log.head(link.stream) == 0


def test_a_foreign_frame_is_another_connected_client_s(stage: Any) -> None:
    ann, bob = stage.join(), stage.join()
    notifier = stage.backend.notifier
    notifier.emit(turn_of(ann), THINKS)
    assert notifier.foreign_frame(ann.stream) == b""
    assert notifier.foreign_frame(bob.stream) == ann.parcels[-1].frame
    stage.cut(ann)
    assert notifier.foreign_frame(bob.stream) == b""


def test_where_a_role_leaves_a_choice_the_step_s_own_kind_is_sent_if_it_is_approved(stage: Any) -> None:
    link = stage.join()
    emit = stage.backend.notifier.emit
    emit(turn_of(link), replace(THINKS, role="failed", kind="agent_stopped"))
    assert link.kinds[-1] == "agent_stopped"
    with pytest.raises(UnapprovedEventError):
        emit(turn_of(link), replace(THINKS, kind="made_up"))


def test_a_chunk_is_the_event_that_the_contract_s_stream_names(stage: Any) -> None:
    link = stage.join()
    body = {"chunk_index": 0, "content": "a "}
    stage.backend.notifier.emit(turn_of(link), replace(THINKS, role="content", body=body))
    assert {"type": "partial_result", "seq": 1, **body}.items() <= link.events[0].items()


def test_an_overtaken_event_is_numbered_first_and_sent_second(stage: Any) -> None:
    link = stage.join()
    emit = stage.backend.notifier.emit
    emit(turn_of(link), replace(THINKS, overtaken=True))
    assert link.events == []
    emit(turn_of(link), THINKS)
    emit(turn_of(link), THINKS)
    assert [f["seq"] for f in link.events] == [2, 1, 3]


def test_what_a_replay_has_sent_is_not_sent_again_behind_the_next_event(stage: Any) -> None:
    link = stage.join()
    emit = stage.backend.notifier.emit
    turn = turn_of(link)
    emit(turn, replace(THINKS, overtaken=True))
    stage.cut(link)
    back = stage.join()
    stage.resume(back, turn.stream, 0)
    emit(turn, THINKS)
    assert [f["seq"] for f in back.events] == [1, 2]


def test_an_event_that_goes_astray_is_another_client_s(stage: Any) -> None:
    ann, bob = stage.join(), stage.join()
    step = replace(THINKS, deliveries=0, astray=bob.stream)
    stage.backend.notifier.emit(turn_of(ann), step)
    assert ann.events == []
    assert [f["stream_id"] for f in bob.events] == [ann.stream]


def test_an_event_may_be_of_another_version(stage: Any, make_stage: Any) -> None:
    link = stage.join()
    stage.backend.notifier.emit(turn_of(link), replace(THINKS, version="99"))
    assert link.events[0]["event_version"] == "99"
    rollout = make_stage(event_versions=("0", "1"))
    link = rollout.join()
    for n in range(30):
        rollout.ask(link, f"m{n}", thread_id=f"t{n}")
    rollout.run()
    by_run = {(f["run_id"], f["event_version"]) for f in link.events}
    assert len(by_run) == 30
    assert {version for _, version in by_run} == {"0", "1"}
