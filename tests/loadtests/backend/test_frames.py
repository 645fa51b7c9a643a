"""Four shapes, one meaning: the contract's decoder reads the same event out of each, live and stored."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from loadtests.backend.eventlog import Claim
from loadtests.backend.frames import SHAPES, FrameWriter, Shape, iso
from loadtests.contract import load
from loadtests.contract.decoder import IDS

REFERENCE = load("reference")
OWN = {"event_id": "e1", "seq": 3, "stream_id": "st_1", "run_id": "r1", "thread_id": "t1", "agent_name": "supervisor"}
BODY = {"tool_name": "search", "execution_id": "x1", "results": {"rows": 1}}


def event(shape: Shape) -> bytes:
    return FrameWriter(REFERENCE, shape).event("tool_completed", iso(0.0), OWN, BODY)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_the_same_event_to_the_contract(shape: Shape) -> None:
    index, standing, schema, recovered, _, ids = REFERENCE.decode(event(shape))
    assert (REFERENCE.label(index), standing, schema, recovered) == ("tool_completed", 0, 0, False)
    assert ids == REFERENCE.decode(event("flat"))[5]
    assert ids[IDS.index("cursor")] == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stored_event_is_the_live_one_marked_recovered(shape: Shape) -> None:
    frames = FrameWriter(REFERENCE, shape)
    seen = REFERENCE.decode(frames.stored("tool_completed", event(shape), 0.0))
    assert seen[3] is True
    assert (seen[0], seen[2], seen[5]) == (
        REFERENCE.decode(event(shape))[0],
        0,
        REFERENCE.decode(event(shape))[5],
    )


def test_shapes_are_the_type_s_own_list() -> None:
    assert get_args(Shape) == SHAPES


def test_a_granted_resume_names_its_head_and_a_refused_one_its_reason() -> None:
    frames = FrameWriter(REFERENCE)
    granted = json.loads(frames.restored(Claim(resumed=True, stream="s", after=2, head=5), 1.0))
    refused = json.loads(frames.restored(Claim(resumed=False, stream="s", after=2, reason="unknown stream"), 1.0))
    assert granted["type"] == refused["type"] == REFERENCE.file.resume.answer
    assert granted["data"] == {"resumed": True, "stream_id": "s", "from_seq": 2, "last_seq": 5}
    assert refused["data"] == {"resumed": False, "stream_id": "s", "from_seq": 2, "reason": "unknown stream"}


def test_control_frames_are_approved_types() -> None:
    frames = FrameWriter(REFERENCE)
    control = REFERENCE.file.control
    made = [
        frames.error("X", "y", 1.0),
        frames.unknown("x", 1.0),
        frames.control(control.pong, 1.0),
        frames.control(control.heartbeat, 1.0),
        frames.welcome({}, 1.0),
    ]
    assert all(REFERENCE.decode(frame)[0] > 0 for frame in made)


def test_an_error_and_an_acknowledgement_may_name_the_turn_that_they_are_about() -> None:
    frames = FrameWriter(REFERENCE)
    about = {"run_id": "r1", "message_id": "m1"}
    refused = json.loads(frames.error("X", "y", 1.0, about, "message_rejected"))
    assert {"type": "message_rejected", "error_code": "X", **about}.items() <= refused.items()
    assert json.loads(frames.error("X", "y", 1.0, about))["type"] == REFERENCE.file.control.error
    assert about.items() <= json.loads(frames.unknown("x", 1.0, about)).items()
