"""Runs against a server of another protocol: the clean one, each of its faults, and what must not begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.live.gauntlet import Ended, gauntlet, scenario, together
from tests.live.otherworld import served

__all__ = ["CLEAN", "Folder", "hasty", "judged", "refused"]

Folder = Callable[[str], Path]

CLEAN = "none"
#: as many connections as it takes to decide the contracts' gate on them
USERS = ("--users", "30")
SHORT: dict[str, float] = {"warm-up": 1.0, "steady": 4.0, "cool-down": 1.0}
#: a whole quarter of a minute of the clean server, since a rare finding would be a false one
LONG: dict[str, float] = {"warm-up": 2.0, "steady": 11.0, "cool-down": 2.0}
#: a turn of these servers takes half a second; what never ends must be given up before the run is over
HASTY_MS = 2500


def hasty(folder: Path, contract: str) -> Path:
    """The contract, for who does not want to wait long for a welcome or an end."""
    file = folder / "hasty.yaml"
    file.write_text(
        f"contract: 1\nname: hasty\nextends: {contract}\nturn: {{deadline_ms: {HASTY_MS}}}\nhandshake: {{timeout_ms: {HASTY_MS}}}\n"
    )
    return file


def judged(server: str, contract: str, faults: Iterable[str], folder: Folder) -> Mapping[str, Ended]:
    """The clean server for a while, and each fault in a short run, never more at once than the cores bear."""

    def run(fault: str) -> Ended:
        here = folder(fault)
        clean = fault == CLEAN
        file = scenario(here / "short.yaml", LONG if clean else SHORT, pace_ms=1500)
        words = (file, "--no-chaos", *USERS, "--contract", contract if clean else hasty(here, contract))
        with served(server, "--fault", fault) as url:
            return gauntlet("run", *words, "--target", url, cwd=here)

    return together({fault: lambda fault=fault: run(fault) for fault in (CLEAN, *faults)})  # type: ignore[misc]  # bound at once


def refused(server: str, contract: str, folder: Path) -> str:
    """What is said where a contract meets a server of another protocol; nothing was measured."""
    words = (scenario(folder / "short.yaml"), "--no-chaos", *USERS, "--contract", hasty(folder, contract))
    with served(server) as url:
        ended = gauntlet("run", *words, "--target", url, cwd=folder)
    assert ended.code == 2, ended
    assert ended.rows_bytes == 0
    assert "Traceback" not in ended.err
    return ended.err[ended.err.index("gauntlet: ") :]
