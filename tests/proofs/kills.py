"""``make prove PART=kills``: conductors killed by SIGKILL, Toxiproxies wedged by stalled readers, a stranger's Toxiproxy.

A hundred kills of a conductor that does nothing but chaos, a fault about every 10 ms, half of them on a Toxiproxy that is a
stranger's; ten under full load: nothing may be left after two seconds. Fifty wedges: each must be noticed and cured. What is
the stranger's must be the same after a run, after a SIGKILL, and after ``gauntlet chaos cleanup``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from chaos.faults import parse_fault
from chaos.guard import Guard, tagged
from chaos.hands import OnListener
from chaos.listeners import open_listeners
from chaos.nemesis import Nemesis
from chaos.plan import PhaseSpec, make_plan
from chaos.server import ToxiproxyServer, provide
from chaos.sweep import proxy_prefix
from chaos.wire import connect, flush, try_new, upgrade
from loadtests.dial import Dial
from loadtests.journal import Journal, read_journal
from loadtests.manifest import run_id
from tests.live.gauntlet import CHAOS, gauntlet, scenario, started, until
from tests.proofs.ledger import Case, commit, prove, publish

KILLS, KILLS_UNDER_LOAD, WEDGES = 100, 10, 50
CLEAN_WITHIN_S = 2.0
LOOKED_FOR_S = 20.0
#: a fork may be under way when its author dies
QUIET_S = 0.5
EVERY_S = 0.01
#: from before its first child to well inside its faults
KILL_AFTER_S = (0.2, 4.0)
LOAD_USERS = 300
LOAD_AFTER_S = (1.0, 20.0)
FLOOD = b"flood"
STRANGERS: dict[str, list[dict[str, Any]]] = {
    "strangers-redis": [
        {"name": "slow", "type": "latency", "stream": "downstream", "attributes": {"latency": 99, "jitter": 1}},
        {"name": "cut", "type": "limit_data", "stream": "upstream", "toxicity": 0.5, "attributes": {"bytes": 5}},
    ],
    "gauntlet": [{"name": "w1", "type": "bandwidth", "stream": "upstream", "attributes": {"rate": 7}}],
    "strangers-off": [],
}
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "latency", "latency_ms": 40, "direction": "both"},
    {"kind": "jitter", "jitter_ms": 20},
    {"kind": "bandwidth", "kb_per_s": 16},
    {"kind": "slicer"},
    {"kind": "limit-data", "bytes": 500},
    {"kind": "jam"},
    {"kind": "drop"},
    {"kind": "reset"},
    {"kind": "down"},
)


def _call(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    with urlopen(Request(url + path, data), timeout=10) as answer:
        return json.load(answer)


@contextmanager
def strangers_toxiproxy(folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Its URL, and what it holds; some of the names look like ours."""
    server = ToxiproxyServer.start(provide(print), {}, folder / "strangers.log")
    try:
        for name, toxics in STRANGERS.items():
            enabled = name != "strangers-off"
            proxy = {"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:6379", "enabled": enabled}
            _call(server.url, "/proxies", proxy)
            for toxic in toxics:
                _call(server.url, f"/proxies/{name}/toxics", toxic)
        yield server.url, lambda: _call(server.url, "/proxies")
    finally:
        server.stop()


