"""Example Judgements for the renderers' tests: what a judge could say of a good run, a bad one, one that tells nothing,
one full of hostile text, and one without a turn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from loadtests.contract import load
from reports.analytics import Analytics, StreamLine, funnel, layers
from reports.judgement import (
    Books,
    Cause,
    Check,
    Curve,
    EventLine,
    ExperimentResult,
    FaultResult,
    GateResult,
    GeneratorHealth,
    Judgement,
    Moved,
    Witness,
)
from reports.patterns import Followed, Sequence
from reports.wire import Type, Version

EVENTS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
ROLES = ("started", "thinking", "tool-open", "tool-close", "done")
CENTRES_MS = (120, 330, 610, 1160, 1700)
PHASES = (
    ("warm-up", 0.0, 4.0), ("steady", 4.0, 16.0), ("latency", 16.0, 22.0), ("recovery-latency", 22.0, 28.0),
    ("down", 28.0, 31.0), ("recovery-down", 31.0, 41.0), ("cool-down", 41.0, 45.0),
)  # fmt: skip
CHECKERS = ("vocabulary", "schema", "complete", "order", "pairing", "terminal", "silence", "duplicate", "loss", "honesty",
            "leak", "phantom", "close", "reconnect")  # fmt: skip
NOT_BUILT = ("idempotency", "restored", "dead-peers", "control", "retries", "backoff", "herd", "sockets")

SCRIPT = "<script>alert(1)</script>"
ANSI = "\x1b[2J\x1b[31mred\x1b]0;title\x07"
RTL = "\u202egnp.exe\u2066 שלום \u200f"
MARKUP = "[bold]a|b`c`*d*_e_ ![x](http://evil.example/x.png) @everyone </td></svg>]]>&amp;{{ 7*7 }}"
HUGE = "A" * 5_000_000
BROKEN = "\ud800\x00\ufffe\u2028"
HOSTILE = f"{SCRIPT}{ANSI}{RTL}{MARKUP}{BROKEN}\"'><img src=x onerror=alert(2)>"
#: a frame's strings are UTF-8, so half a character cannot stand in one
IN_FRAME = HOSTILE.replace("\ud800", "")


def turns(
    seed: int = 7, users: int = 60, until_s: float = 45.0, pace_s: float = 2.0, slow: bool = False
) -> pd.DataFrame:
    """A run like smoke: treated users are slower under the latency fault, and some are cut when the network is down."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for user in range(users):
        cohort = "treated" if user % 2 else "control"
        for number, at in enumerate(np.arange(rng.uniform(0, pace_s), until_s, pace_s)):
            phase = next((name for name, start, end in PHASES if start <= at < end), PHASES[-1][0])
            fault = {"latency": "w1", "down": "w2"}.get(phase, "") if cohort == "treated" else ""
            extra = 150 if fault == "w1" else rng.uniform(200, 3000) if fault == "w2" else 0
            times = np.array(CENTRES_MS) * rng.lognormal(0, 0.12) + extra
            if slow and phase == "recovery-down" and cohort == "treated":
                times = times * 1.55
            outcome = "failed" if fault == "w2" and rng.random() < 0.1 else "cut" if at > until_s - 1.2 else "ok"
            if slow and fault == "w2" and rng.random() < 0.1:
                outcome = "timeout"
            if outcome != "ok":
                times[rng.integers(1, 5) :] = np.nan
            end = np.nan if outcome == "cut" else at + np.nanmax(times) / 1000
            place = "during" if fault else "after" if at >= 16 and user % 2 else "before"
            rows.append({
                "session": f"gx5f1e0c2a-{user:03}", "turn": f"{number:03}", "cohort": cohort, "intended_s": at,
                "sent_s": at + 0.002, "end_s": end, "outcome": outcome, "phase": phase,
                "place": place, "fault": fault, "total_ms": times[-1], "service_ms": times[-1] - 2,
                "chunks": 12, "ttft_ms": times[1] + 40, "stall_ms": 45.0, "chunks_per_s": 31.0,
                **{f"event:{name}": ms for name, ms in zip(EVENTS, times, strict=True)},
            })  # fmt: skip
    return pd.DataFrame(rows)


