"""What a plan of the chaos package asks of the simulated network beside what seeds draw: bounds, shares, counts, length."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from loadtests.contract import load
from loadtests.history import RowKind
from loadtests.simulation import plan_of, play
from loadtests.simulation.clock import START_NS
from loadtests.simulation.memory import rows_of
from tests.loadtests.simulation.ears import Ear
from tests.loadtests.simulation.test_faults import Ground


def test_a_given_limit_holds_for_each_connection_that_begins_under_it() -> None:
    ground = Ground("truncate", amount=200.0)
    late = Ear()
    ground.clock.after_ms(300.0, lambda: ground.roads["treated"].connect(late))
    ground.play()
    assert [len(ear.heard) > 200 for ear in ground.ears["treated"]] == [True] * 3  # from when it began
    assert len(late.heard) == 200
    assert late.ends != []
    assert ground.roads["treated"].greet is None


def test_a_limit_on_what_goes_up_leaves_what_comes_down_alone() -> None:
    ground = Ground("truncate", "up", amount=10.0)
    ground.play()
    assert ground.ends("treated") == []


def test_a_limit_on_what_goes_up_breaks_the_line_of_who_says_more() -> None:
    ground = Ground("truncate", "up", amount=10.0)
    talker = ground.roads["treated"].connections[0]
    ground.clock.after_ms(200.0, lambda: talker.client.send(b"more than ten bytes"))
    ground.play()
    first, *others = ground.ears["treated"]
    assert first.ends != []
    assert [other.ends for other in others] == [[], []]


@pytest.mark.parametrize(("share", "cut"), [(0.0, 3), (0.34, 1), (0.01, 1), (1.0, 3)])
def test_a_share_of_a_herd_is_cut(share: float, cut: int) -> None:
    ground = Ground("herd", amount=share)
    ground.play()
    assert len(ground.ends("treated")) == cut


@pytest.mark.parametrize(("asked", "downs"), [(0.0, 3), (1.0, 1), (5.0, 5)])
def test_a_listener_flaps_as_often_as_is_asked(asked: float, downs: int) -> None:
    ground = Ground("flap", amount=asked)
    states: list[bool] = []

    def look() -> None:
        states.append(ground.roads["treated"].refuses is not None)
        ground.clock.after_ms(1.0, look)

    look()
    ground.play()
    assert sum(now and not before for before, now in pairwise(states)) == downs


def test_a_plan_may_say_how_long_users_talk_and_what_they_say() -> None:
    contract = load("reference")
    plan = replace(
        plan_of(3, contract), faults=(), turns=100, lasts_ms=10_000.0, prompts=("Only this?",), killed_at_ms=0.0
    )
    played = play(plan, contract, contract)
    rows = rows_of(played.rows)
    sends = rows["received"][rows["kind"] == RowKind.SEND]
    assert 1 <= len(sends) / plan.users <= 10_000 / plan.pace_ms * 2
    assert np.max(sends) < START_NS + 11_000_000_000
