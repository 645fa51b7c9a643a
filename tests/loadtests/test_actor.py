"""Acts happen at their times, to those who were drawn, and leave a line each: the proof of their effect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns
from typing import Any

import gevent
import pytest

from loadtests.actor import LINGER_S, Actor
from loadtests.acts import LEAD_MS, Act, Cast, members_of, read

pytestmark = pytest.mark.live
NS_PER_MS = 1_000_000


class Doll:
    """A player that only remembers."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.done: list[str] = []
        self.closed_ns = 0

    def _do(self, what: str) -> bool:
        self.done.append(what)
        return self.there

    def stop_reading(self) -> bool:
        return self._do("deaf")

    def fall_asleep(self) -> bool:
        return self._do("asleep")

    def unread_bytes(self) -> int:
        return 7

    def look(self) -> None:
        self._do("look")

    def wake(self) -> None:
        self._do("wake")

    def lose(self, why: str, *, reset: bool) -> bool:
        return self._do(f"lost by {'rst' if reset else 'fin'}: {why}")

    def leave(self, why: str) -> Any:
        return self if self._do(f"left: {why}") else None

    def close(self) -> None:
        self.closed_ns = monotonic_ns()
        self._do("closed")


@pytest.fixture(autouse=True)
def no_test_hangs() -> Iterator[None]:
    with gevent.Timeout(10):
        yield


def played(folder: Path, kind: str, dolls: list[Doll], **asked: Any) -> list[dict[str, Any]]:
    """One act of 100 ms on all of these, played to its end; the lines it left."""
    (folder / "rows").mkdir()
    cast = Cast([Act("w1", kind, "treated", 0, 100, asked)], 1, members_of(frozenset(range(len(dolls))), len(dolls)))
    actor = Actor(cast, dict(enumerate(dolls)), folder / "rows", "worker-0")
    start_ns = monotonic_ns()
    gevent.joinall(actor.play(start_ns), raise_error=True)
    actor.close()
    lines = read(folder)
    assert [line["act"] for line in lines] == ["begin", "end"]
    assert lines[0]["at_ns"] - start_ns >= LEAD_MS * NS_PER_MS
    assert lines[1]["at_ns"] - start_ns >= 100 * NS_PER_MS
    return lines


@pytest.mark.parametrize(("kind", "first"), [("sleep", "asleep"), ("slow-consumer", "deaf")])
def test_who_stopped_looks_first_and_goes_on_then(tmp_path: Path, kind: str, first: str) -> None:
    dolls = [Doll(), Doll()]
    begin, end = played(tmp_path, kind, dolls)
    assert [doll.done for doll in dolls] == [[first, "look", "wake"]] * 2
    assert (begin["sessions"], begin["of"]) == ([0, 1], 2)
    assert (end["held_bytes"], end["held_sessions"]) == (14, 2)


def test_only_who_was_really_hit_is_named_and_woken(tmp_path: Path) -> None:
    dolls = [Doll(there=False), Doll()]
    begin, _ = played(tmp_path, "sleep", dolls)
    assert (begin["sessions"], begin["of"]) == ([1], 2)
    assert dolls[0].done == ["asleep"]


@pytest.mark.parametrize(("how", "word"), [({}, "rst"), ({"how": "rst"}, "rst"), ({"how": "fin"}, "fin")])
def test_a_mass_disconnect_is_one_deed_at_the_begin(tmp_path: Path, how: dict[str, str], word: str) -> None:
    doll = Doll()
    played(tmp_path, "mass-disconnect", [doll], **how)
    assert doll.done == [f"lost by {word}: our own act: mass-disconnect of w1"]


def test_the_old_path_of_a_switch_stays_open_until_the_window_is_healed(tmp_path: Path) -> None:
    doll, away = Doll(), Doll(there=False)
    begin, end = played(tmp_path, "switch", [doll, away])
    assert doll.done == ["left: our own act: switch of w1", "closed"]
    assert away.done == ["left: our own act: switch of w1"]
    assert begin["sessions"] == [0]
    assert doll.closed_ns - end["at_ns"] >= LINGER_S * 1e9


def test_what_only_sends_new_connections_elsewhere_is_no_deed(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    cast = Cast([Act("w1", "handshake", "treated", 0, 1, {}, "treated-hs")], 1, members_of(frozenset({0}), 1))
    actor = Actor(cast, {0: Doll()}, tmp_path / "rows", "worker-0")
    assert actor.play(monotonic_ns()) == []
    actor.close()
    actor.close()
    assert read(tmp_path) == []


def test_an_end_of_the_process_in_the_middle_leaves_no_socket(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    doll = Doll()
    cast = Cast([Act("w1", "switch", "treated", 0, 60_000)], 1, members_of(frozenset({0}), 1))
    actor = Actor(cast, {0: doll}, tmp_path / "rows", "worker-0")
    greenlets = actor.play(monotonic_ns())
    while not doll.done:
        gevent.sleep(0.005)
    gevent.killall(greenlets)
    actor.close()
    assert doll.done[-1] == "closed"
