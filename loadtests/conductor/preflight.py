"""One connection and one turn before any load: what cannot work is said before it is measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loadtests.conductor.processes import ask_probe
from loadtests.contract.compile import Contract, built_in, load
from loadtests.errors import ConfigError, PreflightError
from loadtests.plaintext import printable

__all__ = ["preflight", "what_fits_better"]

LIMIT_S = 60.0
SHOWN = 5
HINTS = {
    "unreachable": "is the backend running, and is the address right?",
    "no-websocket": "something answers there, but not a WebSocket at this path",
    "refused": "check the token in --token-env's variable, and the contract's auth and endpoint",
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
        texts = [str(frame["text"]) for frame in report["frames"]]
        frames = "".join(f"\n  {printable(text)}" for text in texts[:SHOWN])
        raise PreflightError(
            "contract",
            f"contract {contract.name} does not fit, none of these frames is in it:{frames}\n",
            what_fits_better(contract, (str(frame.get("whole") or frame["text"]) for frame in report["frames"])),
        )
    if fit in HINTS:
        raise PreflightError("connect", printable(report["problem"]), HINTS[fit])
    return report


def what_fits_better(contract: Contract, texts: Iterable[str]) -> str:
    """Which of the built-in contracts know most of these frames; if none does, what this one waited for."""
    seen = [text.encode() for text in texts]
    known = {}
    for name in built_in():
        decode = load(name).decode
        known[name] = sum(1 for raw in seen if decode(raw)[0])
    most = max(known.values(), default=0)
    if most:
        # Of a family the base is meant, which has the shortest name.
        names = sorted((name for name, count in known.items() if count == most), key=len)
        return f"known to {', '.join(names)}: --contract {names[0]}?"
    waited = contract.file.handshake.ready or next(iter(contract.names("started")), "")
    return f"it waits for {waited}; see gauntlet contract show {contract.name}" if waited else ""
