"""``make prove PART=hosts``: one run on several hosts, which here are network namespaces on one bridge, each with its own link.

A master, two worker hosts and a target; the second worker host lives under another monotonic clock. All rows that were written
must be judged, and each clock's offset, which is known here, be recovered within the bound that is told. Links are cut for five
seconds: the master's and a worker host's under load, a worker host's while its rows are collected. A worker host that is killed
must make the verdict CANNOT SAY, with its number. Faults must begin on both worker hosts together and bite on both. Needs root,
iproute2 and unshare.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from loadtests.clocks import Alignment
from loadtests.history import DTYPE
from loadtests.journal import read_journal
from loadtests.rundir import read_run
from tests.live.gauntlet import Ended, backend, gone, scenario, started, until
from tests.live.hosts import FAULTS, TOKEN, Party
from tests.proofs.ledger import Case, commit, prove, publish

#: by host, its last byte in 10.77.0.0/24
HOSTS = {"master": 1, "one": 2, "two": 3, "target": 9}
WORKERS = ("one", "two")
AHEAD_S = 86_400
USERS, PROCESSES, CUT_S = 41, (2, 1), 5.0
PHASES: dict[str, float | tuple[float, dict[str, Any]]] = {"warm-up": 2.0, "steady": 20.0, "cool-down": 2.0}
#: long enough before the first fault to know what this machine does by itself, and after the last for all that asks whether it is over
FAULTED = {**FAULTS, "steady": 20.0, "recovery": 14.0}
#: what of a run is to be there before it is disturbed
SOME_ROWS = 2000
#: a fault's beginning on two hosts, with clocks aligned and a thread each that sleeps until then
MOST_APART_MS = 50.0
#: so slow that a collection lasts for seconds
RATE = "4mbit"
Disturb = Callable[["Net", Party], None]


class Net:
    """The hosts, each a namespace with one link to a bridge that is in a namespace too: when they are gone, all is gone."""

    def __init__(self) -> None:
        self._prefix = f"gauntlet-{os.getpid()}-"
        self._made: list[str] = []

    def build(self) -> None:
        self._add("hub")
        hub = ("-n", self._name("hub"))
        _ip(*hub, "link", "add", "name", "bridge", "type", "bridge")
        _ip(*hub, "link", "set", "dev", "bridge", "up")
        for host in HOSTS:
            self._add(host)
            there = ("-n", self._name(host))
            _ip(*hub, "link", "add", "name", host, "type", "veth", "peer", "name", "eth0", "netns", self._name(host))
            _ip(*hub, "link", "set", "dev", host, "master", "bridge", "up")
            _ip(*there, "address", "add", f"{address(host)}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip(*there, "link", "set", "dev", device, "up")

    def within(self, host: str) -> list[str]:
        """Words before a command that is to run there."""
        clock = ["unshare", "--time", "--monotonic", str(AHEAD_S)] if host == "two" else []
        return ["ip", "netns", "exec", self._name(host), *clock]

    def slow(self, host: str) -> None:
        """What it sends comes at a rate from now on."""
        shape = ("root", "tbf", "rate", RATE, "burst", "32k", "latency", "200ms")
        subprocess.run([*self.within(host), "tc", "qdisc", "add", "dev", "eth0", *shape], check=True, timeout=30)

    def cut(self, host: str) -> None:
        """Its link is down for some seconds, and up again."""
        try:
            _ip("-n", self._name("hub"), "link", "set", "dev", host, "down")
            threading.Event().wait(CUT_S)
        finally:
            _ip("-n", self._name("hub"), "link", "set", "dev", host, "up")

    def remove(self) -> None:
        while self._made:
            subprocess.run(["ip", "netns", "delete", self._name(self._made.pop())], check=False, timeout=30)

    def _add(self, host: str) -> None:
        _ip("netns", "add", self._name(host))
        self._made.append(host)

    def _name(self, host: str) -> str:
        return self._prefix + host


def address(host: str) -> str:
    return f"10.77.0.{HOSTS[host]}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=30)


@contextmanager
def network() -> Iterator[Net]:
    net = Net()
    try:
        net.build()
        yield net
    finally:
        net.remove()


@contextmanager
def party(net: Net, folder: Path, *, chaos: bool) -> Iterator[Party]:
    """A run on all of them, begun."""
    # What is slowed takes longer than a short pace, and a turn that is left out is no sign of how a fault was survived.
    phases, pace_ms = (FAULTED, 1500) if chaos else (PHASES, 500)
    file = scenario(folder / "short.yaml", phases, users=USERS, pace_ms=pace_ms)
    with ExitStack() as stack:
        url = stack.enter_context(backend("--host", address("target"), within=net.within("target")))
        words: Sequence[str | Path] = (
            "run", file, "--target", url, "--allow-target", address("target"), "--max-turns", "9000", "--contract", "reference",
            *(() if chaos else ("--no-chaos",)),
        )  # fmt: skip
        own = ("--master", "--workers", str(len(WORKERS)), "--bind", address("master"), "--out", folder / "run")
        master = stack.enter_context(started(*words, *own, env=TOKEN, cwd=folder, within=net.within("master")))
        workers = [
            stack.enter_context(
                started(
                    *words, "--worker", address("master"), "--processes", str(processes), "--out", _part(folder, host),
                    env=TOKEN, cwd=folder, within=net.within(host),
                )
            )
            for host, processes in zip(WORKERS, PROCESSES, strict=True)
        ]  # fmt: skip
        yield Party(folder, master, workers)


def _part(folder: Path, host: str) -> Path:
    return folder / f"part-{WORKERS.index(host) + 1}"


def _rows(run: Path) -> int:
    """As they lie there."""
    return sum(file.stat().st_size // DTYPE.itemsize for file in (run / "rows").glob("*.bin"))


def _under_load(party_: Party) -> None:
    parts = [_part(party_.folder, host) for host in WORKERS]
    until(lambda: all(_rows(part) > SOME_ROWS for part in parts), 120, "rows of all worker hosts")


def _cut_under_load(host: str, net: Net, party_: Party) -> None:
    _under_load(party_)
    net.cut(host)


def _cut_while_collecting(net: Net, party_: Party) -> None:
    net.slow("one")
    coming = party_.folder / "run" / "rows"
    # Whichever host came first, this one is of the host with two load processes. It stands there as soon as it is offered.
    part = coming / "worker-1.bin.part"
    until(part.exists, 150, "the offer")
    net.cut("one")
    assert part.exists(), "it was whole before the link was cut"


def _kill(net: Net, party_: Party) -> None:
    _under_load(party_)
    party_.workers[1].send_signal(signal.SIGKILL)


def _leave(net: Net, party_: Party) -> None:
    """It is whole if nobody disturbs it."""


def _play(name: str) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-hosts-"))
    with network() as net, party(net, folder, chaos=name == "faults") as all_:
        CASES[name](net, all_)
        ended, parts = all_.ended()
        for host in WORKERS:
            gone(_part(folder, host), 30)
    found = _found(ended, parts)
    if name == "faults":
        found |= _faults(ended)
        found["ok"] = _is_whole(found) and _has_bitten(found)
    else:
        found["ok"] = _is_short(found, ended) if name == "killed" else _is_whole(found)
    if found["ok"]:
        shutil.rmtree(folder)
    return found


def _found(ended: Ended, parts: Sequence[Ended]) -> dict[str, Any]:
    data, books = read_run(ended.run), ended.verdict["books"]
    by_address = {host["address"]: host for host in data.manifest["hosts"]}
    hosts = {host: by_address[address(host)] for host in WORKERS}
    clocks = {}
    for name, host in hosts.items():
        if host["clock"]:
            reading, true_ns = host["clock"]["before"], (AHEAD_S if name == "two" else 0) * 1_000_000_000
            off_ns = abs(reading["ahead_ns"] - true_ns)
            drift_ns = host["clock"]["after"]["ahead_ns"] - reading["ahead_ns"]
            bound_ns = max(one["bound_ns"] for one in host["clock"].values()) + abs(drift_ns)
            clocks[name] = {"off_ns": off_ns, "bound_ns": bound_ns, "drift_ns": drift_ns}
    return {
        "exit": ended.code, "exits": [part.code for part in parts], "self": ended.checks["self"]["reason"], "ids": sorted(ended.ids),
        "on_disk": {host: _rows(part.run) for host, part in zip(WORKERS, parts, strict=True)},
        "wrote": {name: sum(sum(kinds.values()) for kinds in host["wrote"].values()) for name, host in hosts.items()},
        "heard": {name: host["heard_rows"] for name, host in hosts.items()}, "judged": len(data.rows), "clocks": clocks,
        "books": {key: books[key] for key in ("planned", "sent", "dropped")},
    }  # fmt: skip


def _faults(ended: Ended) -> dict[str, Any]:
    """What came of each fault on each host, and how far apart the hosts began it."""
    began: dict[str, list[int]] = {}
    for host in read_run(ended.run).manifest["hosts"]:
        clock = msgspec.convert(host["clock"], Alignment)
        for record in read_journal(ended.run / "hosts" / host["name"] / "history.jsonl"):
            if record.get("step") == "applying":
                began.setdefault(record["id"], []).append(clock.to_master(record["at_ns"]))
    names = {address(name): name for name in WORKERS}
    return {
        "faults": {
            fault["kind"]: {
                "effect": fault["effect"], "cut": fault["disconnected"], "apart_ms": round(_apart_ms(began[fault["id"]]), 3),
                "hosts": {
                    names[host.partition("(")[2].rstrip(")")]: {key: told.get(key) for key in ("effect", "value", "unit")}
                    for host, told in fault["measured"]["hosts"].items()
                },
            }
            for fault in ended.verdict["faults"]
        }
    }  # fmt: skip


def _apart_ms(times_ns: Sequence[int]) -> float:
    return (max(times_ns) - min(times_ns)) / 1e6


def _has_bitten(found: dict[str, Any]) -> bool:
    """Both faults, on both hosts, at one time."""
    return found["faults"].keys() == {"latency", "drop"} and all(
        fault["effect"] == "confirmed"
        and {host: told["effect"] for host, told in fault["hosts"].items()} == dict.fromkeys(WORKERS, "confirmed")
        and fault["apart_ms"] < MOST_APART_MS
        for fault in found["faults"].values()
    )


def _is_whole(found: dict[str, Any]) -> bool:
    """GO, all that was written is judged, and no clock is off by more than was told."""
    books, clocks = found["books"], found["clocks"]
    return (
        found["exit"] == 0
        and found["exits"] == [0, 0]
        and found["judged"] == sum(found["wrote"].values()) == sum(found["on_disk"].values())
        and books["planned"] == books["sent"] + books["dropped"] > 0
        and clocks.keys() == set(WORKERS)
        and all(one["off_ns"] <= one["bound_ns"] for one in clocks.values())
    )


def _is_short(found: dict[str, Any], ended: Ended) -> bool:
    """CANNOT SAY, with the number of rows that the master has last heard of."""
    lost = f"{address('two')}) did not deliver its part"
    told = f"it had written {found['heard']['two']} rows"
    return (
        found["exit"] == 3
        and found["exits"] == [0, -signal.SIGKILL]
        and lost in found["self"]
        and told in found["self"]
        and 0 < found["heard"]["two"] <= found["on_disk"]["two"]
        and found["judged"] == found["wrote"]["one"] == found["on_disk"]["one"]
    )


CASES: dict[str, Disturb] = {
    "whole": _leave,
    "killed": _kill,
    "cut-worker": partial(_cut_under_load, "one"),
    "cut-master": partial(_cut_under_load, "master"),
    "cut-collecting": _cut_while_collecting,
    "faults": _leave,
}


def main() -> int:
    at = commit()
    cases: list[Case] = [(name, partial(_play, name)) for name in CASES]
    # One at a time, because all of them have the same addresses.
    results = prove("hosts", cases, 1)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    publish("hosts", at, {"runs": results, "ahead_s": AHEAD_S, "cut_s": CUT_S, "users": USERS, "wrong": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
