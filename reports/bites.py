"""Whether each fault bit: what the nemesis measured, and for what our own clients did the load processes' own lines, read again.

A line outside its window proves nothing, and a fault of which nobody wrote a line was not probed, whatever else is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from loadtests import acts
from loadtests.history import Window
from loadtests.rundir import RunData

__all__ = ["Bite", "bites", "places", "strangers", "unconfirmed", "unproven"]

Effect = Literal["confirmed", "absent", "not-probed"]
CLIENT = "client"
ACTS = "what the load processes wrote down"
#: the worse of two opinions stands
RANK: dict[str, int] = {"confirmed": 0, "not-probed": 1, "absent": 2}
#: a line is written right after the deed, and the ledger's marks stand around it
SLACK_NS = 250_000_000
MOST_SESSIONS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Bite:
    """``measured`` has what, value and unit, or a reason; ``by``: how that is known."""

    effect: Effect
    measured: Mapping[str, Any]
    by: str = ""


def places(data: RunData) -> dict[str, str]:
    """Window -> who acts in it, as the manifest says."""
    windows = data.manifest.get("windows") or []
    return {str(one.get("id")): str(one.get("place") or "") for one in windows if isinstance(one, dict)}


def bites(data: RunData, windows: Iterable[Window]) -> dict[str, Bite]:
    """One for each window."""
    told = {str(record.get("id")): record for record in data.journal if record.get("type") == "effect"}
    where, lines = places(data), _lines(data)
    found = {}
    for window in windows:
        record = told.get(window.id)
        measured = Bite(effect="not-probed", measured={"reason": "nobody wrote whether it bit"})
        if record is not None:
            measured = Bite(
                effect=record["effect"], measured=dict(record.get("measured") or {}), by=str(record.get("by") or "")
            )
        if where.get(window.id) == CLIENT:
            done = _done(window, lines)
            if record is None or RANK[done.effect] > RANK[measured.effect]:
                measured = done
        found[window.id] = measured
    return found


def _lines(data: RunData) -> list[dict[str, Any]]:
    """What the load processes wrote; nothing is looked for where none of them acts."""
    return acts.read(data.path, data.clocks) if CLIENT in places(data).values() else []


def _done(window: Window, lines: Iterable[Mapping[str, Any]]) -> Bite:
    """What the load processes' lines prove of one window."""
    end_ns = window.end_ns if window.end_ns is not None else 1 << 62
    begun = [line for line in lines if line.get("id") == window.id and line.get("act") == "begin"]
    timely = [line for line in begun if window.start_ns - SLACK_NS <= line["at_ns"] <= end_ns + SLACK_NS]
    sessions = {session for line in timely for session in _sessions(line)}
    measured: dict[str, Any] = {"what": "sessions that did it", "unit": "sessions", "value": len(sessions)}
    measured["of"] = sum(of for line in timely if isinstance(of := line.get("of"), int))
    if not timely:
        reason = (
            "what they wrote about it stands outside its window"
            if begun
            else "the load processes wrote nothing about it"
        )
        return Bite(effect="not-probed", measured=measured | {"value": None, "reason": reason}, by=ACTS)
    return Bite(effect="confirmed" if sessions else "absent", measured=measured, by=ACTS)


def _sessions(line: Mapping[str, Any]) -> list[int]:
    some = line.get("sessions")
    return [one for one in some if isinstance(one, int) and 0 <= one < MOST_SESSIONS] if isinstance(some, list) else []


def unconfirmed(found: Mapping[str, Bite], windows: Iterable[Window]) -> frozenset[str]:
    """Ids of the faults that nobody has seen bite."""
    return frozenset(window.id for window in windows if found[window.id].effect != "confirmed")


def unproven(found: Mapping[str, Bite], windows: Iterable[Window]) -> str:
    """Which faults nobody has seen bite; empty: all were seen."""
    all_of_them = tuple(windows)
    ids = unconfirmed(found, all_of_them)
    weak = [f"{w.id} ({w.kind}): {found[w.id].effect}" for w in all_of_them if w.id in ids]
    return f"fault without proven effect: {', '.join(weak)}" if weak else ""


def strangers(data: RunData, windows: Iterable[Window], cohorts: Mapping[int, str]) -> list[str]:
    """Acts on sessions of another cohort than their window's: whoever is control then is no control. ``cohorts``: by session."""
    of = {window.id: window.cohort for window in windows}
    hit: dict[str, set[int]] = {}
    for line in _lines(data):
        cohort = of.get(str(line.get("id")))
        wrong = [one for one in _sessions(line) if cohort is not None and cohorts.get(one, cohort) != cohort]
        hit.setdefault(str(line.get("id")), set()).update(wrong)
    return [f"{id_} hit {len(some)} sessions that are not of its cohort" for id_, some in sorted(hit.items()) if some]
