"""The table of planted defects: what each does, where it hooks in, and exactly which checkers must find it.

What they do to a turn or a resume stands in ``spoilt_turns`` and ``spoilt_replays``; which ones they hit is
``planting``'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loadtests.backend import spoilt_replays as replays
from loadtests.backend import spoilt_turns as turns
from loadtests.backend.script import Wants
from loadtests.backend.spoilt_replays import ReplayHook, RewindHook
from loadtests.backend.spoilt_turns import CancelHook, ScriptHook
from loadtests.contract.schema import Concurrent

__all__ = ["CLUSTER_DEFECTS", "DEFECTS", "PLANTABLE", "Defect", "Need", "Place", "found_by"]

#: Where a defect hooks in: a turn's script, its cancel, the loss of its connection, a message, its resend, a second
#: message (which must wait, be rejected, run beside the first or take its place), what a dead node left, a resume
#: (whether it is granted, its replay, the log behind it, what else it sets off), a flush of kept events, a ping, a
#: connection, the whole server, its sockets.
Place = Literal[
    "script", "cancel", "cut", "message", "resend", "queue", "rejection", "mixture", "supersession", "orphan", "denial", "replay", "log",
    "overtake", "broadcast", "flush", "ping", "connection", "admission", "house", "socket",
]  # fmt: skip
#: What a run must hold for the defect to show; empty: turns, of more than one session.
Need = Literal[
    "", "cut", "slow connection", "cancel", "second message", "expectation", "half-open connection", "slow consumer",
    "quiet session", "cluster",
]  # fmt: skip

PLAIN = Wants(whole=True, nested=False)
WHOLE = Wants(whole=True)
UNSTREAMED = Wants(whole=True, streamed=False)
STREAMED = Wants(whole=True, streamed=True)
NESTED = Wants(whole=True, nested=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One row. ``ids``: contract name -> the exact set of checkers that find something."""

    name: str
    sentence: str
    ids: Mapping[str, frozenset[str]]
    where: Place = "script"
    needs: Need = ""
    script: ScriptHook | None = None
    cancel: CancelHook | None = None
    replay: ReplayHook | None = None
    rewind: RewindHook | None = None
    #: share of turns, resumes or connections; None: what the option says
    share: float | None = None
    #: what a turn must be like to be spoilt
    wants: Wants = WHOLE
    #: what the contract must promise of a second message, and the backend do; empty: whatever they do
    concurrent: Concurrent = ""
    #: shows only where the envelope does not wrap one type in another, since what is wrapped may have types of its own
    unwrapped: bool = False
    #: the replay needs all that the log has of the stream
    reads_all: bool = False
    #: only what comes from another node is hit
    across: bool = False
    #: a message is forgotten where it should be executed, or taken for executed
    forgets: bool = False
    #: after a stop the thread stays busy for ever
    wedges: bool = False
    #: an unwelcomed connection is closed at once
    closes: bool = False
    #: seconds between the server's pings, and until a missing answer ends the connection; None: never
    keepalive_s: tuple[float, float] | Literal["never"] | None = None
    #: all connections send through one gate
    one_gate: bool = False


def found_by(reference: str, netra: str | None = None) -> dict[str, frozenset[str]]:
    """A row's ids by contract, from words; without its own, netra's are the same."""
    return {
        "reference": frozenset(reference.split()),
        "netra": frozenset((reference if netra is None else netra).split()),
    }


