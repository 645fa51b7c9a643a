"""The checkers: one row each. What it counts of the trackers' findings stands in their own table; here stand its subject, what
makes the plan or the contract require it, what the history must hold for it to have been exercised, and where it looks
besides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from loadtests.contract.compile import Contract
from loadtests.contract.content import StreamRule
from loadtests.contract.envelope import on_wire
from loadtests.history import Window
from loadtests.retry import Policy
from reports import policies
from reports.clients import MisstepLog
from reports.evidence import Evidence
from reports.judgement import Witness
from reports.peers import PeerFinding
from reports.placed import PlacedFindings
from reports.policies import Herd
from reports.recovery import Recovery
from reports.steadiness import LEAST_MEANT, Comparison

__all__ = ["CHECKERS", "MOST_WITNESSES", "Case", "Checker", "Opinion", "declares_client"]

MOST_WITNESSES = 5
Subject = Literal["backend", "client", "harness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One history, read: what a checker with an eye of its own may look at."""

    contract: Contract
    windows: Sequence[Window]
    placed: PlacedFindings
    recovered: Sequence[Recovery]
    missteps: MisstepLog
    herds: Sequence[Herd]
    policy: Policy
    #: the product's own policy: the largest share of a herd in one second; 1: nothing is declared
    herd_share: float
    control: Comparison
    restored: Comparison
    #: why the control group's suffering blames nobody; empty: it does
    astray: str
    peers: Sequence[PeerFinding]
    #: what the harness has against itself
    trouble: Sequence[str]
    start_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a checker found beside the trackers' findings. ``unknown``: why it cannot say, if it found nothing."""

    reason: str
    violations: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    witnesses: tuple[Witness, ...] = ()
    scope: str = ""
    unknown: str = ""
    #: why what was found blames nobody
    astray: str = ""


@dataclass(frozen=True, slots=True)
class Checker:
    """``required`` and ``samples`` derive from contract, plan and history, never from a hand-written list."""

    id: str
    subject: Subject
    required: Callable[[Evidence], bool]
    samples: Callable[[Evidence], int]
    rests_on: str
    #: its claim is void if a fault of the plan had no effect, or the control group suffered too
    needs_effect: bool = False
    #: its claim is about time, and void if the generator was not fit
    timing: bool = False
    looks: Callable[[Case], Opinion] | None = None


def _always(_: Evidence) -> bool:
    return True


def declares_client(e: Evidence) -> bool:
    """Whether the contract says how the product's own client comes back (law 3)."""
    return e.contract.file.client is not None


def _names_turns(e: Evidence) -> bool:
    """Frames can name a turn. Where none can, each belongs to the turn in flight, and none to a turn that nobody began."""
    return "turn" in on_wire(e.contract.file)


def _promised_streams(contract: Contract) -> list[StreamRule]:
    """Those of which every turn that ends well must show a chunk; of another none may come, and nothing is wrong."""
    return [contract.stream_of[rule.index] for rule in contract.demanded if rule.index in contract.stream_of]


def _tells_repeats(e: Evidence) -> bool:
    """Something that events must carry tells one of them from its like. An id that they may carry is no promise."""
    ids = any("event_id" in rule.fields for rule in e.contract.events)
    return e.contract.has_cursor or ids or any(one.numbered for one in _promised_streams(e.contract))


def _tells_gaps(e: Evidence) -> bool:
    """Something tells that events or chunks are missing: their numbers, or the whole of which they are pieces."""
    whole = {one.stream for one in e.contract.final_of.values()}
    return e.contract.has_cursor or any(one.numbered or one.number in whole for one in _promised_streams(e.contract))


def _declared_cuts(e: Evidence) -> bool:
    return declares_client(e) and e.cuts


def _meant(id_: str, turns: int, e: Evidence) -> bool:
    """Whether a comparison is called for: by a plan that gives it turns enough, or by an experiment, which is made for it."""
    return bool(e.windows) and (turns >= LEAST_MEANT or id_ in e.compares)


def _reconnect(case: Case) -> Opinion:
    late = [one for one in case.recovered if one.late]
    return Opinion(
        violations=len(late),
        kinds={"not-back": len(late)} if late else {},
        witnesses=tuple(_late_witness(one, case) for one in late[:MOST_WITNESSES]),
        reason="a cut session was not served again in time" if late else "",
    )


def _late_witness(one: Recovery, case: Case) -> Witness:
    budget_s = case.contract.file.turn.recovery_ms / 1000
    cut_s = (one.outage.close_ns - case.start_ns) / 1e9
    back = "never back" if one.took_ns is None else f"back after {one.took_ns / 1e9:.1f} s"
    text = f"cut at {cut_s:.1f} s, {back} (budget {budget_s:g} s)"
    return case.placed.witness_at(one.outage.close_row, "not-back", text, turn="", fault=one.window)


def _compared(found: Comparison, kind: str, reason: str, case: Case, astray: str = "") -> Opinion:
    if not found.broken:
        left_out = f"{found.aside} turn{'s' if found.aside > 1 else ''} left out, with findings of their own"
        return Opinion(unknown=found.unknown, reason=left_out if found.aside else "")
    witnesses = tuple(case.placed.witness_at(row, kind, reason) for row in found.rows[:MOST_WITNESSES])
    return Opinion(
        violations=found.bad, kinds={kind: found.bad}, witnesses=witnesses, reason=reason, scope=found.text, astray=astray,
    )  # fmt: skip


