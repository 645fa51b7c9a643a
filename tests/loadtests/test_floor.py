"""What the echo before a run took."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from loadtests import floor
from loadtests.floor import ROUND_TRIPS, measured

pytestmark = pytest.mark.live


def test_every_round_trip_is_counted_and_the_slowest_is_the_longest() -> None:
    found = measured()
    assert found is not None
    assert found.round_trips == ROUND_TRIPS
    assert 0 < found.p50_ms <= found.p99_ms <= found.max_ms


def test_the_echo_ends_when_nobody_holds_its_stdin() -> None:
    words = [sys.executable, "-P", "-m", "loadtests.floor"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as echo:
        assert echo.stdout is not None
        assert echo.stdin is not None
        assert int(echo.stdout.readline()) > 0
        echo.stdin.close()
        assert echo.wait(20) == 0


def test_without_an_echo_there_is_no_floor_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = subprocess.Popen
    nothing = [sys.executable, "-c", "pass"]
    monkeypatch.setattr(floor.subprocess, "Popen", lambda _, **how: real(nothing, **how))
    assert measured() is None
