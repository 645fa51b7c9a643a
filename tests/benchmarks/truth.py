"""``make bench PART=truth``: is what we measure true? Two answers, both against a server that writes down when it sent each event.

``stall``: the server stands still for two seconds in the middle of a run. Open arrivals show it in the 99th percentile from the
intended send as it can be computed on paper; users who wait before they ask again do not. ``latency``: how much later than the
server sent it an event stands in our rows, at 10, 50 and 90 % of what one core bears; at 150 % the verdict must be CANNOT SAY.
Written to ``results/truth.json``. The client runs on the last core, the server on the first.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import numpy as np  # noqa: E402  # the path above leads there
import pandas as pd  # noqa: E402
import yaml  # noqa: E402

from loadtests.history import RowKind  # noqa: E402
from loadtests.rundir import read_run  # noqa: E402
from tests.live.gauntlet import until  # noqa: E402
from tests.proofs.ledger import commit  # noqa: E402

CORE = str((os.cpu_count() or 1) - 1)
EVENTS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
GAP_MS = 10
STALL_AT_S, STALL_S, RUN_S = 15.0, 2.0, 30.0
SHARES = (0.1, 0.5, 0.9, 1.5)
CALIBRATE_PER_S, LEVEL_S, SETTLE_S = 1000, 12.0, 2.0
LIMIT_S = 300.0
#: by how much the observed percentile may differ from the one on paper
PAPER = 0.05
#: where there is no hurry, and how many of our rows the server must know
MOST_LATE_MS, LEAST_JOINED = 20.0, 0.999


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The peers' server, built now; its emissions are in ``folder/emitted`` once it has ended."""
    if shutil.which("go") is None:
        sys.exit("truth: the server needs 'go' on PATH")
    binary = folder / "server"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=HERE / "peers", check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["taskset", "-c", "0", str(binary), "-addr", f"127.0.0.1:{port}", "-log", str(folder / "emitted")]
    process = subprocess.Popen(words, env={**os.environ, "GOMAXPROCS": "1"})
    try:
        until(lambda: accepts(port), 10, "the server")
        yield process, port
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def scenario(folder: Path, **changes: Any) -> Path:
    body = {
        "scenario": 1, "name": "truth", "users": 200, "prompts": ["hello"], "phases": [{"name": "steady", "s": RUN_S}],
        "limits": {"connects_per_s": 200}, "generator": {"loop_lag_p99_ms": 50.0, "cpu_p95": 0.9}, **changes,
    }  # fmt: skip
    path = folder / "truth.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    contract = {
        "contract": 1,
        "name": "timed",
        "extends": str(HERE / "peers" / "contract.yaml"),
        "endpoint": {"query": {"gap": f"{GAP_MS}ms"}},
    }
    (folder / "timed.yaml").write_text(yaml.safe_dump(contract))
    return path


@contextlib.contextmanager
def running(folder: Path, port: int, *, chaos: bool = False) -> Iterator[Path]:
    """A run of ``scenario``'s file on the last core; leaving the block waits for its end."""
    run = folder / "run"
    words = [
        "taskset", "-c", CORE, sys.executable, "-P", "-c", "from loadtests.cli import main; main()", "run", str(folder / "truth.yaml"),
        "--target", f"ws://127.0.0.1:{port}/ws", "--contract", str(folder / "timed.yaml"), "--out", str(run),
        *(() if chaos else ("--no-chaos",)),
    ]  # fmt: skip
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(words, cwd=HERE.parents[1], stdout=said, stderr=said)
    try:
        yield run
        process.wait(LIMIT_S)
    finally:
        process.kill()
    if not (run / "verdict.json").exists():
        sys.exit(f"truth: the run was not judged: {(folder / 'said').read_text()[-800:]}")


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def started_ns(run: Path) -> int:
    until((run / "start.json").exists, 60, "the start of the run")
    return int(json.loads((run / "start.json").read_bytes())["start_ns"])