_ROWS = (
    Defect(
        name="lost-event",
        sentence="a thinking event is numbered and logged, and never sent live",
        ids=found_by("loss", "complete"),
        script=turns.lost_event,
        wants=PLAIN,
    ),
    Defect(
        name="never-thinks",
        sentence="the agent never thinks",
        ids=found_by("complete"),
        script=turns.never_thinks,
        wants=PLAIN,
    ),
    Defect(
        name="swapped",
        sentence="thinking comes before started, and is numbered so",
        ids=found_by("order"),
        script=turns.swapped,
    ),
    Defect(
        name="reorder-under-latency",
        sentence="on a slow connection thinking overtakes started",
        ids=found_by("order"),
        needs="slow connection",
        script=turns.overtaken_when_slow,
        share=1.0,
    ),
    Defect(
        name="overlapping-turn",
        sentence="a message that should wait for the turn under way is executed at once",
        ids=found_by("order", ""),
        where="queue",
        needs="second message",
        share=1.0,
    ),
    Defect(
        name="accepts-anyway",
        sentence="a message that should be rejected is executed beside the turn under way",
        ids=found_by("order", ""),
        where="rejection",
        needs="second message",
        concurrent="reject",
        share=1.0,
    ),
    Defect(
        name="goes-on-superseded",
        sentence="a turn whose place a new message has taken goes on all the same",
        ids=found_by("order", ""),
        where="supersession",
        needs="second message",
        concurrent="supersede",
        share=1.0,
    ),
    Defect(
        name="mixes-turns",
        sentence="of two turns side by side the one gets the other's tool result",
        ids=found_by("pairing", ""),
        where="mixture",
        needs="second message",
        concurrent="parallel",
        share=1.0,
    ),
    Defect(
        name="duplicate",
        sentence="one event is delivered twice",
        ids=found_by("duplicate"),
        script=turns.delivered_twice,
    ),
    Defect(
        name="replay-repeats",
        sentence="a replay repeats the last event that the client already has",
        ids=found_by("duplicate", ""),
        where="replay",
        needs="cut",
        replay=replays.repeats_last,
        share=1.0,
    ),
    Defect(
        name="replay-all-again",
        sentence="a replay begins with the stream's first event, whatever the client has",
        ids=found_by("duplicate", ""),
        where="replay",
        needs="cut",
        replay=replays.repeats_all,
        reads_all=True,
        share=1.0,
    ),
    Defect(
        name="flush-repeats",
        sentence="events kept for a client that was away are delivered twice",
        ids=found_by("", "duplicate"),
        where="flush",
        needs="cut",
        share=1.0,
    ),
    Defect(
        name="chunk-repeated",
        sentence="a chunk of the answer comes twice, as two events",
        ids=found_by("duplicate", ""),
        script=turns.chunk_repeated,
        wants=STREAMED,
    ),
    Defect(
        name="chunk-lost",
        sentence="a chunk of the answer is neither numbered nor sent",
        ids=found_by("loss", ""),
        script=turns.chunk_lost,
        wants=STREAMED,
    ),
    Defect(
        name="text-differs",
        sentence="the whole answer is not what its chunks said",
        ids=found_by("loss", ""),
        script=turns.text_differs,
        wants=STREAMED,
    ),
    Defect(
        name="poor-answer",
        sentence="the answer says nothing",
        ids=found_by("complete"),
        needs="expectation",
        script=turns.answers_poorly,
        wants=UNSTREAMED,
    ),
    Defect(
        name="unpaired-tool",
        sentence="a tool is opened and never closed",
        ids=found_by("pairing"),
        script=turns.unpaired_tool,
    ),
    Defect(
        name="wrong-execution",
        sentence="a tool's result carries an execution id that was never opened",
        ids=found_by("pairing"),
        script=turns.wrong_execution,
    ),
    Defect(
        name="result-before-call",
        sentence="a tool's result comes before its call",
        ids=found_by("pairing"),
        script=turns.calls_back_first,
    ),
    Defect(
        name="nested-unfinished",
        sentence="a nested agent begins and never completes",
        ids=found_by("pairing", ""),
        script=turns.nested_unfinished,
        wants=NESTED,
    ),
    Defect(
        name="nested-unbegun",
        sentence="a nested agent completes that never began",
        ids=found_by("pairing", ""),
        script=turns.nested_unbegun,
        wants=NESTED,
    ),
    Defect(
        name="late-event",
        sentence="the turn's end comes 6.5 s late; only a gate can tell",
        ids=found_by(""),
        script=turns.late_end,
        share=0.25,
    ),
    Defect(
        name="rejects-all",
        sentence="every message is answered by an honest failure; only a gate can tell",
        ids=found_by(""),
        script=turns.rejected,
        wants=Wants(),
        share=1.0,
    ),
    Defect(
        name="throttles-after-cut",
        sentence="who was cut is throttled ever after, and nobody else is",
        ids=found_by("restored", "complete schema"),
        needs="cut",
        script=turns.throttled_after_cut,
        wants=Wants(),
        share=1.0,
    ),
    Defect(
        name="slow-after-cut",
        sentence="once a connection was cut, every turn takes 2 s longer, for ever",
        ids=found_by("restored"),
        needs="cut",
        script=turns.slow_after_cut,
        wants=Wants(),
        share=1.0,
    ),
    Defect(
        name="leaked-event",
        sentence="a copy of another session's event is delivered too",
        ids=found_by("leak"),
        script=turns.leaked_event,
    ),
    Defect(
        name="leaked-content",
        sentence="another user's words stand in the final response",
        ids=found_by("leak"),
        script=turns.leaked_content,
        wants=UNSTREAMED,
    ),
    Defect(
        name="leaked-in-stream",
        sentence="another user's words stand in an answer that comes a few characters at a time, and breaks off",
        ids=found_by("leak", ""),
        script=turns.leaked_in_stream,
        wants=STREAMED,
    ),
    Defect(
        name="session-race",
        sentence="a thinking event is delivered to another session in place of its own",
        ids=found_by("leak loss", "leak complete"),
        script=turns.goes_astray,
        wants=PLAIN,
    ),
    Defect(
        name="broadcast-on-reconnect",
        sentence="when a client comes back, one of its events goes to everybody",
        ids=found_by("leak"),
        where="broadcast",
        needs="cut",
        share=1.0,
    ),
    Defect(
        name="phantom-run",
        sentence="an event belongs to a run that nobody began",
        ids=found_by("phantom"),
        script=turns.phantom_run,
    ),
    Defect(
        name="never-ends",
        sentence="the turn's end never comes",
        ids=found_by("terminal"),
        script=turns.never_ends,
    ),
    Defect(
        name="ends-twice",
        sentence="the turn ends twice",
        ids=found_by("terminal"),
        script=turns.ends_twice,
    ),
    Defect(
        name="fails-after-end",
        sentence="the turn completes, and then fails",
        ids=found_by("terminal"),
        script=turns.fails_after_end,
    ),
    Defect(
        name="event-after-end",
        sentence="a thinking event comes after the turn's end",
        ids=found_by("terminal"),
        script=turns.thinks_after_end,
    ),
    Defect(
        name="zombie-after-cut",
        sentence="a turn dies with its connection, and nobody says so",
        ids=found_by("terminal"),
        where="cut",
        needs="cut",
        share=1.0,
    ),
    Defect(
        name="goes-away",
        sentence="the connection is closed as by a server that goes away, and the turn under way is gone with it",
        ids=found_by("terminal"),
        script=turns.goes_away,
    ),
    Defect(
        name="never-resumes",
        sentence="every resume is denied, and what was under way never ends for who asked",
        ids=found_by("terminal", ""),
        where="denial",
        needs="cut",
        share=1.0,
    ),
    Defect(
        name="cancel-ignored",
        sentence="a turn that was told to stop works on for 6.5 s more, and completes",
        ids=found_by("terminal", ""),
        where="cancel",
        needs="cancel",
        cancel=turns.ignores_cancel,
        share=1.0,
    ),
    Defect(
        name="event-after-cancel",
        sentence="a turn that was stopped goes on thinking",
        ids=found_by("terminal", ""),
        where="cancel",
        needs="cancel",
        cancel=turns.thinks_after_cancel,
        share=1.0,
    ),
    Defect(
        name="stuck-after-cancel",
        sentence="after a stop the next message of the thread waits for ever",
        ids=found_by("silence", ""),
        where="cancel",
        needs="cancel",
        cancel=turns.stopped,
        wedges=True,
        share=1.0,
    ),
    Defect(
        name="unapproved-type",
        sentence="an extra event is of a type that no contract approves",
        ids=found_by("vocabulary"),
        script=turns.unapproved_type,
        unwrapped=True,
    ),
    Defect(
        name="legacy-type",
        sentence="an extra event is of a type that the audit ordered removed",
        ids=found_by("vocabulary"),
        script=turns.legacy_type,
    ),
    Defect(
        name="unknown-version",
        sentence="an event is of a version that nobody has announced",
        ids=found_by("vocabulary", ""),
        script=turns.unknown_version,
    ),
    Defect(
        name="missing-field",
        sentence="a tool's result lacks its results",
        ids=found_by("schema"),
        script=turns.missing_field,
    ),
    Defect(
        name="undeclared-outcome",
        sentence="a turn's end says an outcome that the contract does not list",
        ids=found_by("schema"),
        script=turns.undeclared_outcome,
    ),
    Defect(
        name="unnumbered-chunk",
        sentence="a chunk of the answer does not say its number",
        ids=found_by("schema", ""),
        script=turns.chunk_unnumbered,
        wants=STREAMED,
    ),
    Defect(
        name="half-frame",
        sentence="a frame holds the beginning of an event, and the whole follows",
        ids=found_by("schema"),
        script=turns.half_frame,
    ),
    Defect(
        name="replay-skips",
        sentence="a replay leaves one event out and claims to be whole",
        ids=found_by("honesty", ""),
        where="replay",
        needs="cut",
        replay=replays.skips_one,
        share=1.0,
    ),
    Defect(
        name="replay-overflowed",
        sentence="a replay holds the last missed event alone and claims to be whole",
        ids=found_by("honesty", ""),
        where="replay",
        needs="cut",
        replay=replays.keeps_the_last,
        share=1.0,
    ),
    Defect(
        name="claims-over-gap",
        sentence="a resume claims that nothing was missed, and replays nothing",
        ids=found_by("honesty", ""),
        where="replay",
        needs="cut",
        replay=replays.replays_nothing,
        share=1.0,
    ),
    Defect(
        name="claims-behind",
        sentence="a resume is granted by a log that lacks the client's last event, and goes on from there",
        ids=found_by("honesty", ""),
        where="log",
        needs="cut",
        rewind=replays.is_behind,
        share=1.0,
    ),
    Defect(
        name="stream-reset-ignored",
        sentence="a resume is granted by a log that has lost the stream, and numbers from 1 again",
        ids=found_by("honesty", ""),
        where="log",
        needs="cut",
        rewind=replays.begins_anew,
        share=1.0,
    ),
    Defect(
        name="replay-reversed",
        sentence="a stretch of a replay comes in reverse order",
        ids=found_by("order", ""),
        where="replay",
        needs="cut",
        replay=replays.reversed_order,
        share=1.0,
    ),
    Defect(
        name="live-overtakes-replay",
        sentence="after a resume a live event comes before the replay",
        ids=found_by("order", ""),
        where="overtake",
        needs="cut",
        share=1.0,
    ),
    Defect(
        name="resend-executes-twice",
        sentence="a node restarts with a message under way, and the message that is sent again is executed again",
        ids=found_by("idempotency", ""),
        where="resend",
    ),
    Defect(
        name="resend-ignored",
        sentence="a node restarts and forgets a message, and takes the one that is sent again for executed",
        ids=found_by("idempotency", "silence"),
        where="resend",
        forgets=True,
    ),
    Defect(
        name="silent",
        sentence="a message is accepted, and no event ever comes",
        ids=found_by("silence"),
        script=turns.silent,
    ),
    Defect(
        name="ack-only",
        sentence="a message is acknowledged and thrown away, and no event ever comes",
        ids=found_by("silence"),
        where="message",
    ),
    Defect(
        name="unanswered-ping",
        sentence="a client's ping is not answered",
        ids=found_by("silence", ""),
        where="ping",
        needs="quiet session",
        share=1.0,
    ),
    Defect(
        name="never-ready",
        sentence="a session's first connection is upgraded and never welcomed",
        ids=found_by("silence"),
        where="connection",
        share=0.2,
    ),
    Defect(
        name="closed-unwelcomed",
        sentence="a session's first connection is closed cleanly before its welcome",
        ids=found_by("close"),
        where="connection",
        closes=True,
        share=0.2,
    ),
    Defect(
        name="clean-close",
        sentence="the connection is closed cleanly in the middle of a turn",
        ids=found_by("close"),
        script=turns.clean_close,
    ),
    Defect(
        name="refuses-return",
        sentence="once a connection was cut, nobody is let in for 30 s",
        ids=found_by("reconnect"),
        where="admission",
        needs="cut",
    ),
    Defect(
        name="never-frees",
        sentence="the connections of clients that are gone are never released",
        ids=found_by("dead-peers"),
        where="house",
        needs="cut",
        share=1.0,
    ),
    Defect(
        name="half-open-unnoticed",
        sentence="the server never asks whether a client is still there",
        ids=found_by("dead-peers"),
        where="socket",
        needs="half-open connection",
        keepalive_s="never",
    ),
    Defect(
        name="eager-timeout",
        sentence="a client that does not answer within 0.4 s is taken for dead",
        # a message that is on its way then is lost, and without a resume nobody sends it again
        ids=found_by("close", "close silence"),
        where="socket",
        needs="slow connection",
        keepalive_s=(0.2, 0.4),
    ),
    Defect(
        name="one-slow-blocks-all",
        sentence="while one client does not read, nobody is sent anything",
        ids=found_by("control"),
        where="socket",
        needs="slow consumer",
        one_gate=True,
    ),
    Defect(
        name="unknown-elsewhere",
        sentence="a node knows no session of another, and what was under way never ends for who asked",
        ids=found_by("terminal", ""),
        where="denial",
        needs="cluster",
        across=True,
        share=1.0,
    ),
    Defect(
        name="epoch-ignored",
        sentence="a node grants the resume of another's session, and numbers from 1 again",
        ids=found_by("honesty", ""),
        where="log",
        needs="cluster",
        across=True,
        rewind=replays.begins_anew,
        share=1.0,
    ),
    Defect(
        name="zombie-after-kill",
        sentence="what a killed node had under way never ends",
        ids=found_by("terminal"),
        where="orphan",
        needs="cluster",
        share=1.0,
    ),
)

PLANTABLE: dict[str, Defect] = {defect.name: defect for defect in _ROWS}
#: those that nothing but several nodes can show; a single process, and the simulation, have only one
CLUSTER_DEFECTS: dict[str, Defect] = {name: defect for name, defect in PLANTABLE.items() if defect.needs == "cluster"}
DEFECTS: dict[str, Defect] = {name: defect for name, defect in PLANTABLE.items() if name not in CLUSTER_DEFECTS}
