"""A run that is asked to end before its time: one file in its directory, which whoever has a part in it looks for.

Draining: no more turns begin, those under way end, users say goodbye. Nothing is killed.
"""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["FILE", "ask_to_stop", "asked_to_stop", "is_asked"]

FILE = "stop.json"


def ask_to_stop(run_dir: Path, why: str) -> None:
    """Ask; whoever asked first has said why."""
    partial = run_dir / f"{FILE}.partial"
    if not is_asked(run_dir):
        partial.write_text(json.dumps({"why": why}))
        partial.rename(run_dir / FILE)


def is_asked(run_dir: Path) -> bool:
    """Whether somebody has asked."""
    return (run_dir / FILE).exists()


def asked_to_stop(run_dir: Path) -> str:
    """Why, if somebody has asked; else nothing."""
    try:
        said = json.loads((run_dir / FILE).read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError):
        return "nobody said why"
    return str(said.get("why") or "nobody said why") if isinstance(said, dict) else "nobody said why"