def conduct(run: Path, url: str, seed: int) -> None:
    """A conductor without load, until it is killed: a guard, listeners, live connections, and a fault after the other."""
    name, dice = run_id(run), random.Random(seed)
    guard = Guard.start(name, run, urls=[url] if url else [])
    server = serve(_listen, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream = server.socket.getsockname()
    journal = Journal(run / "history.jsonl")
    opened = open_listeners(
        ["control", "treated"], upstream, name, log_dir=run, binary=None if url else provide(print), url=url,
        armed=["treated"],
    )  # fmt: skip
    treated, lock = opened["treated"], threading.RLock()
    threading.Thread(target=_talk, args=(treated.address,), daemon=True).start()
    for number in count(1):
        hand = OnListener(treated, parse_fault(dice.choice(FAULTS), "", ""), f"w{number}", lock)
        for step, call in (("applying", hand.begin), ("healing", hand.end)):
            journal.append("window", id=f"w{number}", step=step, at_ns=time.monotonic_ns())
            call()
            threading.Event().wait(EVERY_S)
        guard.beat()


def _listen(connection: ServerConnection) -> None:
    for _ in connection:
        pass


def _talk(address: tuple[str, int]) -> None:
    """A connection that lives as often as it is let."""
    while True:
        try:
            with socket.create_connection(address, 1.0) as sock:
                while True:
                    sock.sendall(b"x" * 200)
                    threading.Event().wait(EVERY_S)
        except OSError:
            threading.Event().wait(EVERY_S)


def _clean(run: Path, killed_s: float, url: str = "") -> dict[str, Any]:
    """Wait until nothing of the run is left, for good, and say how long that took, or what stays."""
    tag, pause, since_s = run_id(run), threading.Event(), 0.0
    while True:
        left, proxies, toxics = len(_living(tag)), 0, 0
        if url:
            ours = {n: p for n, p in _call(url, "/proxies").items() if n.startswith(proxy_prefix(tag))}
            proxies, toxics = len(ours), sum(len(proxy["toxics"]) for proxy in ours.values())
        now_s = time.monotonic()
        since_s = 0.0 if left or proxies else since_s or now_s
        if (since_s and now_s - since_s > QUIET_S) or now_s - killed_s > LOOKED_FOR_S:
            clean_s = round((since_s or now_s) - killed_s, 3)
            return {"clean_s": clean_s, "processes": left, "proxies": proxies, "toxics": toxics}
        pause.wait(0.01)


def _living(tag: str) -> set[int]:
    """The run's processes, and its guard, which does not carry the tag but is told it."""
    guards = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if tag.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    guards.add(int(entry.name))
    return guards | set(tagged(tag))


def _is_clean(found: dict[str, Any]) -> bool:
    return found["clean_s"] <= CLEAN_WITHIN_S and _gone(found)


def _gone(found: dict[str, Any]) -> bool:
    return not (found["processes"] or found["proxies"] or found["toxics"])


def _kill(number: int) -> dict[str, Any]:
    """Even numbers on a stranger's Toxiproxy."""
    after_s = random.Random(number).uniform(*KILL_AFTER_S)
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-kill-"))
    run = folder / "run"
    run.mkdir()
    if number % 2:
        result = _killed(run, "", number, after_s)
    else:
        with strangers_toxiproxy(folder) as (url, held):
            before = held()
            result = _killed(run, url, number, after_s)
            result["untouched"] = held() == before
    result["ok"] = _is_clean(result) and result.get("untouched", True)
    if result["ok"]:
        shutil.rmtree(folder)
    return result


def _killed(run: Path, url: str, seed: int, after_s: float) -> dict[str, Any]:
    words = [sys.executable, "-P", __file__, "--conduct", str(run), url, str(seed)]
    with (run / "conductor.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    threading.Event().wait(after_s)
    alive = process.poll() is None
    process.kill()
    process.wait()
    found = _clean(run, time.monotonic(), url)
    ledger = run / "history.jsonl"
    windows = sum(r["step"] == "applying" for r in read_journal(ledger)) if ledger.exists() else 0
    # one that ended by itself was not killed
    return {**found, "after_s": round(after_s, 2), "windows": windows, "clean_s": found["clean_s"] if alive else 99.0}


def _kill_under_load(number: int) -> dict[str, Any]:
    """While all users are there and the proxies flap."""
    after_s = random.Random(f"load {number}").uniform(*LOAD_AFTER_S)
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-kill-"))
    run = folder / "run"
    options = ("--experiment", "flap", "--form", "short", "--users", str(LOAD_USERS), "--seed", str(number))
    with started("run", "smoke", *options, "--out", run, cwd=folder) as process:
        until(lambda: (run / "start.json").exists() or process.poll() is not None, 120, "the load")
        threading.Event().wait(after_s)
        processes, alive = len(tagged(run_id(run))), process.poll() is None
        process.kill()
        process.wait()
        found = _clean(run, time.monotonic())
    judged = gauntlet("report", run, cwd=folder)
    ok = alive and _is_clean(found) and judged.code == 3
    if ok:
        shutil.rmtree(folder)
    return {**found, "ok": ok, "after_s": round(after_s, 1), "were": processes, "exit": judged.code}


def _flood(connection: ServerConnection) -> None:
    """Echoes, until somebody asks for more than it can take."""
    try:
        for message in connection:
            while message == FLOOD:
                connection.send(bytes(1_000_000))
            connection.send(message)
    except ConnectionClosed:
        return


def _wedge(number: int) -> dict[str, Any]:
    """A client that asks for a flood and does not read it; then a toxic."""
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-wedge-"))
    server = serve(_flood, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream = server.socket.getsockname()
    dial = Dial(upstream, f"ws://127.0.0.1:{upstream[1]}/ws", f"http://127.0.0.1:{upstream[1]}")
    name, journal = f"wedge-{os.getpid()}-{number}", Journal(folder / "history.jsonl")
    opened = open_listeners(["control", "treated"], upstream, name, log_dir=folder, binary=provide(print))
    treated = opened["treated"]
    try:
        before = treated.server.pid if treated.server else 0
        with connect(dial.via(treated.address), 5.0) as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            protocol = upgrade(dial.via(treated.address), reader, 5.0)
            protocol.send_binary(FLOOD)
            flush(reader, protocol)
            latency = {"kind": "latency", "latency_ms": 20}
            plan = make_plan([PhaseSpec("steady", 1.5), PhaseSpec("fault", 1, latency), PhaseSpec("end", 1)], number)
            nemesis = Nemesis(plan, opened, journal, dial)
            nemesis.watch()
            nemesis.start(time.monotonic_ns())
            ended = nemesis.join(60)
        records = list(read_journal(folder / "history.jsonl"))
        at = {record["step"]: record["at_ns"] for record in records if record["type"] == "window"}
        state = treated.control.proxy(treated.proxy)
        found = {
            "wedged": any(record["type"] == "wedge" for record in records),
            "restarted": treated.server is not None and treated.server.pid != before,
            "effect": [record["effect"] for record in records if record["type"] == "effect"],
            "toxics": len(state.toxics) if state else -1,
            "serves": [try_new(dial.via(one.address), 5.0) for one in opened.values()],
            "recovered_s": round((at.get("healed", 0) - at.get("applying", 0)) / 1e9, 3),
            "errors": nemesis.errors,
        }
    finally:
        for listener in opened.values():
            listener.close()
        journal.close()
        server.shutdown()
    ok = ended and found == found | {
        "wedged": True, "restarted": True, "effect": ["not-probed"], "toxics": 0, "serves": ["answered"] * 2, "errors": []
    }  # fmt: skip
    if ok:
        shutil.rmtree(folder)
    return {**found, "ok": ok and found["recovered_s"] > 0}


def _stranger(how: str) -> dict[str, Any]:
    """After a run, after the conductor's death, and after that of its guard too and a cleanup by hand."""
    folder = Path(tempfile.mkdtemp(prefix="gauntlet-stranger-"))
    run, file = folder / "run", scenario(folder / "short.yaml", {**CHAOS, "down": 8.0 if how != "run" else 2.0})
    with strangers_toxiproxy(folder) as (url, held):
        before = held()
        if how == "run":
            ended = gauntlet("run", file, "--toxiproxy-url", url, cwd=folder)
            found: dict[str, Any] = {**_clean(run, time.monotonic(), url), "exit": ended.code}
        else:
            found = _end_badly(run, file, url, guard_too=how == "cleanup")
        found["untouched"] = held() == before
    wanted = {"run": {"exit": 0}, "killed": {}, "cleanup": {"left_before": 2, "exit": 0}}[how]
    ok = _is_clean(found) and found["untouched"] and found == found | wanted
    if ok:
        shutil.rmtree(folder)
    return {**found, "ok": ok}


def _end_badly(run: Path, file: Path, url: str, *, guard_too: bool) -> dict[str, Any]:
    with started("run", file, "--toxiproxy-url", url, "--out", run, cwd=run.parent) as process:
        ledger = run / "history.jsonl"
        until(lambda: ledger.exists() and '"applied"' in ledger.read_text(), 120, "the fault")
        if guard_too:
            process.send_signal(signal.SIGSTOP)  # so that it cannot notice
            for child in psutil.Process(process.pid).children():
                if "chaos.guard" in child.cmdline():
                    child.kill()
        process.kill()
        process.wait()
    if not guard_too:
        return _clean(run, time.monotonic(), url)
    left = sum(name.startswith(proxy_prefix(run_id(run))) for name in _call(url, "/proxies"))
    began = time.monotonic()
    cleaned = gauntlet("chaos", "cleanup", run, cwd=run.parent)
    found = _clean(run, began, url)
    # The command's own start is not counted: who types it waits for that with any command.
    return {**found, "clean_s": 0.0 if _gone(found) else found["clean_s"], "left_before": left, "exit": cleaned.code}


def _summed(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    left = {name: sum(one[name] for one in results) for name in ("processes", "proxies", "toxics")}
    return {"runs": len(results), "longest_s": max(one["clean_s"] for one in results), "left": left}


def main() -> int:
    if sys.argv[1:2] == ["--conduct"]:
        conduct(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
        return 0
    at = commit()
    cases: list[Case] = [(f"kill-{n:03}", partial(_kill, n)) for n in range(1, KILLS + 1)]
    cases += [(f"load-{n:02}", partial(_kill_under_load, n)) for n in range(1, KILLS_UNDER_LOAD + 1)]
    cases += [(f"wedge-{n:02}", partial(_wedge, n)) for n in range(1, WEDGES + 1)]
    cases += [(f"stranger-{how}", partial(_stranger, how)) for how in ("run", "killed", "cleanup")]
    # One at a time, because here time is measured.
    results = prove("kills", cases, 1)
    some = {
        kind: [r for n, r in results.items() if n.startswith(kind)] for kind in ("kill", "load", "wedge", "stranger")
    }
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    under_fault = sum(one["windows"] > 0 for one in some["kill"])
    publish(
        "kills",
        at,
        {
            "kills": {**_summed(some["kill"]), "under_fault": under_fault, "windows": sum(r["windows"] for r in some["kill"])},
            "under_load": {**_summed(some["load"]), "users": LOAD_USERS},
            "wedges": {
                "trials": len(some["wedge"]), "recovered": sum(one["ok"] for one in some["wedge"]),
                "longest_s": max(one["recovered_s"] for one in some["wedge"]),
            },
            "strangers": {how: results[f"stranger-{how}"]["untouched"] for how in ("run", "killed", "cleanup")},
            "wrong": wrong,
        },
    )  # fmt: skip
    # Kills before the first fault alone would prove nothing about faults.
    return 1 if wrong or under_fault < KILLS // 2 else 0


if __name__ == "__main__":
    sys.exit(main())