def stalled(model: str) -> dict[str, Any]:
    """One run over the stall: its percentile, and for open arrivals the one on paper."""
    arrivals = {"model": "open", "rate_per_s": 40} if model == "open" else {"model": "closed", "think_ms": [0, 0]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario(folder, arrivals=arrivals, users=200 if model == "open" else 8)
        with server(folder) as (process, port), running(folder, port) as run:
            start_ns = started_ns(run)
            clock = threading.Event()
            clock.wait(max(0.0, start_ns / 1e9 + STALL_AT_S - time.monotonic()))
            process.send_signal(signal.SIGSTOP)
            began_ns = time.monotonic_ns()
            clock.wait(STALL_S)
            ended_ns = time.monotonic_ns()
            process.send_signal(signal.SIGCONT)
        turns = pd.read_parquet(run / "turns.parquet")
        began_s, ended_s = (began_ns - start_ns) / 1e9, (ended_ns - start_ns) / 1e9
    total = turns["total_ms"].fillna(np.inf).to_numpy()
    found = {"turns": len(turns), "p50_ms": _at(total, 0.5), "p99_ms": _at(total, 0.99), "max_ms": _at(total, 1.0)}
    if model == "open":
        calm = turns[(turns["end_s"] < began_s) | (turns["intended_s"] > ended_s + 1)]["total_ms"].dropna().to_numpy()
        found["paper_p99_ms"] = on_paper(turns["intended_s"].to_numpy(), calm, began_s, ended_s)
    return found


def on_paper(intended_s: np.ndarray, calm_ms: np.ndarray, began_s: float, ended_s: float) -> float:
    """The percentile if every turn had taken what it takes in calm, and the server had stood still: what is under way then, or
    arrives, waits for the end.
    """
    dice = np.random.default_rng(1)
    takes_s = dice.choice(calm_ms, len(intended_s)) / 1000
    waits_s = np.where(
        intended_s < began_s,
        np.where(intended_s + takes_s > began_s, ended_s - began_s, 0.0),
        np.clip(ended_s - intended_s, 0, None),
    )
    return _at((takes_s + waits_s) * 1000, 0.99)


def level(rate_per_s: float) -> dict[str, Any]:
    """A run at a rate: how late events stand in our rows, and the verdict."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        users = max(200, round(rate_per_s * 5 * GAP_MS / 1000 * 3))
        scenario(
            folder, arrivals={"model": "open", "rate_per_s": round(rate_per_s, 1)}, users=users, phases=[{"name": "steady", "s": LEVEL_S}],
        )  # fmt: skip
        with server(folder) as (_, port), running(folder, port) as run:
            start_ns = started_ns(run)
        verdict = json.loads((run / "verdict.json").read_bytes())
        late_ms, joined = lateness(run, folder / "emitted", start_ns + int(SETTLE_S * 1e9))
    generator = verdict["generator"]
    return {
        "rate_per_s": round(rate_per_s), "events": len(late_ms), "joined": round(joined, 5), "p50_ms": _at(late_ms, 0.5),
        "p99_ms": _at(late_ms, 0.99), "max_ms": _at(late_ms, 1.0), "verdict": verdict["verdict"], "fit": generator["fit"],
        "cpu_p95": generator["cpu_p95"], "sentence": verdict["sentence"][:160], "books": verdict["books"],
    }  # fmt: skip


def lateness(run: Path, emitted: Path, since_ns: int) -> tuple[np.ndarray, float]:
    """Milliseconds from the server's emission to our row, of each event of the turns intended from a time on; and what share of
    them the server knows.
    """
    data = read_run(run)
    rows = data.rows[(data.rows["kind"] == RowKind.EVENT) & (data.rows["intended"] >= since_ns)]
    nonce = data.manifest["nonce"]
    places = {data.contract.by_name[name].index: place for place, name in enumerate(EVENTS)}
    seen = pd.DataFrame(
        {
            "run": [
                f"run_{nonce}s{session:06x}t{turn}"
                for session, turn in zip(rows["session"].tolist(), rows["turn"].tolist(), strict=True)
            ],
            "place": [places.get(event, -1) for event in rows["event"].tolist()],
            "received": rows["received"],
        }
    )
    sent = pd.read_csv(emitted, sep=" ", names=["run", "place", "emitted"])
    both = seen.merge(sent, on=["run", "place"], how="inner")
    return ((both["received"] - both["emitted"]) / 1e6).to_numpy(), len(both) / max(1, len(seen))


def _at(values: np.ndarray, share: float) -> float:
    return round(float(np.quantile(values, share, method="inverted_cdf")), 3) if len(values) else float("nan")


def main() -> int:
    at = commit()
    stall = {model: stalled(model) for model in ("open", "closed")}
    for model, found in stall.items():
        print(f"stall {model:<7} {found}", flush=True)
    base = level(CALIBRATE_PER_S)
    capacity = CALIBRATE_PER_S / base["cpu_p95"]
    print(
        f"capacity  about {capacity:.0f} turns a second on one core ({base['cpu_p95']:.0%} at {CALIBRATE_PER_S})",
        flush=True,
    )
    levels = {}
    for share in SHARES:
        levels[f"{share:.0%}"] = found = level(share * capacity)
        print(f"latency {share:>5.0%} {found}", flush=True)
    host = {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 2)}
    file = HERE / "results" / "truth.json"
    record = {"commit": at, "host": host, "stall": stall, "capacity_per_s": round(capacity), "levels": levels}
    file.write_text(json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n")
    print(f"figures: {file.relative_to(HERE.parents[1])}")
    paper = stall["open"]["paper_p99_ms"]
    wrong = []
    if abs(stall["open"]["p99_ms"] - paper) > PAPER * paper:
        wrong.append(f"open p99 {stall['open']['p99_ms']:.0f} ms, on paper {paper:.0f}")
    if stall["closed"]["p99_ms"] > 0.5 * paper:
        wrong.append("the closed run shows the stall as well")
    if levels["150%"]["verdict"] != "cannot-say":
        wrong.append(f"at 150 % the verdict is {levels['150%']['verdict']}")
    for share in ("10%", "50%"):
        one = levels[share]
        right = one["verdict"] == "go" and one["p99_ms"] < MOST_LATE_MS and one["joined"] >= LEAST_JOINED
        wrong += [] if right else [f"at {share}: {one}"]
    for line in wrong:
        print(f"wrong: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
