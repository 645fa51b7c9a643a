"""A recorded run in virtual time: every kind of fault is played or named, and a defect is found as live."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from chaos.faults import FAULTS
from chaos.plan import Window
from loadtests import contract, scenario
from loadtests.conductor.rehearsal import Rehearsal, part_of, unplayed
from loadtests.simulation.faults import FAULTS as KINDS
from tests.loadtests.conductor.failures import storm

PLAYED = {
    "latency", "jitter", "bandwidth", "slicer", "limit-data", "jam", "drop", "half-open", "reset", "mass-disconnect", "down", "flap",
    "backend-kill",
}  # fmt: skip
#: what a kind must be given, beside what it presupposes
LEAST = {
    "latency": {"latency_ms": 40}, "jitter": {"jitter_ms": 20}, "bandwidth": {"kb_per_s": 8}, "limit-data": {"bytes": 700},
    "slow-close": {"delay_ms": 500}, "handshake": {"fault": "jam"}, "command": {"apply": ["true"], "revert": ["true"]},
}  # fmt: skip


def window(kind: str, **asked: object) -> Window:
    return Window("w7", kind, "treated", "f", 1_000, 3_000, {**LEAST.get(kind, {}), **asked})


def rehearsal(defect: str = "") -> Rehearsal:
    own = msgspec.structs.replace(scenario.load("smoke")[0], users=10, pace_ms=2_500)
    return Rehearsal(scenario=own, contract=contract.load("reference"), seed=3, defect=defect)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_kind_is_played_by_one_of_the_network_or_is_said_not_to_be(kind: str) -> None:
    part = part_of(window(kind))
    assert (part is not None) == (kind in PLAYED)
    assert unplayed([window(kind)]) == (() if part else (window(kind),))
    if part is not None:
        assert part.kind in KINDS
        assert (part.id, part.start_ms, part.duration_ms) == ("w7", 1_000, 2_000)


@pytest.mark.parametrize(
    ("kind", "asked", "amount"),
    [
        ("latency", {"latency_ms": 120}, 120),
        ("jitter", {"jitter_ms": 30}, 30),
        ("jitter", {"jitter_ms": 30, "mean_ms": 50}, 50),
        ("bandwidth", {"kb_per_s": 16}, 16_000),
        ("slicer", {"average_bytes": 5}, 5),
        ("limit-data", {"bytes": 900}, 900),
        ("mass-disconnect", {"share": 0.5}, 0.5),
        ("flap", {"down_ms": 400, "up_ms": 600}, 2),
        ("flap", {"down_ms": 4_000, "up_ms": 6_000}, 1),
    ],
)
def test_what_is_asked_is_what_the_network_does(kind: str, asked: dict[str, object], amount: float) -> None:
    part = part_of(window(kind, **asked))
    assert part is not None
    assert part.amount == amount


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_a_direction_stays_one(direction: str) -> None:
    part = part_of(window("jam", direction=direction))
    assert part is not None
    assert part.direction == direction


def test_a_sound_backend_is_found_sound_under_the_whole_storm() -> None:
    assert rehearsal().found(storm(cuts=8)) == frozenset()


@pytest.mark.parametrize(
    ("defect", "ids"),
    [("replay-skips", {"honesty"}), ("replay-repeats", {"duplicate"}), ("zombie-after-cut", {"terminal"})],
)
def test_a_defect_is_found_where_something_is_cut_and_only_there(defect: str, ids: set[str]) -> None:
    plan = storm(cuts=8)
    shapes = replace(plan, windows=tuple(one for one in plan.windows if one.kind == "latency"))
    assert rehearsal(defect).found(plan) == ids
    assert rehearsal(defect).found(shapes) == frozenset()
