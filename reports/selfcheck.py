"""The harness judges itself: did it record what it saw, do its books balance, did it clean up? Problems cap the verdict."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from loadtests.clocks import Alignment
from loadtests.history import RowKind, Window
from loadtests.manifest import scenario_digest
from loadtests.rundir import RunData
from reports.judgement import Books
from reports.replay import Replayed

__all__ = ["problems"]

ORDERLY = {"ended", "interrupted"}
#: it was drained: no fault of anybody's, and not all that was planned
STOPPED = "stopped: "
CLOCK_DRIFT_MS_PER_MIN = 5.0
CLOCK_DRIFT_MS = 50.0


def problems(data: RunData, windows: list[Window], books: Books, replayed: Replayed, same_contract: bool) -> list[str]:
    """Every reason for which this history cannot be trusted whole; empty: none."""
    found = [*data.problems, *_ending(data.manifest)]
    digest = data.manifest.get("contract_digest")
    if same_contract and digest is not None and digest != data.contract.digest:
        found.append("contract.yaml is not the contract that ran")
    ran = data.manifest.get("scenario_digest")
    if ran is not None and ran != scenario_digest(data.path):
        found.append("scenario.yaml is not the scenario that ran")
    found += _accounts(data, replayed, same_contract)
    found += _hosts(data)
    if not books.balanced:
        found.append(
            f"the books do not balance: planned {books.planned}, sent {books.sent} + dropped {books.dropped}; "
            f"ok {books.ok} + failed {books.failed} + censored {books.censored}"
        )
    found += [f"fault window {window.id} ({window.kind}) has no end" for window in windows if window.end_ns is None]
    found += [
        f"{record.get('host')}: fault window {record.get('id')}: {record.get('why')}"
        for record in data.journal
        if record.get("type") == "amiss"
    ]
    if windows or data.manifest.get("chaos"):
        found += _cleanups(data)
    asked = [w.get("id") for w in data.manifest.get("windows", [])]
    missing = sorted(set(map(str, asked)) - {window.id for window in windows})
    if missing:
        found.append(f"planned faults that never began: {', '.join(missing)}")
    found += _clock(data.manifest)
    return found


def _cleanups(data: RunData) -> list[str]:
    """What was left behind, and who did not say whether something was."""
    cleanups = [record for record in data.journal if record.get("type") == "cleanup"]
    said = {record.get("host") for record in cleanups}
    hosts = [_named(host) for host in data.manifest.get("hosts", []) if host["delivered"]]
    silent = [f"{host}: " for host in hosts if host not in said] or [""] * (not cleanups)
    found = [f"{host}no record of cleaning up after the faults" for host in silent]
    left = [", ".join(map(str, record.get("left") or ["unknown"])) for record in cleanups if not record.get("ok")]
    return [*found, *(f"left behind after the faults: {some}" for some in left)]


def _named(host: dict[str, Any]) -> str:
    return f"{host['name']} ({host.get('address', '')})"


def _ending(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with how the run ended."""
    reason = manifest.get("exit")
    if not manifest:
        return ["manifest.json is missing or broken"]
    if reason is None:
        return ["the run was cut: its manifest has no end"]
    if str(reason).startswith(STOPPED):
        return [f"the run was stopped before its time: {str(reason).removeprefix(STOPPED)}"]
    return [] if reason in ORDERLY else [f"the run ended in disorder: {reason}"]


def _accounts(data: RunData, replayed: Replayed, same_contract: bool) -> list[str]:
    """Each process's own count of what it wrote, against what is there."""
    found = []
    expected = int(data.manifest.get("workers", len(data.workers)) or 0)
    if len(data.workers) < expected:
        found.append(f"rows of {len(data.workers)} of {expected} load processes")
    bounds = [*data.first_row, len(data.rows)]
    for worker, first, last in zip(data.workers, bounds, bounds[1:], strict=False):
        account = data.accounts.get(worker)
        if account is None:
            found.append(f"{worker} did not end in order: no account of its rows")
            continue
        rows = last - first
        if account.get("rows") != rows:
            found.append(f"{worker} wrote {account.get('rows')} rows, {rows} are there")
        events = int(np.count_nonzero(data.rows["kind"][first:last] == RowKind.EVENT))
        if account.get("frames_received") != events:
            found.append(f"{worker} received {account.get('frames_received')} frames and has {events} event rows")
        for error, count in dict(account.get("errors") or {}).items():
            found.append(f"{worker}: our own {error}, {count} times")
        if same_contract:
            live = Counter(dict(account.get("provisional") or {}))
            again = replayed.counts.get(worker, Counter())
            if live != again:
                found.append(f"{worker}: judged live {dict(live)}, from rows {dict(again)}")
    return found


def _hosts(data: RunData) -> list[str]:
    """What each worker host said that it wrote, against what of it is judged; and whether its clock can be believed."""
    found = []
    ranges = dict(zip(data.workers, pairwise([*data.first_row, len(data.rows)]), strict=True))
    for host in data.manifest.get("hosts", []):
        name = _named(host)
        there = sum(last - first for worker in host["workers"] for first, last in [ranges.get(worker, (0, 0))])
        if not host["delivered"]:
            found.append(
                f"{name} did not deliver its part: when last heard of, at {host.get('heard_s', 0):.1f} s, it had written "
                f"{host.get('heard_rows', 0)} rows and sent {host.get('heard_turns', 0)} turns; {there} rows are here"
            )
            continue
        for worker in host["workers"]:
            wrote = Counter(dict(host.get("wrote", {}).get(worker, {})))
            first, last = ranges.get(worker, (0, 0))
            counts = np.bincount(data.rows["kind"][first:last], minlength=max(RowKind) + 1).tolist()
            judged = Counter({RowKind(kind).name: count for kind, count in enumerate(counts) if count})
            if wrote != judged:
                short = {
                    kind: (wrote[kind], judged[kind])
                    for kind in sorted({*wrote, *judged})
                    if wrote[kind] != judged[kind]
                }
                words = ", ".join(f"{kind} {theirs} there and {ours} here" for kind, (theirs, ours) in short.items())
                found.append(f"{name}: not all rows of {worker} are judged: {words}")
        if host.get("late_ms", 0):
            found.append(f"{name} learned of the start {host['late_ms']} ms after it")
        if host.get("clock") is None:
            found.append(f"{name}: its clock was not read, so its times mean nothing here")
        elif jump_ns := msgspec.convert(host["clock"], Alignment).jump_ns:
            found.append(f"{name}: its clock jumped by {jump_ns / 1e6:.1f} ms against the master's")
    return found


def _clock(manifest: dict[str, Any]) -> list[str]:
    """The wall clock against the monotonic one: a jump means that times of day in the report are not what they seem."""
    start, end = manifest.get("clock"), manifest.get("clock_end")
    if not isinstance(start, dict) or not isinstance(end, dict):
        return []
    elapsed_ms = (end["monotonic_ns"] - start["monotonic_ns"]) / 1e6
    drift_ms = (end["wall_ns"] - start["wall_ns"]) / 1e6 - elapsed_ms
    if abs(drift_ms) > CLOCK_DRIFT_MS + CLOCK_DRIFT_MS_PER_MIN * elapsed_ms / 60_000:
        return [f"the wall clock jumped by {drift_ms:.0f} ms against the monotonic one"]
    return []
