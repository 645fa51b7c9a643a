"""``make bench``: what an event and a session cost, ours beside Gatling, Artillery and k6 on the same work, in one run.

Three repeats, peers taken in turn so that a slow minute hits all alike; the figures are minimum and median of the marginal
CPU per received event, in burst and paced, and of the memory of one more session. The rows of our own runs are judged: each
must have its turns, five events each, and be GO. Written to ``results/peers.json``, which the README's table is made from.
``ARGS='cmd burst'`` measures some peers or modes, and then writes nothing.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.proofs.ledger import commit  # noqa: E402  # the path above leads there

REPEATS = 3
#: a tripwire, not a goal: over this something on the hot path has been made slow
TRIPWIRE_US = 12.0
PEERS = ("gatling", "artillery", "k6", "cmd")
LIMIT_S = 600
UNITS = {"memory": "KB/session"}
#: what the URL of ``peers/measure`` asks of the server; our own target takes no query, so the contract has it
QUERY: dict[str, dict[str, str]] = {
    "burst": {}, "paced": {"gap": "40ms"}, "memory": {"gap": "1s"}, "tls": {}, "deflate": {"deflate": "1"}, "chunks": {"chunks": "200"},
}  # fmt: skip
#: what only ours are measured in
ALONE = ("tls", "deflate", "chunks")
#: of the events that a turn must have
EVENTS_A_TURN = 5
#: ``peers/measure`` runs everything twice
RUNS = 2


def ours(folder: Path, mode: str) -> str:
    """The command that does the peers' work by our own users: rows, contract, statistics, all on."""
    contract = folder / "contract.yaml"
    base = str(HERE / "peers" / "contract.yaml")
    endpoint = {"query": QUERY[mode], "deflate": mode == "deflate"}
    contract.write_text(json.dumps({"contract": 1, "name": "peers", "extends": base, "endpoint": endpoint}))
    locust = [
        str(Path(sys.executable).parent / "locust"), "-f", str(HERE / "bench_locustfile.py"), "--headless", "--only-summary",
        "--contract", str(contract), "--runs", str(folder),
    ]  # fmt: skip
    ca = " --ca $CA" if mode == "tls" else ""
    return f"{shlex.join(locust)}{ca} -u $S -r $S --host ${{URL%%\\?*}}"


def measure(mode: str, peers: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    samples: dict[str, list[tuple[float, float]]] = {peer: [] for peer in peers}
    for repeat in range(REPEATS):
        for peer in peers:
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [str(HERE / "peers" / "measure"), mode, peer], env={**os.environ, "CMD": ours(Path(folder), mode)}, cwd=folder,
                    capture_output=True, text=True, timeout=LIMIT_S, check=False,
                )  # fmt: skip
                if done.returncode:
                    sys.exit(f"{peer}: {done.stderr[-500:]}")
                judged = _judged(Path(folder)) if peer == "cmd" else ""
            words = done.stdout.strip().splitlines()[-1].split()
            samples[peer].append((float(words[2]), float(words[3])))
            print(
                f"{mode} {repeat + 1}/{REPEATS} {peer:<10} {words[2]:>6} {UNITS.get(mode, 'µs/event')} {words[3]:>5} MB{judged}",
                flush=True,
            )
    return {
        peer: {
            "min": min(value for value, _ in found), "median": statistics.median(value for value, _ in found),
            "peak_rss_mb": max(mb for _, mb in found),
        }
        for peer, found in samples.items()
    }  # fmt: skip


def _judged(folder: Path) -> str:
    """The rows of our own runs, judged again: GO, and five events of each turn."""
    said = []
    for run in sorted(path.parent for path in folder.rglob("manifest.json")):
        command = [sys.executable, "-P", "-c", "from loadtests.cli import main; main()", "report", str(run)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        try:
            verdict = json.loads((run / "verdict.json").read_bytes())
        except OSError:
            sys.exit(f"our own run cannot be judged: exit {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
        turns, events = verdict["books"]["sent"], sum(one["seen"] for one in verdict["events"])
        said.append(f"{verdict['verdict']} {turns:,} turns {events:,} events")
        if done.returncode or verdict["verdict"] != "go" or events != EVENTS_A_TURN * turns:
            sys.exit(
                f"the rows of our own run do not say what was done: exit {done.returncode}, {said[-1]}: {done.stderr[-500:]}"
            )
    if len(said) != RUNS:
        sys.exit(f"{len(said)} runs of ours left rows, not {RUNS}")
    return f"  [{'; '.join(said)}]"


def main() -> int:
    asked = set(sys.argv[1:])
    if strange := asked - {*PEERS, *QUERY}:
        sys.exit(f"bench: {', '.join(sorted(strange))} is none of {', '.join((*PEERS, *QUERY))}")
    at = commit()
    peers = tuple(peer for peer in PEERS if peer in asked) or PEERS
    load = os.getloadavg()[0]
    modes = [mode for mode in QUERY if mode in asked or not asked & set(QUERY)]
    figures = {mode: measure(mode, ("cmd",) if mode in ALONE else peers) for mode in modes}
    if asked:
        return 0
    record = {
        "commit": at,
        "host": {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(load, 2)},
        **figures,
    }
    file = HERE / "results" / "peers.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    print(f"figures: {file.relative_to(HERE.parents[1])}")
    mine = figures["burst"]["cmd"]["min"]
    if mine > TRIPWIRE_US:
        print(f"tripwire: {mine:.1f} µs an event, more than {TRIPWIRE_US:g}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
