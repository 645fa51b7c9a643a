"""What the backend says of arrivals; whatever else it says is no arrival. The real thing: tests/loadtests/backend/test_arrivals."""

from __future__ import annotations

import pytest

from loadtests.conductor import arrivals
from loadtests.conductor.arrivals import heard_at

URL = "ws://127.0.0.1:1/ws"


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ({"arrivals": [[0, 70], [3, 90]]}, {0: 70, 3: 90}),
        ({"arrivals": []}, {}),
        (None, {}),
        ({"error": "not found"}, {}),
        ({"arrivals": [[0]]}, {}),
        ({"arrivals": [["0", 1]]}, {}),
        ([], {}),
    ],
)
def test_numbers_and_times_or_nothing(monkeypatch: pytest.MonkeyPatch, said: object, heard: dict[int, int]) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(arrivals, "ask", lambda url, path: asked.append((url, path)) or said)
    assert heard_at(URL, b"\x00abc") == heard
    assert asked == [(URL, "/ws/arrivals?of=00616263")]
