"""Every fault bites, heals, and touches nobody but whom it is meant for."""

from __future__ import annotations

import random
from typing import Any

import pytest

from loadtests.simulation.clock import START_NS, Clock
from loadtests.simulation.faults import FAULTS, PlannedFault, Site
from loadtests.simulation.network import Road, Socket
from loadtests.simulation.pipe import Bite, Conditions, Weather
from tests.loadtests.simulation.ears import Ear

WORDS = b"so many words, that a thousand bytes are soon said, "
ENDS = {name for name, kind in FAULTS.items() if kind.disconnects and name != "ban"}


class Link:
    """What a ban looks at."""

    welcomed = True

    def __init__(self, client: int) -> None:
        self.client = client


class FakeHost:
    def __init__(self) -> None:
        self.links = [Link(number) for number in range(6)]
        self.banned: set[int] = set()
        self.life: list[str] = []

    def kill(self) -> None:
        self.life.append("killed")

    def start(self) -> None:
        self.life.append("started")


class Ground:
    """A treated and a control road with three connections each, whose servers talk all the time."""

    def __init__(self, kind: str, direction: str = "both", amount: float = 0.0, *, quietly: bool = False) -> None:
        self.clock = Clock()
        self.host = FakeHost()
        self.sockets: list[tuple[str, Socket]] = []
        self.ears: dict[str, list[Ear]] = {"treated": [], "control": []}
        rng = random.Random(3)
        self.roads = {
            name: Road(self.clock, rng, Conditions(delay_ms=1.0), lambda socket, name=name: self.accept(name, socket))
            for name in self.ears
        }
        for name, road in self.roads.items():
            for _ in range(3):
                ear = Ear()
                self.ears[name].append(ear)
                road.connect(ear)
        self.fault = PlannedFault(
            id="w1", kind=kind, start_ms=100.0, duration_ms=500.0, direction=direction, amount=amount  # type: ignore[arg-type]
        )  # fmt: skip
        self.site = Site(
            fault=self.fault, bite=Bite(), road=self.roads["treated"], roads=list(self.roads.values()), host=self.host,  # type: ignore[arg-type]
            rng=rng, quietly=quietly,
        )  # fmt: skip
        self.talk()

    def accept(self, name: str, socket: Socket) -> bool:
        socket.attach(Ear())
        self.sockets.append((name, socket))
        return True

    def talk(self) -> None:
        for _, socket in self.sockets:
            socket.send(WORDS)
        self.clock.after_ms(10.0, self.talk)

    def play(self) -> None:
        kind = FAULTS[self.fault.kind]
        self.clock.after_ms(100.0, lambda: kind.begin(self.site))
        self.clock.after_ms(600.0, lambda: kind.heal(self.site))
        self.clock.run(START_NS + 2_000_000_000)

    def ends(self, cohort: str) -> list[str]:
        return [end for ear in self.ears[cohort] for end in ear.ends]


def amount_of(name: str) -> float:
    return sum(FAULTS[name].amount) / 2


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_bites_and_its_heal_leaves_fine_weather(name: str) -> None:
    ground = Ground(name, amount=amount_of(name))
    ground.play()
    assert ground.site.bite.touched > 0
    for road in ground.roads.values():
        assert (road.up, road.down, road.refuses) == (Weather(), Weather(), None)


@pytest.mark.parametrize("name", sorted(ENDS))
def test_what_says_that_it_disconnects_does(name: str) -> None:
    ground = Ground(name, amount=amount_of(name))
    ground.play()
    assert len(ground.ends("treated")) == 3
    assert len(ground.ends("control")) == (3 if FAULTS[name].everybody else 0)


@pytest.mark.parametrize("name", sorted(set(FAULTS) - ENDS - {"vanish", "ban"}))
def test_what_says_that_it_does_not_disconnect_delivers_everything_in_the_end(name: str) -> None:
    ground = Ground(name, amount=amount_of(name))
    ground.play()
    assert ground.ends("treated") == []
    assert len({len(ear.heard) for cohort in ground.ears.values() for ear in cohort}) == 1


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_jam_of_one_direction_leaves_the_other_alone(direction: Any) -> None:
    ground = Ground("jam", direction)
    FAULTS["jam"].begin(ground.site)
    jammed = {"up": ground.roads["treated"].up, "down": ground.roads["treated"].down}
    assert {name for name, weather in jammed.items() if weather.jam} == {direction}


@pytest.mark.parametrize("name", ["reset", "cut", "herd", "down"])
def test_quietly_nothing_that_was_sent_is_lost(name: str) -> None:
    ground = Ground(name, quietly=True)
    ground.play()
    assert len(ground.ends("treated")) == 3
    assert all(ear.heard.endswith(WORDS) for ear in ground.ears["treated"])


def test_a_truncated_stream_ends_inside_of_something() -> None:
    ground = Ground("truncate")
    ground.play()
    assert any(len(ear.heard) % len(WORDS) for ear in ground.ears["treated"])


def test_a_ban_names_clients_and_a_restart_restarts() -> None:
    ban, restart = Ground("ban", amount=3.0), Ground("restart")
    ban.play()
    restart.play()
    assert len(ban.host.banned) == 3
    assert restart.host.life == ["killed", "started"]


def test_who_vanishes_tells_nobody() -> None:
    ground = Ground("vanish", amount=2.0)
    ground.play()
    assert sorted(len(ear.ends) for ear in ground.ears["treated"]) == [0, 1, 1]
    assert {end for ear in ground.ears["treated"] for end in ear.ends} == {"vanished"}
    assert all(not ear.ends for ear in ground.ears["control"])
