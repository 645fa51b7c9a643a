"""The judge's proof of itself, on a few rows; the whole matrix is the command's."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from loadtests.backend.defects import CLUSTER_DEFECTS, DEFECTS
from loadtests.conductor import selftest
from loadtests.conductor.selftest import Cell, Figures
from loadtests.errors import ConfigError
from loadtests.history import ROW
from loadtests.simulation.faults import FAULTS
from loadtests.simulation.mistakes import MISTAKES
from loadtests.simulation.plan import SCENES, STORM
from tests.proofs.simulation import summed


@pytest.mark.parametrize("contract", selftest.CONTRACTS)
@pytest.mark.parametrize("defect", ["duplicate", "lost-event", "phantom-run"])
def test_a_defect_is_found_by_exactly_its_checkers(defect: str, contract: str) -> None:
    (cell,) = selftest.matrix([defect], [contract], 2)
    assert (cell.seeds, cell.detected, cell.wrong, cell.missed, cell.false_alarms) == (2, 2, {}, {}, 0)
    assert cell.ok
    assert cell.witness == -1


def test_what_a_contract_cannot_promise_is_never_found_under_it() -> None:
    (cell,) = selftest.matrix(["replay-skips"], ["netra"], 2)
    assert (cell.expected, cell.runs, cell.detected) == (frozenset(), 2, 0)
    assert cell.ok


def test_a_run_in_which_nothing_is_to_be_found_is_no_detection() -> None:
    """The gate alone can tell, and this judge has none: it is planted, and there is nothing to detect."""
    (cell,) = selftest.matrix(["late-event"], ["netra"], 2)
    assert (cell.seeds, cell.detected, cell.ok) == (2, 0, True)


def test_what_may_show_besides_may_not_where_nothing_may() -> None:
    assert selftest.possible("never-resumes", "reference") == {"complete"}
    assert selftest.possible("never-resumes", "netra") == frozenset()


@pytest.mark.parametrize("defect", CLUSTER_DEFECTS)
def test_what_shows_only_on_several_nodes_is_expected_too_though_it_is_not_played_here(defect: str) -> None:
    assert selftest.expected(defect, "reference") == CLUSTER_DEFECTS[defect].ids["reference"]
    assert selftest.possible(defect) == frozenset()


def test_a_judge_that_finds_something_else_is_told_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "found", lambda played, _: frozenset({"order"}) if played.planted else frozenset())
    (cell,) = selftest.matrix(["duplicate"], ["reference"], 2)
    assert not cell.ok
    assert (cell.detected, cell.wrong, cell.missed) == (0, {"order": 2}, {"duplicate": 2})
    assert cell.witness == 1


def test_a_judge_that_cries_wolf_is_told_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "found", lambda *_: frozenset({"duplicate"}))
    (cell,) = selftest.matrix(["duplicate"], ["reference"], 1)
    assert (cell.detected, cell.false_alarms, cell.ok) == (1, 1, False)
    assert set(selftest.figures("reference", 2).false_alarms) == {1, 2}


def test_what_was_counted_on_the_wire_is_held_against_the_history() -> None:
    played = selftest.twin(1, "reference", "talk")
    contract = selftest.compiled("reference")
    assert selftest.found(played, contract) == frozenset()
    lost = replace(played, rows=played.rows[: -ROW.size])
    unheard = replace(played, frames_heard=played.frames_heard + 1)
    unsent = replace(played, messages_sent=played.messages_sent - 1)
    for spoilt in (unheard, unsent):
        assert selftest.found(spoilt, contract) == {"self"}
    assert lost.digest != played.digest


def test_a_fault_that_did_nothing_takes_claims_away() -> None:
    played = selftest.twin(1, "reference", "cuts")
    contract = selftest.compiled("reference")
    idle = replace(played, touched=dict.fromkeys(played.touched, 0))
    sure = {check.id: check.verdict for check in selftest.judged(played, contract)}
    unsure = {check.id: check.verdict for check in selftest.judged(idle, contract)}
    assert (sure["reconnect"], unsure["reconnect"]) == ("valid", "unknown")


def test_every_defect_has_a_scene_and_a_command_that_replays_it() -> None:
    for defect in selftest.names():
        assert selftest.scene_of(defect) in SCENES
        assert selftest.command(defect, "netra", 7) == f"gauntlet selftest --contract netra --defect {defect} --seed 7"
        assert selftest.possible(defect).isdisjoint(selftest.expected(defect, "reference"))
    assert selftest.scene_of("") == STORM
    assert selftest.command("", "netra", 7) == "gauntlet selftest --contract netra --seed 7"
    assert set(selftest.names()) == {*DEFECTS, *MISTAKES}


def test_an_unknown_defect_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="duplicate"):
        selftest.names("duplicat")


USUAL = Counter({kind.name: 1 for kind in FAULTS.values() if not kind.rare})


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True),
        ({"effective": USUAL - Counter({"jam": 1})}, False),
        ({"effective": USUAL - Counter({"drop": 1})}, False),
        ({"contract": "netra", "effective": USUAL - Counter({"drop": 1})}, True),
        ({"runs": 0, "reconnecting": 0}, False),
        ({"reconnecting": 8}, True),
        ({"reconnecting": 7}, False),
        ({"small": 1}, False),
        ({"false_alarms": {3: ("order",)}}, False),
    ],
)
def test_figures_are_right_only_where_every_promise_is_kept(changes: dict[str, Any], ok: bool) -> None:
    assert Figures(**{"contract": "reference", "runs": 10, "reconnecting": 10, "effective": USUAL, **changes}).ok is ok


def test_faults_that_only_some_scenes_have_are_counted_over_the_matrix() -> None:
    (cell,) = selftest.matrix([ghostly()], ["reference"], 1)
    done, planned = selftest.rare_faults([cell])["vanish"]
    assert (done, planned) == (cell.runs, cell.runs)
    idle = replace(cell, effective=Counter())
    assert selftest.rare_faults([idle, idle])["vanish"] == (0, 2 * cell.runs)
    assert "ban" not in selftest.rare_faults([cell])


def ghostly() -> str:
    """A defect that needs users who vanish."""
    return next(name for name in DEFECTS if selftest.scene_of(name) == "ghosts" and DEFECTS[name].ids["reference"])


@pytest.mark.parametrize(
    ("seeds", "detected", "ok"), [(0, 0, False), (1, 1, False), (19, 19, False), (20, 19, False), (20, 20, True)]
)
def test_a_cell_with_fewer_occasions_than_were_wanted_proves_nothing(seeds: int, detected: int, ok: bool) -> None:
    cell = Cell("duplicate", "reference", frozenset({"duplicate"}), 20, runs=80, seeds=seeds, detected=detected)
    assert cell.ok is ok


@pytest.mark.parametrize(("reconnecting", "ok"), [(80, True), (79, False)])
def test_the_proof_fails_where_too_few_storms_had_a_reconnect(reconnecting: int, ok: bool) -> None:
    storms = {
        "runs": 100, "sessions": 900, "turns": 7_000, "events": 70_000, "reconnecting": reconnecting, "small": 0, "cpu_s": 1.0,
        "faults": USUAL, "effective": USUAL, "false_alarms": [],
    }  # fmt: skip
    assert summed("reference", [storms])["ok"] is ok
    assert not summed("reference", [{**storms, "false_alarms": ["gauntlet selftest"]}])["ok"]
