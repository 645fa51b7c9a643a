"""Reading a run directory: rows of all processes as one array, strings under one numbering, journal, health, frames.

Whatever state a run was cut in, this reads what is whole and names what is not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from loadtests import contract, intake, scenario
from loadtests.clocks import Alignment, shifted, shifted_record
from loadtests.contract.compile import Contract
from loadtests.contract.decoder import DEPRECATED, LEGACY, UNAPPROVED
from loadtests.errors import ConfigError
from loadtests.history import DTYPE, VERSION_LABEL, Flag, RowKind, Window
from loadtests.hosts.merge import HostJournal, merged
from loadtests.journal import read_journal
from loadtests.manifest import read_manifest
from loadtests.scenario import Scenario

__all__ = ["HOSTS", "RunData", "find_run", "frames", "read_run", "wedged", "windows_of"]

#: the folder of the parts that other hosts have delivered, one folder each
HOSTS = "hosts"
Rows = np.ndarray[Any, np.dtype[Any]]
_STRING_COLUMNS = ("raw", "agent", "tool", "labels", "text")


@dataclass(slots=True, kw_only=True)
class RunData:
    """``rows`` are in the order of ``workers`` and, within one, as written; ``first_row`` is where each begins."""

    path: Path
    manifest: dict[str, Any]
    contract: Contract
    scenario: Scenario
    rows: Rows
    strings: list[str]
    workers: list[str]
    first_row: list[int]
    accounts: dict[str, dict[str, Any] | None]
    journal: list[dict[str, Any]]
    health: list[dict[str, Any]]
    #: what could not be read whole
    problems: list[str]
    start_ns: int
    #: by load process, of hosts whose clock is not the master's; all times here are in the master's
    clocks: Mapping[str, Alignment] = field(default_factory=dict)

    def meant_ns(self, at_ns: int, user: int) -> int:
        """When a user's load process takes a planned time for come: it goes by its own host's clock from the start on."""
        clock = (
            self.clocks.get(f"worker-{user % max(1, int(self.manifest.get('workers') or 1))}") if self.clocks else None
        )
        return at_ns if clock is None else clock.to_master(at_ns + clock.before.ahead_ns)

    def seconds(self, at_ns: int) -> float:
        """Seconds since the run's start."""
        return (at_ns - self.start_ns) / 1e9


def find_run(path: Path) -> Path:
    """A run directory by its path, or by its bare name under ``runs/``, as pages and findings print it."""
    under = Path("runs") / path
    return under if not path.exists() and under.is_dir() else path


def read_run(path: Path, contract_name: str | None = None) -> RunData:
    """Read a run, under its own contract or another.

    Raises:
        ConfigError: no run directory, or one of another format.
    """
    problems: list[str] = []
    manifest = intake.manifest_of(read_manifest(path), problems)
    if not (path / "contract.yaml").is_file() or not (path / "scenario.yaml").is_file():
        raise ConfigError(
            str(path), "", "is no run directory", "a folder with manifest.json, contract.yaml and scenario.yaml"
        )
    own = contract.load(path / "contract.yaml")
    used = contract.load(contract_name) if contract_name else own
    own_scenario, _ = scenario.load(str(path / "scenario.yaml"))
    clocks = intake.clocks_of(manifest)
    rows, strings, workers, first_row, accounts = _read_rows(path / "rows", len(own.events), problems, clocks)
    if used.digest != own.digest:
        _reclassify(rows, strings, own, used)
    start_ns = intake.start_of(_json_file(path / "start.json"), problems)
    if not start_ns and len(rows):
        start_ns = int(rows["received"][rows["received"] > 0].min(initial=1 << 62))
    return RunData(
        path=path, manifest=manifest, contract=used, scenario=own_scenario, rows=rows, strings=strings, workers=workers,
        first_row=first_row, accounts=accounts, journal=_journal(path, manifest, problems),
        health=_health(path, clocks, problems), problems=problems, start_ns=start_ns, clocks=clocks,
    )  # fmt: skip


