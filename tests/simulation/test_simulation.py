"""The simulation as a whole: the same bytes everywhere, every fault at work, and no finding without a defect."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.conductor import selftest
from loadtests.contract import load
from loadtests.retry import policy_of
from loadtests.simulation import plan_of, play
from loadtests.simulation.faults import PlannedFault
from loadtests.simulation.plan import SCENES

ROOT = Path(__file__).parents[2]
RUNS = 40
DIGESTS = """
from loadtests.contract import load
from loadtests.simulation import plan_of, play
for name in ("reference", "netra"):
    contract = load(name)
    for scene in ("storm", "cuts", "seconds"):
        print(name, scene, play(plan_of(4, contract, scene), contract, load("reference")).digest)
"""


def digests(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-P", "-c", DIGESTS]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120
    ).stdout


def test_the_same_seed_gives_the_same_bytes_in_another_process_under_another_hash_seed() -> None:
    first = digests("1")
    assert len(set(first.split()[2::3])) == 6
    assert digests("2") == digests("random") == first


@pytest.mark.parametrize("contract", selftest.CONTRACTS)
def test_clean_storms_give_no_alarm_and_leave_no_fault_idle(contract: str) -> None:
    clean = selftest.figures(contract, RUNS)
    assert clean.false_alarms == {}
    assert clean.idle_faults == ()
    assert clean.small == 0
    assert clean.reconnecting >= 0.8 * clean.runs
    assert clean.turns >= RUNS * 8 * 4


def test_a_storm_in_which_many_wait_in_doubt_at_the_end_of_the_faults_is_large_enough() -> None:
    """Under a contract that does not resume three of nine users once waited through nearly all their turns."""
    assert selftest.figures("netra", 1, 1225).small == 0


def test_who_is_sent_away_for_good_has_had_his_last_turn_s_end() -> None:
    """In this crowd one who was banned was cut in the middle of a turn."""
    assert selftest.found(selftest.twin(31, "reference", "crowd"), selftest.compiled("reference")) == frozenset()


@pytest.mark.parametrize("contract", selftest.CONTRACTS)
def test_every_defect_and_mistake_is_found_by_exactly_its_checkers(contract: str) -> None:
    """Once each; the proof plays twenty seeds of each."""
    cells = list(selftest.matrix(selftest.names(), [contract], 1))
    assert [cell.defect for cell in cells] == list(selftest.names())
    assert {cell.defect: (cell.wrong, cell.missed) for cell in cells if not cell.ok} == {}


@pytest.mark.parametrize("scene", SCENES)
def test_the_clean_twin_of_every_scene_is_clean(scene: str) -> None:
    for contract in selftest.CONTRACTS:
        for seed in (1, 2):
            played = selftest.twin(seed, contract, scene)
            assert selftest.found(played, selftest.compiled(contract)) == frozenset(), (contract, seed)


@pytest.mark.parametrize(
    ("down_ms", "defect", "ids"),
    [(40_000.0, "", set()), (12_000.0, "", set()), (12_000.0, "refuses-return", {"reconnect"})],
)
def test_a_product_s_client_that_waits_as_it_declares_is_nobody_s_fault_and_a_backend_that_refuses_it_is(
    tmp_path: Path, down_ms: float, defect: str, ids: set[str]
) -> None:
    """The audited web client waits for up to 30 s, three times the budget; and hardly a message calls for an attempt."""
    file = tmp_path / "web.yaml"
    file.write_text("contract: 1\nname: web\nextends: reference\nclient: {policy: web-client}\n")
    contract = load(str(file))
    down = PlannedFault(id="w1", kind="down", start_ms=8_000.0, duration_ms=down_ms)
    for seed in (1, 2, 3):
        calm = replace(plan_of(seed, contract, "crowd", defect), policy=policy_of("web-client", "test"), turns=3)
        played = play(replace(calm, pace_ms=40_000, faults=(down,)), contract, selftest.compiled(selftest.WIRE))
        checks = {check.id: check for check in selftest.judged(played, contract)}
        assert {id_ for id_, check in checks.items() if check.verdict == "invalid"} == ids, seed
        assert {checks[id_].verdict for id_ in ("retries", "self")} == {"valid"}, seed
