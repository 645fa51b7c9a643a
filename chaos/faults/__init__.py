"""The one table of all faults, and how a mapping becomes one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.faults.down import Down
from chaos.faults.drop import Drop
from chaos.faults.fault import Baseline, Bite, Fault, Measured, Toxic
from chaos.faults.jam import Jam
from chaos.faults.latency import Latency
from loadtests.configfile import convert, nearest
from loadtests.errors import ConfigError

__all__ = ["FAULTS", "Baseline", "Bite", "Fault", "Measured", "Toxic", "parse_fault"]

FAULTS: dict[str, type[Fault]] = {fault.kind: fault for fault in (Latency, Jam, Drop, Down)}


def parse_fault(data: Mapping[str, Any], where: str, place: str) -> Fault:
    """``{kind: latency, latency_ms: 200}`` as a fault.

    Raises:
        ConfigError: no such kind, an unknown key (with the nearest one), or a number out of bounds.
    """
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in FAULTS:
        problem = f"unknown fault {kind!r}" if "kind" in data else "no kind of fault is named"
        raise ConfigError(where, f"{place}.kind", problem, nearest(str(kind), list(FAULTS)))
    try:
        return convert({key: value for key, value in data.items() if key != "kind"}, FAULTS[kind], where)
    except ConfigError as error:
        inner = "" if error.place == "the top" else f".{error.place}"
        raise ConfigError(where, place + inner, f"{kind}: {error.problem}", error.expected) from None
