"""The notifier logs before it delivers, numbers everything, refuses what no contract approves."""

from __future__ import annotations

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
