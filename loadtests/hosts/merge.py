"""The journals of several worker hosts as one: each window of the plan stands in it once, with what every host measured. Pure.

A host walks the plan by itself, on its own listeners and its own users; to the judge it is one fault that begins where the first
host begins it and ends where the last has healed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["LATE_NS", "HostJournal", "merged"]

#: whoever begins a window so much later than the first host made another fault than the one that was planned
LATE_NS = 500_000_000
#: the worse of two opinions stands
RANK = {"confirmed": 0, "not-probed": 1, "absent": 2}
MOST = 1e15
NOT_TOLD: Mapping[str, Any] = {"effect": "not-probed", "measured": {"reason": "nobody wrote whether it bit"}}
#: first or last of all hosts, so that between two steps of one window no host is at another one
STEPS: Mapping[str, Callable[[Iterable[int]], int]] = {"applying": min, "applied": max, "healing": min, "healed": max}
Record = Mapping[str, Any]


class HostJournal(NamedTuple):
    """``records`` are whole, with times in the master's clock, wrong by no more than ``bound_ns``. ``silent``: why there are none that
    can be used, for which the host has its own finding; empty: there are.
    """

    name: str
    address: str
    records: Sequence[Record]
    bound_ns: int = 0
    silent: str = ""

    @property
    def words(self) -> str:
        return f"{self.name} ({self.address})"


class _Deed(NamedTuple):
    """What one host did and saw in one window; no steps: it never began it."""

    host: HostJournal
    steps: Mapping[str, Record]
    effect: Record

    @property
    def began_ns(self) -> int:
        return int(self.steps["applying"]["at_ns"])

    @property
    def idle(self) -> bool:
        """An act of clients for which none that lives here was drawn says nothing of the fault."""
        return self.effect["effect"] == "absent" and _measured(self.effect).get("of") == 0


def merged(hosts: Sequence[HostJournal]) -> list[dict[str, Any]]:
    """The records of all of them: a window's steps and its effect once, ``listeners``, ``wedge`` and ``cleanup`` of each with its
    ``host``, and an ``amiss`` record {id, host, why} for every window that a host missed or never healed.
    """
    out: list[dict[str, Any]] = []
    for host in hosts:
        for record in host.records:
            # No set: a file that somebody else wrote may hold a type that cannot be looked up.
            if record.get("type") in ("listeners", "wedge"):
                out.append({**record, "host": host.words})
            elif record.get("type") == "cleanup":
                left = record.get("left") or ([] if record.get("ok") else ["unknown"])
                out.append({**record, "host": host.words, "left": [f"{host.words}: {one}" for one in left]})
    begun = (r for host in hosts for r in host.records if r.get("type") == "window" and r.get("step") == "applying")
    for id_ in dict.fromkeys(str(record["id"]) for record in begun):
        out += _window(id_, [_deed(host, id_) for host in hosts])
    return out


def _deed(host: HostJournal, id_: str) -> _Deed:
    steps: dict[str, Record] = {}
    effect = NOT_TOLD
    for record in host.records:
        if str(record.get("id")) == id_:
            if record.get("type") == "window":
                steps.setdefault(str(record.get("step")), record)
            elif record.get("type") == "effect":
                effect = record
    return _Deed(host, steps if "applying" in steps else {}, effect)


def _window(id_: str, deeds: Sequence[_Deed]) -> list[dict[str, Any]]:
    """All records of one window that at least one host began."""
    made = [deed for deed in deeds if deed.steps]
    first = min(made, key=lambda deed: deed.began_ns)
    head = {key: value for key, value in first.steps["applying"].items() if key != "proxy"}
    out: list[dict[str, Any]] = []
    for step, choose in STEPS.items():
        at_ns = [int(deed.steps[step]["at_ns"]) for deed in made if step in deed.steps]
        # A host that never healed it, or died before it had, leaves it open for all.
        if at_ns and (choose is min or len(at_ns) == len(made)):
            out.append({**head, "step": step, "at_ns": choose(at_ns)})
    missed = {deed.host.name: why for deed in deeds if (why := _missed(deed, first))}
    amiss = [(deed.host, missed[deed.host.name]) for deed in deeds if deed.host.name in missed and not deed.host.silent]
    amiss += [(deed.host, "it never healed it") for deed in made if "healed" not in deed.steps]
    begun = {"id": id_, "at_ns": head["at_ns"]}
    out += [{"type": "amiss", **begun, "host": host.words, "why": why} for host, why in amiss]
    return [*out, {"type": "effect", **begun, **_effect(deeds, missed)}]


def _missed(deed: _Deed, first: _Deed) -> str:
    """Why a host's part in a window is none; empty: it has one."""
    if deed.host.silent:
        return deed.host.silent
    if not deed.steps:
        return "it has no record of it"
    late_ns = deed.began_ns - first.began_ns
    if late_ns > LATE_NS + deed.host.bound_ns + first.host.bound_ns:
        return f"it began it {late_ns / 1e6:.0f} ms after {first.host.words}"
    return ""


