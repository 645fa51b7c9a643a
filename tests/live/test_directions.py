"""Which way a fault went, measured: canary, real Toxiproxy and the embedded backend, which tells when pings arrive."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from chaos.faults import Toxic
from chaos.listeners import open_listeners
from chaos.nemesis import Nemesis
from chaos.plan import PhaseSpec, make_plan
from chaos.server import provide
from loadtests.conductor.arrivals import heard_at
from loadtests.dial import Dial
from loadtests.journal import Journal, read_journal
from loadtests.pings import CANARY
from tests.live.gauntlet import backend

pytestmark = pytest.mark.live

FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "latency up": ({"kind": "latency", "latency_ms": 100, "direction": "up"}, "measured up +1"),
    "latency down": ({"kind": "latency", "latency_ms": 100, "direction": "down"}, "measured up "),
    "jitter up": ({"kind": "jitter", "jitter_ms": 60, "direction": "up"}, "measured up +"),
    "jam up": ({"kind": "jam", "direction": "up"}, "measured up"),
    "jam down": ({"kind": "jam", "direction": "down"}, "measured down"),
    "jam both": ({"kind": "jam"}, "measured up; down read back"),
    "drop up": ({"kind": "drop", "direction": "up"}, "measured up"),
    "drop down": ({"kind": "drop", "direction": "down"}, "measured down"),
}
#: phases whose toxics go the other way than was asked, and what is measured there
ASTRAY = {
    "latency astray": ({"kind": "latency", "latency_ms": 100, "direction": "up"}, "measured up "),
    "jam astray": ({"kind": "jam", "direction": "down"}, "measured up"),
}
OTHER: dict[str, Literal["upstream", "downstream"]] = {"upstream": "downstream", "downstream": "upstream"}


def test_every_fault_with_a_direction_has_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phases = [PhaseSpec("steady", 2.0)]
    rows = FAULTS | ASTRAY
    for name, (fault, _) in rows.items():
        phases += [PhaseSpec(name.replace(" ", "-"), 1.5, fault), PhaseSpec(f"after-{name.replace(' ', '-')}", 2.5)]
    plan, history = make_plan(phases, 1), tmp_path / "history.jsonl"
    journal = Journal(history)
    with backend() as url:
        parts = urlsplit(url)
        address = (str(parts.hostname), int(parts.port or 0))
        run = f"test-{uuid.uuid4().hex[:8]}"
        opened = open_listeners(["treated"], address, run, log_dir=tmp_path, binary=provide(print))
        control = opened["treated"].control
        monkeypatch.setattr(
            control, "add_toxic", partial(led_astray, control.add_toxic, {w.id for w in plan.windows[len(FAULTS) :]})
        )
        try:
            dial = Dial(address, url, f"http://{parts.netloc}", (("User-Agent", CANARY),))
            nemesis = Nemesis(plan, opened, journal, dial, heard=partial(heard_at, url))
            nemesis.watch()
            nemesis.start(time.monotonic_ns())
            assert nemesis.join(plan.end_ms / 1000 + 30)
        finally:
            for one in opened.values():
                one.close()
    assert nemesis.errors == []
    effects = {record["id"]: record for record in read_journal(history) if record["type"] == "effect"}
    for window, (name, (_, words)) in zip(plan.windows, rows.items(), strict=True):
        found = effects[window.id]
        assert found["effect"] == ("absent" if name in ASTRAY else "confirmed"), (name, found)
        assert found["measured"]["direction"].startswith(words), (name, found)


def led_astray(add: Callable[[str, str, Toxic], None], windows: set[str], proxy: str, name: str, toxic: Toxic) -> None:
    """A toxic of one of these windows is put on the other stream, under the name by which it is found again."""
    astray = name.partition("-")[0] in windows
    add(proxy, name, replace(toxic, stream=OTHER[toxic.stream]) if astray else toxic)