def connections(users: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []
    for user in range(users):
        session, treated = f"gx5f1e0c2a-{user:03}", bool(user % 2)
        dial = float(rng.uniform(0, 1))
        rows.append({
            "session": session, "connection": 1, "cohort": "treated" if treated else "control", "dial_s": dial,
            "ready_s": dial + 0.03, "close_s": 28.1 if treated else 45.0, "code": 1006 if treated else 1000,
            "ours": not treated, "ready_ms": 30.0,
        })  # fmt: skip
        if treated:
            back = float(31 + rng.exponential(0.6))
            rows.append({**rows[-1], "connection": 2, "dial_s": back - 0.03, "ready_s": back, "close_s": 45.0,
                         "code": 1000, "ours": True})  # fmt: skip
    return pd.DataFrame(rows)


def health() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    at = np.arange(0.5, 45, 1.0)
    return pd.DataFrame({
        "at_s": at, "worker": "worker-0", "loop_lag_p99_ms": rng.gamma(2, 1.4, len(at)), "loop_lag_max_ms": 9.0,
        "cpu": rng.uniform(0.25, 0.45, len(at)), "rss_mb": 120.0, "descriptors": 90,
    })  # fmt: skip


MANIFEST: dict[str, Any] = {
    "schema": 1, "argv": ["gauntlet", "run", "smoke", "--label", "build=3f9c2d1"], "started": "2026-11-24T02:14:07+00:00",
    "ended": "2026-11-24T02:15:02+00:00", "scenario": "smoke", "contract": "reference", "seed": 20261124, "users": 60,
    "pace_ms": 2000, "target": "ws://127.0.0.1:38211/ws", "labels": {"build": "3f9c2d1"}, "exit": "finished",
    "host": {"cores": 2, "machine": "x86_64", "python": "3.11.2", "system": "Linux 6.1"},
    "versions": {"chat-gauntlet": "0.1.0", "locust": "2.47.0", "websockets": "17.0", "pandas": "3.1.1"},
    "toxiproxy": "2.12.0", "comparability_key": "0f7d33a91c2e",
}  # fmt: skip


def witness(kind: str, number: int = 1, **over: Any) -> Witness:
    base: dict[str, Any] = {
        "kind": kind, "session": f"gx5f1e0c2a-{2 * number + 1:03}", "turn": f"{13 + number:03}", "row": 4000 + 17 * number,
        "text": "tool_executing of lookup_costs (execution e-7) was never completed", "at_s": 31.4 + number,
        "phase": "recovery-down", "fault": "w2",
    }  # fmt: skip
    return Witness(**base | over)


def check(id_: str, verdict: str = "valid", **over: Any) -> Check:
    base: dict[str, Any] = {
        "id": id_, "subject": "harness" if id_ == "self" else "backend", "verdict": verdict, "required": True,
        "samples": 1215, "violations": 0, "kinds": {}, "warnings": 0, "reason": "nothing found", "witnesses": (),
    }  # fmt: skip
    return Check(**base | over)


def gate(metric: str, rule: str, observed: float | None, verdict: str = "pass", **over: Any) -> GateResult:
    base: dict[str, Any] = {
        "metric": metric, "rule": rule, "unit": "ms", "observed": observed, "samples": 360, "bad": 2,
        "interval": (0.001, 0.0174), "verdict": verdict, "severity": "fail", "reason": "",
    }  # fmt: skip
    return GateResult(**base | over)


def fault(id_: str, kind: str, start_s: float, end_s: float | None, **over: Any) -> FaultResult:
    base: dict[str, Any] = {
        "id": id_, "kind": kind, "cohort": "treated", "phase": kind, "start_s": start_s, "end_s": end_s,
        "asked": {}, "measured": {"what": "new connections refused", "value": 6, "unit": "connections", "tried": 6}, "effect": "confirmed",
        "by": "new connections through this listener", "sessions": 30, "disconnected": 0, "reconnects_peak_per_s": 0,
        "recovery_s": None, "recovery_max_s": None, "unrecovered": 0, "turns": 121, "turns_lost": 0, "slowdown": 1.0,
    }  # fmt: skip
    return FaultResult(**base | over)


def back(users: int, missing: int = 0) -> Curve:
    """Users that came back after 0.6 s, half of them, and 2.4 s, but for some."""
    left = missing / users
    return Curve(
        users=users, missing=missing, p50_s=0.6, p95_s=2.4 if left <= 0.05 else None, steps=((0.6, 0.5), (2.4, left)),
        seen_s=14.0 if missing else 2.4,
    )  # fmt: skip


def event_lines(frame: pd.DataFrame) -> tuple[EventLine, ...]:
    budgets: dict[str, float] = {EVENTS[0]: 1000.0, EVENTS[-1]: 2500.0}
    lines = []
    for name, role in zip(EVENTS, ROLES, strict=True):
        seen = frame[f"event:{name}"].dropna()
        p50, p95, p99 = (float(seen.quantile(q)) for q in (0.5, 0.95, 0.99))
        lines.append(EventLine(
            name=name, role=role, seen=len(seen), missing=0, misplaced=0, p50_ms=p50, p95_ms=p95, p99_ms=p99,
            budget_ms=budgets.get(name), budget_percent=95.0 if name in budgets else None,
            judged_ms=p95 if name in budgets else None, judged="{fault:none}" if name in budgets else "",
            verdict=("pass" if p95 < budgets[name] else "fail") if name in budgets else "seen",
        ))  # fmt: skip
    return tuple(lines)


def books(frame: pd.DataFrame) -> Books:
    ok, failed = int((frame["outcome"] == "ok").sum()), int(frame["outcome"].isin(["failed", "timeout"]).sum())
    return Books(
        planned=len(frame) + 5, dropped=5, sent=len(frame), ok=ok, failed=failed, censored=len(frame) - ok - failed, balanced=True,
        dropped_why={"user reconnecting": 5}, outcomes=frame["outcome"].value_counts().to_dict(),
    )  # fmt: skip


def analytics(frame: pd.DataFrame) -> Analytics:
    """Funnel and layers of these turns; the rest as such a run would have it."""
    contract, path = load("reference"), ("sent", *EVENTS)
    neighbours = zip(path, path[1:], (98.0, 205.0, 276.0, 541.0, 532.0), (0.07, 0.12, 0.16, 0.33, 0.32), strict=False)
    pairs = sorted(neighbours, key=lambda one: -one[3])
    stopped = frame[frame["outcome"] != "ok"]
    return Analytics(
        funnel=funnel(frame, contract),
        layers=layers(frame, contract),
        stream=StreamLine(turns=len(frame), chunks=12 * len(frame), ttft_p50_ms=372.0, ttft_p95_ms=466.0, gap_p50_ms=31.0,
                          gap_p95_ms=44.0, stall_p95_ms=52.0, stall_max_ms=3127.0, rate_p50_per_s=31.2, rate_p5_per_s=24.8),
        followed=tuple(Followed(before=a, after=b, times=len(frame), p50_ms=ms, p95_ms=1.2 * ms, share=share)
                       for a, b, ms, share in pairs),
        of_followed=7,
        sequences=(
            Sequence(events=(*EVENTS[:4], "partial_result+", EVENTS[4]), turns=len(frame) - len(stopped), p50_ms=1699.0,
                     share=1 - len(stopped) / len(frame), outcomes={"ok": len(frame) - len(stopped)}, example="gx5f1e0c2a-003.1"),
            Sequence(events=EVENTS[:3], turns=len(stopped), share=len(stopped) / len(frame), p50_ms=None,
                     outcomes=stopped["outcome"].value_counts().to_dict(), example="gx5f1e0c2a-003.14"),
        ),
        of_sequences=2,
        types=(
            Type(type="agent_mood", event="", standing="not approved", frames=4, bytes=812, example="gx5f1e0c2a-005.2"),
            Type(type="tool_call", event="tool_executing", standing="deprecated", frames=4, bytes=900, example="gx5f1e0c2a-007.3"),
            *(Type(type=name, event=name, standing="approved", frames=len(frame), bytes=220 * len(frame), example="gx5f1e0c2a-001.1")
              for name in EVENTS),
        ),
        of_types=7,
        versions=(Version(version="1", standing="deprecated", frames=3100, first_s=0.1, last_s=38.2),
                  Version(version="2", standing="accepted", frames=2975, first_s=21.4, last_s=44.9)),
    )  # fmt: skip


def go() -> Judgement:
    frame = turns()
    return Judgement(
        verdict="go",
        sentence="15 required checkers are valid, 8 of 8 gates pass, both faults bit and every user was served again.",
        causes=(),
        checks=(
            *(check(id_) for id_ in CHECKERS[:13]),
            check("reconnect", samples=30, reason="30 of 30 cut sessions were served again"),
            check("self", subject="harness", reason="books balance, no row lost, no toxic left"),
            *(check(id_, "not-exercised", required=False, samples=0, reason="not yet built") for id_ in NOT_BUILT),
        ),
        gates=(
            gate("event.agent_started{phase:steady}", "p(95)<1000", 141.2),
            gate("event.agent_completed{phase:steady}", "p(95)<4000", 2012.0, samples=358, bad=0, interval=(0.0, 0.0083)),
            gate("turn.success{phase:steady}", "rate>0.95", 1.0, unit="share", bad=0, interval=(0.0, 0.0083)),
            gate("turn.total{phase:recovery-down}", "p(90)<8000", 2890.0, samples=300, bad=0, interval=(0.0, 0.01)),
            gate("recovery.session", "p(90)<8000", 1420.0, samples=30, bad=0, interval=(0.0, 0.095)),
        ),
        faults=(
            fault("w1", "latency", 16.0, 22.0, asked={"latency_ms": 150, "jitter_ms": 20, "direction": "down"},
                  measured={"what": "added round trip", "value": 151.2, "unit": "ms"}, slowdown=1.24, turns=91),
            fault("w2", "down", 28.0, 31.0, disconnected=30, reconnects_peak_per_s=11, recovery_s=0.6, recovery_max_s=2.4,
                  turns=62, turns_lost=0, slowdown=1.53, place="listener", back=back(30), went_on=back(12), began=back(30)),
        ),
        books=books(frame),
        generator=GeneratorHealth(fit=True, loop_lag_p99_ms=3.1, cpu_p95=0.41, rows_lost=0, reasons=()),
        events=event_lines(frame),
        not_checked=tuple(f"{id_} (not yet built)" for id_ in NOT_BUILT),
        phases=PHASES,
        cleanup="no toxic, proxy or process left",
        run="runs/2026-11-24T021407Z-smoke-7f3a",
        manifest=dict(MANIFEST),
        turns=frame,
        connections=connections(),
        health=health(),
        analytics=analytics(frame),
    )  # fmt: skip


def no_go() -> Judgement:
    base, frame = go(), turns(slow=True)
    three = tuple(witness("open-without-close", number) for number in (1, 2, 3))
    hole = witness("hole", 4, text="events 41 to 43 of stream s-19 were never delivered, yet the server said resumed")
    lines = event_lines(frame)
    checks = {one.id: one for one in base.checks} | {
        "pairing": check("pairing", "invalid", violations=3, kinds={"open-without-close": 3}, witnesses=three,
                         reason="3 of 1 215 turns had a tool that never completed"),
        "honesty": check("honesty", "invalid", violations=1, kinds={"claimed-over-hole": 1}, witnesses=(hole,), samples=30,
                         reason="1 of 30 resumes claimed continuity over a gap"),
        "reconnect": check("reconnect", "unknown", samples=0, reason="too few sessions were cut to say"),
        "vocabulary": check("vocabulary", warnings=4, reason="4 events under a deprecated name"),
    }  # fmt: skip
    slow_gate = gate("event.agent_completed{phase:recovery-down}", "p(95)<2500", 2610.0, "fail", bad=41, samples=298,
                     interval=(0.107, 0.171), reason="13.8 % of 298 turns were over 2 500 ms; 5 % may be")  # fmt: skip
    return replace(
        base,
        verdict="no-go",
        sentence="agent_completed is too slow after the 3 s cut (p95 2 610 ms against 2 500 ms, n = 298), 3 tools never "
        "completed, and 1 resume claimed continuity over a gap.",
        causes=(
            Cause(title="pairing", detail="3 turns had tool_executing without tool_completed, all in recovery-down, in 3 of "
                  "30 treated users", consequences=("3 of the 3 turns also count as failed in turn.success",), witnesses=three),
            Cause(title="gate event.agent_completed{phase:recovery-down} p(95)<2500",
                  detail="p95 2 610 ms; 13.8 % of 298 turns over, 95 % bounds 10.7 % to 17.1 %"),
            Cause(title="honesty", detail="1 resume said resumed: true over 3 events that never came",
                  consequences=("what the hole swallowed is counted under no other id",), witnesses=(hole,)),
        ),
        checks=tuple(checks.values()),
        gates=(slow_gate, *base.gates, gate("connect.ready", "p(90)<25", 31.0, "fail", severity="warn", bad=40, samples=90,
                                            reason="44 % of 90 connections were over 25 ms"),
               gate("turn.total{fault:w2}", "p(99)<9000", 3100.0, "unknown", bad=0, samples=62, interval=(0.0, 0.047),
                    reason="299 turns would decide, there were 62"),
               gate("turn.total{phase:soak}", "p(95)<9000", None, "not-checked", bad=0, samples=0, interval=None,
                    reason="an override removed the phase")),
        faults=(base.faults[0], replace(base.faults[1], turns_lost=3, unrecovered=0, recovery_max_s=4.1)),
        events=(*lines[:3], replace(lines[3], missing=3, seen=lines[3].seen - 3, verdict="broken"), lines[4]),
        turns=frame,
        analytics=analytics(frame),
        books=books(frame),
    )  # fmt: skip


def cannot_say() -> Judgement:
    base = go()
    return replace(
        base,
        verdict="cannot-say",
        sentence="The generator was not fit: its loop was late by 212 ms, so no latency can be trusted.",
        causes=(
            Cause(title="generator", detail="loop lag p99 212 ms against 100 ms; CPU p95 98 % against 90 %",
                  consequences=("5 timing gates cannot say",)),
            Cause(title="fault w1", detail="latency was asked for and no ping was late: it had no effect"),
        ),
        checks=tuple(
            check("self", "unknown", reason="the journal ends before the run") if one.id == "self" else one
            for one in base.checks
        ),
        gates=tuple(replace(one, verdict="unknown", reason="the generator was not fit") for one in base.gates),
        experiment=ExperimentResult(name="jam-heal-short", form="short", hypothesis="Nobody reconnects.", state="unknown",
                                    why=("3 reconnects where none was expected", "CANNOT SAY: self")),
        moved=Moved(elsewhere=3, of=30, nodes=2),
        faults=(replace(base.faults[0], effect="absent", measured={"what": "added round trip", "value": 0.4, "unit": "ms"}),
                replace(base.faults[1], effect="not-probed", measured={"value": None, "reason": "no ping was sent"},
                        end_s=None, unrecovered=4, place="client", kind="mass-disconnect", back=back(30, 4)),
                replace(base.faults[0], id="w3", by="WebSocket pings on a live connection",
                        measured={"what": "added round trip", "value": 150.4, "unit": "ms", "direction": "read back, not measured"})),
        generator=GeneratorHealth(fit=False, loop_lag_p99_ms=212.0, cpu_p95=0.98, rows_lost=12,
                                  reasons=("loop lag p99 212 ms is over 100 ms", "CPU p95 98 % is over 90 %")),
        books=replace(base.books, balanced=False),
    )  # fmt: skip


def hostile() -> Judgement:
    """Everything that a server, a file or a user could have written is an attack, and some of it is huge."""
    base = no_go()
    bad = tuple(
        witness(
            HOSTILE,
            number,
            session=HOSTILE,
            turn="$(reboot) `reboot`",
            text=HOSTILE + HUGE,
            phase=HOSTILE,
            fault=HOSTILE,
        )
        for number in range(3)
    )
    renamed = base.turns.rename(columns={f"event:{EVENTS[1]}": f"event:{IN_FRAME}"})
    renamed.loc[:20, "outcome"] = IN_FRAME
    return replace(
        base,
        sentence=HOSTILE + HUGE,
        causes=tuple(
            Cause(title=HOSTILE, detail=HOSTILE + HUGE, consequences=(HOSTILE,) * 9, witnesses=bad) for _ in range(5)
        ),
        checks=(
            check("pairing", "invalid", reason=HOSTILE + HUGE, kinds={HOSTILE: 3}, violations=3, witnesses=bad),
            *(replace(one, reason=HOSTILE) for one in base.checks if one.id != "pairing"),
        ),
        gates=tuple(replace(one, metric=HOSTILE, rule=HOSTILE, reason=HOSTILE + HUGE) for one in base.gates),
        faults=tuple(
            replace(one, id=HOSTILE, kind=HOSTILE, asked={HOSTILE: HUGE}, by=HOSTILE + HUGE, place="client", back=back(30, 4),
                    measured={"what": HOSTILE, "value": HUGE, "unit": HOSTILE, "of": HUGE, "direction": HOSTILE + HUGE})
            for one in base.faults
        ),
        experiment=ExperimentResult(name=HOSTILE, form=HOSTILE, hypothesis=HOSTILE + HUGE, state="not-held", why=(HOSTILE, HUGE)),
        books=replace(base.books, dropped_why={HOSTILE: 5}, outcomes={HOSTILE: 3, "ok": 7}),
        generator=replace(base.generator, fit=False, reasons=(HOSTILE, HUGE)),
        events=(base.events[0], replace(base.events[1], name=IN_FRAME), *base.events[2:]),
        analytics=hostile_analytics(base.analytics),
        not_checked=(HOSTILE, HUGE, *(f"{HOSTILE} {number}" for number in range(20))),
        phases=tuple((HOSTILE, start, end) for _, start, end in base.phases),
        cleanup=HOSTILE,
        run=HOSTILE,
        manifest={**base.manifest, "scenario": HOSTILE, "labels": {"build": HOSTILE, HOSTILE: HOSTILE}, HOSTILE: HUGE,
                  "target": "ws://me:s3cret@chat.test/ws?token=s3cret#s3cret",
                  "argv": ["gauntlet", "run", "smoke", "--target", "ws://me:s3cret@chat.test/ws?token=s3cret", HOSTILE]},
        turns=renamed,
    )  # fmt: skip


def hostile_analytics(base: Analytics) -> Analytics:
    return replace(
        base,
        funnel=tuple(replace(step, names=(IN_FRAME, HUGE), stopped={HOSTILE: 3}) for step in base.funnel),
        followed=tuple(replace(one, before=HOSTILE, after=HOSTILE + HUGE) for one in base.followed),
        sequences=tuple(replace(one, events=(HOSTILE,) * 40, outcomes={HOSTILE: 1}, example=HOSTILE) for one in base.sequences),
        types=tuple(replace(one, type=HOSTILE + HUGE, event=HOSTILE, example=HOSTILE) for one in base.types),
        versions=tuple(replace(one, version=HOSTILE + HUGE) for one in base.versions),
    )  # fmt: skip


def empty() -> Judgement:
    """Cut before its first turn: no turns, no connections, no manifest, nothing to stand on."""
    base = cannot_say()
    nothing = {"p50_ms": None, "p95_ms": float("nan"), "p99_ms": None}
    return replace(
        base,
        sentence="The run ended before its first turn.",
        causes=(),
        checks=(),
        gates=(),
        faults=(),
        books=Books(planned=0, dropped=0, sent=0, ok=0, failed=0, censored=0, balanced=True, dropped_why={}),
        generator=GeneratorHealth(fit=False, loop_lag_p99_ms=None, cpu_p95=None, rows_lost=0, reasons=()),
        events=tuple(replace(one, seen=0, budget_ms=None, verdict="not-checked", **nothing) for one in base.events),  # type: ignore[arg-type]
        analytics=Analytics(funnel=(), layers=(), stream=None, followed=(), of_followed=0, sequences=(), of_sequences=0, types=(),
                            of_types=0, versions=()),
        not_checked=(),
        phases=(),
        manifest={},
        turns=base.turns.iloc[:0],
        connections=pd.DataFrame(),
        health=pd.DataFrame(),
    )  # fmt: skip


EXAMPLES = {"go": go, "no-go": no_go, "cannot-say": cannot_say, "hostile": hostile, "empty": empty}
