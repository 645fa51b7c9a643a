"""Planted defects, seen by the whole chain: NO-GO with exactly the ids of the table. The whole matrix, with seeds, is
``make prove``; here stand a defect of each way to go wrong, the faults' own, and the clean twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from loadtests.backend.defects import DEFECTS
from tests.live.gauntlet import CHAOS, QUIET, Ended, gauntlet, scenario, together

pytestmark = pytest.mark.live

#: one of each way to hook in: event lost, order, end, leak, late, close, welcome
PLAIN = (
    "lost-event",
    "swapped",
    "ends-twice",
    "leaked-content",
    "late-event",
    "clean-close",
    "never-ready",
    "legacy-type",
)
#: only a fault brings them out
FAULTY = ("replay-skips", "replay-repeats")
TWIN = "none"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    def run(name: str) -> Ended:
        folder: Path = tmp_path_factory.mktemp(name)
        file = scenario(folder / "short.yaml", CHAOS if name in (*FAULTY, TWIN) else QUIET)
        return gauntlet("run", file, *(["--defect", name] if name != TWIN else []), cwd=folder)

    return together({name: lambda name=name: run(name) for name in (*FAULTY, TWIN, *PLAIN)})  # type: ignore[misc]  # bound at once


@pytest.mark.parametrize("defect", [*PLAIN, *FAULTY])
def test_a_defect_is_no_go_with_exactly_the_ids_of_its_row(runs: Mapping[str, Ended], defect: str) -> None:
    ended = runs[defect]
    assert (ended.code, ended.verdict["verdict"]) == (99, "no-go"), ended
    assert ended.ids == set(DEFECTS[defect].ids["reference"]), ended
    assert ended.checks["self"]["verdict"] == "valid"


def test_a_late_event_breaks_a_gate_and_no_checker(runs: Mapping[str, Ended]) -> None:
    assert runs["late-event"].failed_gates == {"turn.total{fault:none}"}


def test_every_finding_can_be_looked_up(runs: Mapping[str, Ended]) -> None:
    """A witness names its turn, and ``gauntlet show`` shows it with the rule that judged it."""
    ended = runs["swapped"]
    witness = ended.checks["order"]["witnesses"][0]
    shown = gauntlet("show", ended.run, f"{witness['session']}.{witness['turn']}", cwd=ended.run.parent)
    assert shown.code == 0, shown
    assert "✗ order" in shown.out


def test_the_clean_twin_is_go_without_a_finding(runs: Mapping[str, Ended]) -> None:
    ended = runs[TWIN]
    assert (ended.code, ended.ids, ended.failed_gates) == (0, set(), set()), ended
    assert ended.checks["honesty"]["samples"] > 0