def _effect(deeds: Sequence[_Deed], missed: Mapping[str, str]) -> dict[str, Any]:
    """What all hosts together know of whether it bit: confirmed if it is everywhere, else the worst, and who says so."""
    told = {deed.host.name: _told(deed, missed.get(deed.host.name, "")) for deed in deeds}
    asked = [deed for deed in deeds if deed.host.name in missed or not deed.idle] or deeds
    # Of equals one whose host was there, since it has measured something.
    worst = max(asked, key=lambda deed: (RANK[told[deed.host.name]["effect"]], deed.host.name not in missed))
    measured = {**_measured(worst.effect), "hosts": {deed.host.words: told[deed.host.name] for deed in deeds}}
    seen = [_measured(deed.effect) for deed in deeds if deed.host.name not in missed]
    if all("of" in one for one in seen):
        # Of the cohort's sessions each host has its own.
        measured |= {key: sum(one[key] for one in seen if _is_number(one.get(key))) for key in ("value", "of")}
    if missed:
        measured["value"] = None  # what others have measured is no measure of the window
    doubts = {deed.host.words: told[deed.host.name] for deed in asked if told[deed.host.name]["effect"] != "confirmed"}
    if reasons := [f"{host}: {one['reason']}" for host, one in doubts.items() if "reason" in one]:
        measured["reason"] = "; ".join(reasons)
    each = ", ".join(f"{deed.host.name} {_said(told[deed.host.name])}" for deed in deeds)
    by = next((str(deed.effect["by"]) for deed in (worst, *deeds) if deed.effect.get("by")), "")
    # A fault that was not made on all hosts was not tried, whatever is said of it elsewhere.
    effect = "not-probed" if missed else told[worst.host.name]["effect"]
    return {"effect": effect, "measured": measured, "by": f"{by}; {each}" if by else each}


def _told(deed: _Deed, missed: str) -> dict[str, Any]:
    """One host's opinion."""
    if missed:
        return {"effect": "not-probed", "reason": missed}
    seen, kept = _measured(deed.effect), ("value", "unit", "of", "reason")
    return {"effect": deed.effect["effect"], **{key: seen[key] for key in kept if key in seen}}


def _said(told: Mapping[str, Any]) -> str:
    if not _is_number(told.get("value")):
        return str(told["effect"])
    of = f"of {told['of']:g}" if _is_number(told.get("of")) else ""
    return " ".join(part for part in (told["effect"], f"{told['value']:g}", of, str(told.get("unit") or "")) if part)


def _measured(effect: Record) -> dict[str, Any]:
    return dict(effect.get("measured") or {})


def _is_number(value: Any) -> bool:
    """One that can be added up and written down."""
    return isinstance(value, int | float) and abs(value) < MOST
