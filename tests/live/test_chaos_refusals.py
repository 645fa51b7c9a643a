"""A fault that goes astray is never GO: it is a clear error before any load, or it cannot be said what the run shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live.gauntlet import Ended, environment, gauntlet, processes_of, scenario, together

pytestmark = pytest.mark.live

LATENCY: dict[str, Any] = {"kind": "latency", "latency_ms": 300, "direction": "both"}
PHASES = {"warm-up": 1.0, "steady": 4.0, "broken": 3.0, "recovery": 6.0}
#: what is done to the conductor before it starts: the rig is built wrongly, and nobody tells the judge
ASTRAY = {
    "wrong listener": """
import chaos.listeners as place
right = place.open_listeners
def wrong(*a, **k):
    opened = right(*a, **k)
    opened["treated"].control, opened["treated"].proxy = opened["control"].control, opened["control"].proxy
    return opened
place.open_listeners = wrong
""",
    "bypass": """
from loadtests.conductor.papers import Papers
from loadtests.conductor.rig import Rig
right, opened, past = Papers.assign, Rig.open, {}
def open_(self, target):
    listeners = opened(self, target)
    past.update({name: (target.address, target.port) for name in listeners})
    return listeners
Rig.open = open_
Papers.assign = lambda self, listeners: right(self, past and dict(past))
""",
}
LIMIT_S = 120.0


def with_fault(folder: Path, fault: dict[str, Any], **row: Any) -> Path:
    """A short scenario whose third phase has the fault; ``row``: as a row of ``faults``."""
    path = scenario(folder / "mine.yaml", PHASES)
    body = yaml.safe_load(path.read_text())
    body["phases"][2] |= {"faults": [{**row, "fault": fault}]} if row else {"fault": fault}
    path.write_text(yaml.safe_dump(body))
    return path


def astray(folder: Path, how: str) -> Ended:
    code = ASTRAY[how] + "from loadtests.cli import main\nmain()\n"
    words = ["run", with_fault(folder, LATENCY), "--out", folder / "run"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, words)],
        env=environment({}), cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr, folder / "run")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    return together(
        {
            how: lambda how=how: astray(tmp_path_factory.mktemp(how.replace(" ", "-")), how)  # type: ignore[misc]  # bound at once
            for how in ASTRAY
        }
    )


@pytest.mark.parametrize("how", ASTRAY)
def test_a_fault_that_does_not_reach_its_users_cannot_say(runs: Mapping[str, Ended], how: str) -> None:
    ended = runs[how]
    assert (ended.code, ended.verdict["verdict"]) == (3, "cannot-say"), ended
    assert not processes_of(ended.run)


def test_users_that_go_round_toxiproxy_are_said(runs: Mapping[str, Ended]) -> None:
    assert "faults do not reach the users" in runs["bypass"].checks["self"]["reason"], runs["bypass"]


def test_a_fault_on_the_wrong_listener_was_seen_to_be_absent(runs: Mapping[str, Ended]) -> None:
    (fault,) = runs["wrong listener"].verdict["faults"]
    assert fault["effect"] == "absent", fault


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"kind": "latency", "latencyms": 300}, "latency_ms"),
        ({"kind": "latancy", "latency_ms": 300}, "latency"),
        ({"kind": "jam", "direction": "downstream"}, "down"),
        ({"kind": "bandwidth", "kb_per_s": 0}, "kb_per_s"),
    ],
    ids=str,
)
def test_a_misspelt_attribute_is_refused_before_anything_starts(
    tmp_path: Path, fault: dict[str, Any], named: str
) -> None:
    ended = gauntlet("run", with_fault(tmp_path, fault), cwd=tmp_path)
    assert ended.code == 2, ended
    assert named in ended.err
    assert "mine.yaml" in ended.err
    assert not ended.run.exists()


def test_a_cohort_that_nobody_is_in_is_refused(tmp_path: Path) -> None:
    path = with_fault(tmp_path, LATENCY, at_s=0, for_s=2, cohort="tablets")
    ended = gauntlet("run", path, cwd=tmp_path)
    assert ended.code == 2, ended
    assert "tablets" in ended.err
