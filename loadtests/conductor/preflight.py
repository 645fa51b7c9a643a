"""One connection and one turn before any load: what cannot work is said before it is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtests.conductor.processes import ask_probe
from loadtests.contract.compile import Contract
from loadtests.errors import ConfigError, PreflightError
from loadtests.plaintext import printable

__all__ = ["preflight"]

LIMIT_S = 60.0
SHOWN = 5
HINTS = {
    "unreachable": "is the backend running, and is the address right?",
    "no-websocket": "something answers there, but not a WebSocket at this path",
    "refused": "check the token in --token-env's variable and the contract's auth",
}


def preflight(run_dir: Path, tag: Mapping[str, str], contract: Contract) -> dict[str, Any]:
    """The probe's report. Connected and silent passes: that is the backend's fault, and the run will show it.

    Raises:
        PreflightError: nobody there, refused, no WebSocket, or frames of which none fits the contract.
        ConfigError: what the probe itself found wrong with its options.
    """
    report: dict[str, Any] = json.loads(ask_probe(run_dir, tag, LIMIT_S))
    if "error" in report:
        raise ConfigError("preflight", "", str(report["error"]))
    fit = report["fit"]
    if fit == "misfit":
        frames = "".join(f"\n  {printable(frame['text'])}" for frame in report["frames"][:SHOWN])
        raise PreflightError(
            "contract", f"contract {contract.name} does not fit, none of these frames is in it:{frames}"
        )
    if fit in HINTS:
        raise PreflightError("connect", printable(report["problem"]), HINTS[fit])
    return report
