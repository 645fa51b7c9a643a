"""The one table of all faults, and how a mapping becomes one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.faults.backend import BackendKill, BackendPause, BackendRestart, NodeKill, Rollout
from chaos.faults.bandwidth import Bandwidth
from chaos.faults.command import Command
from chaos.faults.down import Down
from chaos.faults.drop import Drop
from chaos.faults.fault import Acted, Baseline, Bite, Fault, Measured, Step, Toxic
from chaos.faults.flap import Flap
from chaos.faults.half_open import HalfOpen
from chaos.faults.handshake import WRAPPED, Handshake
from chaos.faults.jam import Jam
from chaos.faults.jitter import Jitter
from chaos.faults.latency import Latency
from chaos.faults.limit_data import LimitData
from chaos.faults.mass_disconnect import MassDisconnect
from chaos.faults.reset import Reset
from chaos.faults.sleep import Sleep
from chaos.faults.slicer import Slicer
from chaos.faults.slow_close import SlowClose
from chaos.faults.slow_consumer import SlowConsumer
from chaos.faults.switch import Switch
from loadtests.configfile import convert, nearest
from loadtests.errors import ConfigError

__all__ = ["FAULTS", "Acted", "Baseline", "Bite", "Fault", "Measured", "Step", "Toxic", "parse_fault"]

FAULTS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        Latency, Jitter, Bandwidth, Slicer, LimitData, Jam, Drop, Reset, SlowClose, Down, Flap, HalfOpen, SlowConsumer, Switch,
        Sleep, MassDisconnect, Handshake, BackendKill, BackendPause, BackendRestart, NodeKill,
        Rollout, Command,
    )
}  # fmt: skip


def parse_fault(data: Mapping[str, Any], where: str, place: str) -> Fault:
    """``{kind: latency, latency_ms: 200}`` as a fault.

    Raises:
        ConfigError: no such kind, an unknown key (with the nearest one), or a number out of bounds.
    """
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in FAULTS:
        problem = f"unknown fault {kind!r}" if "kind" in data else "no kind of fault is named"
        raise ConfigError(where, f"{place}.kind", problem, nearest(str(kind), list(FAULTS)))
    if kind == Handshake.kind and data.get("fault") in WRAPPED and isinstance(data.get("with", {}), Mapping):
        parse_fault({**data.get("with", {}), "kind": data["fault"]}, where, f"{place}.with")
    try:
        return convert({key: value for key, value in data.items() if key != "kind"}, FAULTS[kind], where)
    except ConfigError as error:
        inner = "" if error.place == "the top" else f".{error.place}"
        raise ConfigError(where, place + inner, f"{kind}: {error.problem}", error.expected) from None
