"""What lies in a run directory, believed only as far as it has the right shape: the rest is left out and named.

Pure over decoded JSON and rows; a judge must survive a run cut at any moment, and files that somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from loadtests.clocks import Alignment
from loadtests.history import COHORTS, UNKNOWN_TURN, RowKind

__all__ = [
    "Host",
    "account_of",
    "clocks_of",
    "health_of",
    "hosts_of",
    "journal_of",
    "manifest_of",
    "sane_rows",
    "start_of",
]

T = TypeVar("T")
MOST_NS = 1 << 61
MOST_SESSIONS = 1 << 24
Nanoseconds = Annotated[int, msgspec.Meta(ge=0, le=MOST_NS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Rows = np.ndarray[Any, np.dtype[Any]]


class _Window(msgspec.Struct):
    id: str
    kind: str = ""
    cohort: str = ""
    disconnects: bool = False
    swallows: bool = False
    may_disconnect: bool = False


class _Clock(msgspec.Struct):
    monotonic_ns: Nanoseconds
    wall_ns: Nanoseconds


class Host(msgspec.Struct):
    """One of several that made the load; its name is a folder's too."""

    name: Annotated[str, msgspec.Meta(pattern=r"\Ahost-[0-9]{1,4}\Z")]
    workers: list[str]
    delivered: bool
    address: str = ""
    wrote: dict[str, dict[str, Count]] = {}
    clock: Alignment | None = None
    late_ms: Count = 0
    heard_rows: Count = 0
    heard_turns: Count = 0
    heard_s: float = 0.0


class _Floor(msgspec.Struct):
    """What the echo at the start took."""

    p50_ms: Milliseconds
    p99_ms: Milliseconds


class _Manifest(msgspec.Struct):
    """Only what the judge reads; everything else is for people."""

    kind: str = ""
    seed: int = 0
    exit: str | None = None
    workers: Annotated[int, msgspec.Meta(ge=0, le=4096)] | None = None
    chaos: bool = False
    windows: list[_Window] = []
    declared_phases: list[str] = []
    clock: _Clock | None = None
    clock_end: _Clock | None = None
    labels: dict[str, str] = {}
    argv: list[str] = []
    hosts: list[Host] = []
    floor: _Floor | None = None


class _Account(msgspec.Struct):
    rows: Count
    frames_received: Count
    strings: Count | None = None
    errors: dict[str, Count] = {}
    provisional: dict[str, Count] = {}


class _WindowStep(msgspec.Struct):
    id: str
    step: str
    at_ns: Nanoseconds
    kind: str = ""
    cohort: str = ""
    phase: str = ""
    asked: dict[str, Any] | None = None


class _EffectRecord(msgspec.Struct):
    id: str
    effect: Literal["confirmed", "absent", "not-probed"]
    measured: dict[str, Any] | None = None
    by: str = ""


class _Cleanup(msgspec.Struct):
    ok: bool
    left: list[str] = []


class _Health(msgspec.Struct):
    at_ns: Nanoseconds
    worker: str
    loop_lag_p99_ms: float
    cpu: float


class _Start(msgspec.Struct):
    start_ns: Nanoseconds


_RECORDS: dict[str, type[msgspec.Struct]] = {"window": _WindowStep, "effect": _EffectRecord, "cleanup": _Cleanup}


def _fault(data: Any, kind: type[msgspec.Struct]) -> str:
    """What is wrong with its shape; empty: nothing."""
    try:
        msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        return str(error).replace("\n", " ")[:160]
    return ""


def _whole(
    data: dict[str, Any] | None, kind: type[msgspec.Struct], name: str, problems: list[str]
) -> dict[str, Any] | None:  # fmt: skip
    if data is None:
        return None
    if fault := _fault(data, kind):
        problems.append(f"{name} cannot be believed: {fault}")
        return None
    return data


def manifest_of(data: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """The manifest, or an empty one."""
    return _whole(data, _Manifest, "manifest.json", problems) or {}


def clocks_of(manifest: dict[str, Any]) -> dict[str, Alignment]:
    """By load process, where its host's clock is not the master's. ``manifest``: one that ``manifest_of`` has let through."""
    hosts = hosts_of(manifest)
    return {worker: host.clock for host in hosts if host.clock is not None for worker in host.workers}


def hosts_of(manifest: dict[str, Any]) -> list[Host]:
    """The hosts that made the load; none: it was made on the conductor's own. ``manifest``: one that ``manifest_of`` has let through."""
    return msgspec.convert(manifest.get("hosts", []), list[Host])


def account_of(data: dict[str, Any] | None, name: str, problems: list[str]) -> dict[str, Any] | None:
    """A process's own account of what it wrote; None: it left none that can be read."""
    return _whole(data, _Account, name, problems)


def start_of(data: dict[str, Any] | None, problems: list[str]) -> int:
    """The run's start, or 0."""
    whole = _whole(data, _Start, "start.json", problems)
    return int(whole["start_ns"]) if whole else 0


def journal_of(
    records: Iterable[dict[str, Any]], problems: list[str], name: str = "history.jsonl"
) -> list[dict[str, Any]]:
    """The records that have the shape of their type; unknown types are left as they are."""

    def kind_of(record: dict[str, Any]) -> type[msgspec.Struct] | None:
        type_ = record.get("type")
        return _RECORDS.get(type_) if isinstance(type_, str) else None

    return _sifted(records, kind_of, name, problems)


def health_of(records: Iterable[dict[str, Any]], problems: list[str]) -> list[dict[str, Any]]:
    return _sifted(records, lambda _: _Health, "health.jsonl", problems)


def _sifted(
    records: Iterable[dict[str, Any]], kind_of: Callable[[dict[str, Any]], type[msgspec.Struct] | None], name: str, problems: list[str]
) -> list[dict[str, Any]]:  # fmt: skip
    whole, faults = [], []
    for record in records:
        kind = kind_of(record)
        if kind is not None and (fault := _fault(record, kind)):
            faults.append(fault)
        else:
            whole.append(record)
    if faults:
        problems.append(f"{name} holds {len(faults)} records that cannot be believed: {faults[0]}")
    return whole


def sane_rows(rows: Rows, events: int, name: str, problems: list[str]) -> Rows:
    """The rows that a recorder can have written, under a contract of so many events."""
    possible = np.isin(rows["kind"], [int(kind) for kind in RowKind])
    possible &= (rows["cohort"] < len(COHORTS)) & (rows["event"] <= events) & (rows["session"] < MOST_SESSIONS)
    possible &= (rows["turn"] < MOST_SESSIONS) | (rows["turn"] == UNKNOWN_TURN)
    for column in ("intended", "sent", "received"):
        possible &= (rows[column] >= 0) & (rows[column] <= MOST_NS)
    if not possible.all():
        problems.append(f"{name} holds rows of an unknown kind, or that no recorder writes: {int((~possible).sum())}")
        rows = rows[possible]
    return rows
