"""The wrong policies are wrong in the way that their names say."""

from __future__ import annotations

import random

import pytest

from loadtests.contract import load
from loadtests.history import RowKind
from loadtests.retry import Backoff, Policy
from loadtests.simulation import Played, plan_of, play
from loadtests.simulation.memory import rows_of
from loadtests.simulation.mistakes import MISTAKES

POLICY = Policy(base_ms=100, cap_ms=800, attempts=6)


def waits(name: str, times: int, seed: int = 1) -> list[float | None]:
    backoff = MISTAKES[name].backoff(POLICY, random.Random(seed))
    return [backoff.failed() for _ in range(times)]


def test_wrong_policies() -> None:
    assert waits("fixed-wait", 7) == [1000.0] * 6 + [None]
    assert waits("no-jitter", 7) == [100.0, 200.0, 400.0, 800.0, 800.0, 800.0, None]
    assert waits("no-jitter", 4, seed=2) == waits("no-jitter", 4)
    assert waits("frantic", 100) == [10.0] * 100


def test_a_grudge_is_borne_over_a_success() -> None:
    backoff = MISTAKES["grudge"].backoff(POLICY, random.Random(1))
    for _ in range(5):
        backoff.failed()
    backoff.succeeded()
    assert backoff.attempt == 5
    assert all(backoff.failed() is not None for _ in range(50))


@pytest.mark.parametrize("name", ["fixed-wait", "no-jitter", "frantic", "grudge"])
def test_all_but_the_stubborn_heed_a_fatal_code(name: str) -> None:
    assert MISTAKES[name].backoff(POLICY, random.Random(1)).failed(fatal=True) is None
    assert MISTAKES["stubborn"].backoff(POLICY, random.Random(1)).failed(fatal=True) is not None


def test_every_row_says_what_it_does_and_makes_one_mistake() -> None:
    flags = ("resigns", "dials_twice", "hears_twice", "loses_flight", "half_reads")
    for name, row in MISTAKES.items():
        assert (row.name, bool(row.sentence)) == (name, True)
        assert set(row.ids) == {"reference", "netra"}
        assert sum(getattr(row, flag) for flag in flags) + (row.backoff is not Backoff) == 1


@pytest.fixture(scope="module")
def crowds() -> dict[str, Played]:
    contract = load("reference")
    names = ("", "never-back", "two-sockets", "doubled-handler", "half-read", "lost-flight")
    return {name: play(plan_of(1, contract, "crowd", name), contract, contract) for name in names}


def count(played: Played, kind: RowKind) -> int:
    return int((rows_of(played.rows)["kind"] == kind).sum())


def test_mistakes_of_the_shell_are_made(crowds: dict[str, Played]) -> None:
    assert crowds[""].planted == 0
    assert all(crowds[name].planted for name in ("never-back", "two-sockets", "doubled-handler", "lost-flight"))
    assert count(crowds["never-back"], RowKind.DIAL) < count(crowds[""], RowKind.DIAL) / 2
    assert count(crowds["two-sockets"], RowKind.OPEN) > count(crowds["two-sockets"], RowKind.CLOSE)


def test_what_is_counted_on_the_wire_gives_them_away(crowds: dict[str, Played]) -> None:
    for name, played in crowds.items():
        events = count(played, RowKind.EVENT)
        assert (events > played.frames_heard) == (
            name == "doubled-handler" or (name == "half-read" and played.planted > 0)
        ), name
        assert (played.messages_handed > played.messages_sent) == (name == "lost-flight"), name
