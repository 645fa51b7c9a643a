"""A plan is a function of seed, contract and scene, and holds what a run must hold."""

from __future__ import annotations

from itertools import pairwise

import pytest

from loadtests.contract import Contract, load
from loadtests.simulation.faults import FAULTS
from loadtests.simulation.plan import SCENES, STORM, plan_of

SEEDS = range(200)


@pytest.fixture(scope="module", params=["reference", "netra"])
def contract(request: pytest.FixtureRequest) -> Contract:
    return load(request.param)


def test_the_same_seed_makes_the_same_plan_and_another_another(contract: Contract) -> None:
    for scene in (STORM, *SCENES):
        assert plan_of(7, contract, scene) == plan_of(7, contract, scene)
        assert plan_of(7, contract, scene) != plan_of(8, contract, scene)


def test_a_defect_changes_nothing_of_the_plan_but_its_name(contract: Contract) -> None:
    spoilt, clean = plan_of(5, contract, "talk", "duplicate"), plan_of(5, contract, "talk")
    assert {name for name in clean.__slots__ if getattr(clean, name) != getattr(spoilt, name)} == {"defect"}


def test_every_storm_is_large_enough_and_meets_two_faults(contract: Contract) -> None:
    for seed in SEEDS:
        plan = plan_of(seed, contract)
        assert plan.users >= 8
        assert plan.turns >= 4
        assert len(plan.faults) >= 2
        assert 0 < len(plan.treated) < plan.users


def test_nine_storms_in_ten_break_connections_and_every_kind_comes_up(contract: Contract) -> None:
    plans = [plan_of(seed, contract) for seed in SEEDS]
    breaking = [any(FAULTS[fault.kind].disconnects for fault in plan.faults) for plan in plans]
    assert sum(breaking) >= 0.9 * len(SEEDS)
    usual = {kind.name for kind in FAULTS.values() if not kind.rare and (contract.resumes or not kind.needs_resume)}
    assert {fault.kind for plan in plans for fault in plan.faults} == usual


def test_faults_leave_time_to_recover_and_never_end_connections_two_at_a_time(contract: Contract) -> None:
    for seed in SEEDS:
        faults = plan_of(seed, contract).faults
        for one, other in pairwise(faults):
            overlap = other.start_ms < one.start_ms + one.duration_ms
            both = FAULTS[one.kind].disconnects or one.kind == other.kind
            assert not (overlap and both), (seed, one, other)
            assert one.duration_ms > 0


def test_only_storms_are_cut_short_and_only_where_the_contract_knows_it_does_anybody_interfere(
    contract: Contract,
) -> None:
    assert any(plan_of(seed, contract).killed_at_ms for seed in SEEDS)
    for scene in SCENES:
        assert not any(plan_of(seed, contract, scene).killed_at_ms for seed in range(50))
    plan = plan_of(1, contract)
    assert bool(plan.cancel_share) == (contract.file.cancel is not None)
    assert bool(plan.overlap_share) == bool(contract.file.turn.concurrent)
    assert plan_of(1, contract, "talk").cancel_share == 0.0
