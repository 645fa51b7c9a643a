"""After a run that could not end in order: from its directory alone, end, heal, remove and revert what is left of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos.guard import LOCK
from chaos.revert import LEDGER, Reverted, holding, proxies, revert_all
from chaos.sweep import Swept, sweep
from loadtests.errors import ConfigError, RigError
from loadtests.manifest import run_id

__all__ = ["RECORD", "Cleaned", "cleanup"]

#: beside the run's own evidence, which is not added to
RECORD = "cleanup.json"
#: the guard of a conductor that was killed is gone within two seconds, unless there is much to revert
PATIENCE_S = 4.0


@dataclass(slots=True)
class Cleaned:
    """What was done and what would not go; ``left`` empty: all is clean."""

    swept: Swept
    reverted: Reverted
    lines: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def cleanup(run_dir: Path, urls: Sequence[str] = (), *, force: bool = False) -> Cleaned:
    """``urls``: a Toxiproxy that is not ours and that the manifest does not name. What was clean before stays as it is.
    ``force``: a run that is alive is ended too.

    Raises:
        ConfigError: no run directory.
        RigError: the run is alive.
    """
    if not (run_dir / "plan.json").is_file():
        raise ConfigError(str(run_dir), "", "is no run directory", "a folder with plan.json")
    if force:
        return _clean(run_dir, urls)
    with holding(run_dir / LOCK, PATIENCE_S) as over:
        if not over:
            raise RigError(_alive(run_dir))
        return _clean(run_dir, urls)


def _alive(run_dir: Path) -> str:
    """Who has the guard's lock."""
    try:
        holder = json.loads((run_dir / LOCK).read_bytes())
        conductor, guard = int(holder["process"]), int(holder["guard"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"run {run_dir.name} is alive: wait for its end, or end it with --force"
    if Path(f"/proc/{conductor}").exists():
        return f"run {run_dir.name} is alive (process {conductor}): wait for its end, or end it with --force"
    return f"run {run_dir.name} is over and its guard (process {guard}) still cleans up: wait for it, or use --force"


def _clean(run_dir: Path, urls: Sequence[str]) -> Cleaned:
    name = run_id(run_dir)
    where = list(dict.fromkeys([*urls, *_named(run_dir)]))
    swept = sweep(name, where, known=proxies(run_dir / LEDGER))
    reverted = revert_all(name, run_dir / LEDGER)
    cleaned = Cleaned(swept, reverted)
    cleaned.lines.append(_line(swept.killed, "process", "processes", "ended"))
    if where:
        cleaned.lines.append(_line(swept.proxies, "proxy", "proxies", f"deleted at {', '.join(where)}"))
    cleaned.lines += [f"{one}: its revert command was run" for one in reverted.done]
    cleaned.left = [*swept.left, *(f"revert of {one}" for one in reverted.failed)]
    cleaned.lines.append("nothing is left" if not cleaned.left else f"left: {'; '.join(cleaned.left)}")
    record = {"swept": asdict(swept), "reverted": asdict(reverted), "ok": not cleaned.left, "left": cleaned.left}
    part = run_dir / f"{RECORD}.part"
    part.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    part.replace(run_dir / RECORD)
    return cleaned


def _named(run_dir: Path) -> list[str]:
    """The Toxiproxy of the manifest, where it is an address and not the version of ours."""
    try:
        manifest: Any = json.loads((run_dir / "manifest.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    url = manifest.get("toxiproxy") if isinstance(manifest, dict) else None
    return [url] if isinstance(url, str) and url.startswith("http://") else []


def _line(count: int, one: str, many: str, what: str) -> str:
    return f"{count or 'no'} {one if count == 1 else many} {what}"