def _control(case: Case) -> Opinion:
    return _compared(case.control, "control-suffers", "users that no fault touches suffer from it", case, case.astray)


def _restored(case: Case) -> Opinion:
    return _compared(case.restored, "not-restored", "turns are not back to what they were before the faults", case)


def _missteps(found: policies.Missteps, case: Case) -> Opinion:
    kinds = Counter(one.kind for one in found.found)
    for kind in found.texts.keys() & case.missteps.counts.keys():  # the log counts more than it keeps
        kinds[kind] = case.missteps.counts[kind]
    shown: Counter[str] = Counter()
    witnesses = []
    for one in found.found:
        shown[one.kind] += 1
        if shown[one.kind] <= MOST_WITNESSES:
            witnesses.append(case.placed.witness_at(one.row, one.kind, found.texts[one.kind], turn=""))
    return Opinion(
        violations=kinds.total(), kinds=dict(kinds), witnesses=tuple(witnesses), reason="; ".join(found.texts.values())
    )


def _retries(case: Case) -> Opinion:
    return _missteps(policies.retries(case.recovered, case.missteps.kept, case.policy), case)


def _backoff(case: Case) -> Opinion:
    return _missteps(policies.backoff(case.recovered, case.policy), case)


def _herd(case: Case) -> Opinion:
    return _missteps(policies.herd(case.herds, case.herd_share), case)


def _sockets(case: Case) -> Opinion:
    return _missteps(policies.sockets(case.missteps.kept), case)


def _peers(case: Case) -> Opinion:
    kinds = Counter(one.kind for one in case.peers)
    seen = [one for one in case.peers if one.row >= 0][:MOST_WITNESSES]
    return Opinion(
        violations=kinds.total(), kinds=dict(kinds), reason="; ".join(one.text for one in case.peers[:1]), scope=_times(case.peers),
        witnesses=tuple(case.placed.witness_at(one.row, one.kind, one.text, turn="") for one in seen),
    )  # fmt: skip


def _times(found: Sequence[object]) -> str:
    return f"{len(found)} times" if len(found) > 1 else "once" if found else ""


CHECKERS: tuple[Checker, ...] = (
    Checker("vocabulary", "backend", _always, lambda e: e.events, "events"),
    Checker("schema", "backend", _always, lambda e: e.events, "events"),
    Checker("complete", "backend", lambda e: bool(e.contract.demanded), lambda e: e.good_turns, "turns that ended well"),
    Checker("order", "backend", lambda e: bool(e.contract.automaton), lambda e: e.ordered_turns, "turns of two events or more"),
    Checker("pairing", "backend", lambda e: bool(e.contract.file.pairs), lambda e: e.pair_events, "events of pairs"),
    Checker("terminal", "backend", _always, lambda e: e.begun_turns, "turns that began"),
    Checker("silence", "backend", _always, lambda e: e.turns + e.connections, "messages and connections"),
    Checker("duplicate", "backend", _tells_repeats, lambda e: e.numbered or e.keyed or e.numbered_chunks,
            "events with a number or id"),
    Checker("loss", "backend", _tells_gaps, lambda e: e.numbered or e.chunks, "numbered events, or chunks of a text"),
    Checker("honesty", "backend", lambda e: e.contract.resumes and e.cuts, lambda e: e.claims, "claims of continuity", needs_effect=True),
    Checker("leak", "backend", lambda e: e.users > 1, lambda e: e.events if e.sessions > 1 else 0, "events, with two sessions or more"),
    Checker("phantom", "backend", _names_turns, lambda e: e.named, "events of turns"),
    Checker("idempotency", "backend", lambda e: e.contract.file.send.resend and e.doubtful > 0, lambda e: e.resent,
            "messages sent again"),
    Checker("close", "backend", _always, lambda e: e.connections, "connections"),
    Checker("reconnect", "backend", lambda e: e.cuts, lambda e: e.decided_outages, "cut sessions that came back or asked for it in vain",
            needs_effect=True, looks=_reconnect),
    Checker("restored", "backend", lambda e: _meant("restored", e.after_meant, e), lambda e: e.after_turns,
            "turns after the last fault and its grace", needs_effect=True, timing=True, looks=_restored),
    Checker("dead-peers", "backend", lambda e: e.server_views > 0 or e.lasting, lambda e: e.server_views or e.connections * e.lasting,
            "look at the backend's own count of sessions", looks=_peers),
    Checker("control", "backend", lambda e: _meant("control", e.control_meant, e), lambda e: e.control_turns,
            "control users' turns during others' faults", timing=True, looks=_control),
    Checker("retries", "client", _declared_cuts, lambda e: e.outages, "cut sessions", looks=_retries),
    Checker("backoff", "client", _declared_cuts, lambda e: e.long_outages, "outages of three attempts or more", looks=_backoff),
    Checker("herd", "client", _declared_cuts, lambda e: e.herded, "sessions that a fault cut together", looks=_herd),
    Checker("sockets", "client", _declared_cuts, lambda e: e.reconnections, "second connections of a session", looks=_sockets),
    Checker("self", "harness", _always, lambda _: 1, "the run itself"),
)  # fmt: skip