def _journal(path: Path, manifest: dict[str, Any], problems: list[str]) -> list[dict[str, Any]]:
    """The conductor's own records, and what its worker hosts did to theirs."""
    own = intake.journal_of(read_journal(path / "history.jsonl"), problems)
    return [*own, *merged([_of_host(path, host, problems) for host in intake.hosts_of(manifest)])]


def _of_host(path: Path, host: intake.Host, problems: list[str]) -> HostJournal:
    """A worker host's journal, in the master's clock."""
    clock = host.clock
    if not host.delivered or clock is None:
        silent = "its clock was not read" if host.delivered else "it did not deliver its part"
        return HostJournal(host.name, host.address, (), silent=silent)
    name = f"{HOSTS}/{host.name}/history.jsonl"
    records = intake.journal_of([shifted_record(one, clock) for one in read_journal(path / name)], problems, name)
    return HostJournal(host.name, host.address, records, clock.bound_ns)


def _health(path: Path, clocks: Mapping[str, Alignment], problems: list[str]) -> list[dict[str, Any]]:
    """Of all hosts, in the master's clock."""
    records = read_journal(path / "health.jsonl")
    for file in sorted((path / HOSTS).glob("*/health.jsonl")):
        records += read_journal(file)
    return [
        shifted_record(record, clocks[record["worker"]]) if record["worker"] in clocks else record
        for record in intake.health_of(records, problems)
    ]


def _json_file(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _read_rows(
    folder: Path, events: int, problems: list[str], clocks: Mapping[str, Alignment]
) -> tuple[Rows, list[str], list[str], list[int], dict[str, dict[str, Any] | None]]:
    strings, numbers = [""], {"": 0}
    parts: list[Rows] = []
    workers: list[str] = []
    first_row: list[int] = []
    accounts: dict[str, dict[str, Any] | None] = {}
    total = 0
    for file in sorted(folder.glob("*.bin"), key=lambda f: (len(f.stem), f.stem)):
        size = file.stat().st_size
        whole = size - size % DTYPE.itemsize
        account = intake.account_of(_json_file(file.with_suffix(".json")), f"{file.stem}.json", problems)
        accounts[file.stem] = account
        if whole != size and account is not None:
            problems.append(f"{file.name} ends in the middle of a row")
        rows = np.fromfile(file, DTYPE, whole // DTYPE.itemsize)
        local, broken = _strings(file.with_suffix(".strings"))
        if broken or (account is not None and account.get("strings", len(local) - 1) != len(local) - 1):
            problems.append(f"{file.stem}.strings is not whole: {len(local) - 1} strings, {broken} of them unreadable")
        _renumber(rows, local, strings, numbers)
        rows = intake.sane_rows(rows, events, file.name, problems)
        if file.stem in clocks:
            rows = intake.sane_rows(
                shifted(rows, clocks[file.stem]), events, f"{file.name}, by the master's clock,", problems
            )
        parts.append(rows)
        workers.append(file.stem)
        first_row.append(total)
        total += len(rows)
    joined = (
        parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, DTYPE), *parts])
    )  # one part need not be copied
    return joined, strings, workers, first_row, accounts


def _strings(path: Path) -> tuple[list[str], int]:
    """The strings by number, and how many of them cannot be read: a broken one must not shift those after it."""
    found, broken = [""], 0
    lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    for line in lines[:-1]:
        text: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            text = json.loads(line)
        broken += not isinstance(text, str)
        found.append(text if isinstance(text, str) else "")
    return found, broken


def _renumber(rows: Rows, local: list[str], strings: list[str], numbers: dict[str, int]) -> None:
    """One numbering for all processes: a worker's own numbers become the run's."""
    table = np.zeros(len(local) + 1, dtype=np.uint32)
    for i, text in enumerate(local):
        if text not in numbers:
            numbers[text] = len(strings)
            strings.append(text)
        table[i] = numbers[text]
    for column in _STRING_COLUMNS:
        # A number beyond the file's last string: the process died between the two writes.
        rows[column] = table[np.minimum(rows[column], len(local))]


