"""A run is waited for as long as all of its parts are well, and not for ever."""

from __future__ import annotations

import pytest

from loadtests.conductor import watch
from loadtests.conductor.watch import Disorder, await_all


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.001)


def test_it_ends_when_it_is_done_and_ticks_until_then() -> None:
    ticks: list[int] = []
    await_all(lambda: len(ticks) == 3, 10, "never", [lambda: ""], lambda: ticks.append(1))
    assert len(ticks) == 3


def test_the_first_part_that_breaks_says_why() -> None:
    with pytest.raises(Disorder, match=r"^the second is gone$"):
        await_all(lambda: False, 10, "never", [lambda: "", lambda: "the second is gone", lambda: "third"], lambda: None)


def test_what_is_done_is_not_asked_for_its_parts() -> None:
    await_all(lambda: True, 10, "never", [lambda: "gone"], lambda: None)


def test_the_time_is_bounded() -> None:
    with pytest.raises(Disorder, match=r"^too long$"):
        await_all(lambda: False, 0.02, "too long", [], lambda: None)
