"""Processes that die and come back, and keep house between."""

from __future__ import annotations

from loadtests.simulation.clock import START_NS
from tests.loadtests.simulation.ears import Ear
from tests.loadtests.simulation.houses import Scene


def test_idle_clients_get_a_heartbeat_and_each_second_is_counted() -> None:
    scene = Scene()
    scene.upgrade()
    scene.run(10_500)
    assert scene.backend.idled == 1
    assert [sessions for _, sessions in scene.host.census] == [1] * 10


def test_a_dead_process_tells_nobody_and_its_timers_mean_nothing() -> None:
    scene = Scene()
    scene.upgrade()
    rung: list[str] = []
    first = scene.backend
    first.world.schedule(100.0, lambda: rung.append("old"))
    scene.host.kill()
    assert isinstance(scene.road.connect(Ear()), object)
    scene.host.start()
    scene.backend.world.schedule(100.0, lambda: rung.append("new"))
    scene.run(1_000)
    assert rung == ["new"]
    assert first.lost_ones == []
    assert scene.clock.now_ns > START_NS


def test_names_are_never_made_twice() -> None:
    scene = Scene()
    names = [scene.backend.world.new_id("st")]
    scene.host.kill()
    scene.host.start()
    names.append(scene.backend.world.new_id("st"))
    assert len(set(names)) == 2