def _reclassify(rows: Rows, strings: list[str], own: Contract, used: Contract) -> None:
    """Another contract's vocabulary over the recorded types. Fields cannot be looked for again, so the bits of absent
    ones stay only where both contracts ask the same of an event.
    """
    standing_flags = {DEPRECATED: Flag.DEPRECATED, LEGACY: Flag.LEGACY, UNAPPROVED: Flag.UNAPPROVED}
    events = rows["kind"] == RowKind.EVENT
    if not used.has_cursor:
        # Numbers that this contract does not promise can neither be missing nor come twice.
        rows["cursor"][events] = -1
        rows["flags"][events] &= ~np.uint16(Flag.OTHER_STREAM)
    clear = ~np.uint16(Flag.DEPRECATED | Flag.LEGACY | Flag.UNAPPROVED)
    for raw in np.unique(rows["raw"][events]):
        mine = events & (rows["raw"] == raw)
        index, standing = used.decoder.classify(strings[raw])
        before = own.by_name.get(own.label(int(rows["event"][mine][0])))
        after = used.by_name.get(used.label(index))
        rows["event"][mine] = index
        rows["flags"][mine] = (rows["flags"][mine] & clear) | np.uint16(standing_flags.get(standing, 0))
        if before is None or after is None or before.fields != after.fields:
            rows["schema"][mine] &= 7
    _recheck_versions(rows, strings, used)
    if not used.final_of:
        rows["flags"][events] &= ~np.uint16(Flag.TEXT_DIFFERS)


def _recheck_versions(rows: Rows, strings: list[str], used: Contract) -> None:
    """Versions stand in the rows' labels, so another contract's view of them can be taken."""
    versions, events = used.file.versions, rows["kind"] == RowKind.EVENT
    rows["flags"][events] &= ~np.uint16(Flag.BAD_VERSION | Flag.OLD_VERSION)
    if not versions.path:
        return
    for label in np.unique(rows["labels"][events]):
        _, _, version = strings[label].partition(VERSION_LABEL)
        if version in versions.deprecated:
            rows["flags"][events & (rows["labels"] == label)] |= np.uint16(Flag.OLD_VERSION)
        elif version and version not in versions.accepted:
            rows["flags"][events & (rows["labels"] == label)] |= np.uint16(Flag.BAD_VERSION)


def wedged(data: RunData) -> frozenset[str]:
    """Ids of the fault windows in which Toxiproxy hung and was ended by us, and with it every connection of their listener."""
    return frozenset(str(record.get("id")) for record in data.journal if record.get("type") == "wedge")


def windows_of(data: RunData) -> list[Window]:
    """Fault windows from the journal, paired by id; one that never healed keeps an end of None."""
    declared = {str(one.get("id")): one for one in data.manifest.get("windows", []) if isinstance(one, dict)}
    restarted = wedged(data)
    starts: dict[str, dict[str, Any]] = {}
    ends: dict[str, int] = {}
    for record in data.journal:
        if record.get("type") == "window":
            if record.get("step") == "applying":
                starts.setdefault(str(record["id"]), record)
            elif record.get("step") == "healed":
                ends[str(record["id"])] = int(record["at_ns"])
    return [
        Window(
            id=id_, kind=str(record.get("kind", "")), cohort=str(record.get("cohort", "")), phase=str(record.get("phase", "")),
            start_ns=int(record["at_ns"]), end_ns=ends.get(id_), asked=dict(record.get("asked") or {}),
            **{name: bool(declared.get(id_, {}).get(name)) for name in ("disconnects", "swallows")},
            may_disconnect=bool(declared.get(id_, {}).get("may_disconnect")) or id_ in restarted,
        )
        for id_, record in starts.items()
    ]  # fmt: skip


def frames(path: Path) -> Iterator[dict[str, Any]]:
    """Kept frames of all processes, with the worker's name added."""
    clocks = intake.clocks_of(intake.manifest_of(read_manifest(path), []))
    for file in sorted((path / "rows").glob("*.frames")):
        for line in file.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                clock = clocks.get(file.stem)
                yield {**(shifted_record(record, clock) if clock else record), "worker": file.stem}
