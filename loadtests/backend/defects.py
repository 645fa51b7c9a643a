"""The table of planted defects: what each does, where it hooks in, and exactly which checkers must find it.

Pure functions over a turn's script or a resume's answer; which turns they hit is ``planting``'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from loadtests.backend.eventlog import Claim, Entry
from loadtests.backend.script import Script, Step
from loadtests.contract.schema import Role

__all__ = ["DEFECTS", "Defect", "Site"]

LATE_MS = 6_500.0
NORMAL_CLOSURE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a defect may use of the turn's surroundings."""

    root: str
    legacy_kind: str
    #: fresh and unguessable
    nonce: str
    #: an event, and a user's words, of other clients; empty when there are none
    foreign_frame: bytes = b""
    foreign_content: str = ""


#: The spoilt script, or None where this turn gives no occasion.
ScriptHook = Callable[[Script, Site], Script | None]
#: The events to send after the claim was made, or None where this resume gives no occasion.
ReplayHook = Callable[[Claim], tuple[Entry, ...] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One row. ``ids``: contract name -> the exact set of checkers that find something."""

    name: str
    sentence: str
    ids: Mapping[str, frozenset[str]]
    where: Literal["script", "replay", "connection"] = "script"
    script: ScriptHook | None = None
    replay: ReplayHook | None = None
    #: share of turns, resumes or connections; None: what the option says
    share: float | None = None
    #: needs a turn without nested agents
    plain: bool = False


def _ids(reference: str, netra: str | None = None) -> dict[str, frozenset[str]]:
    return {
        "reference": frozenset(reference.split()),
        "netra": frozenset((reference if netra is None else netra).split()),
    }


def _find(script: Script, role: Role) -> int:
    return next(i for i, step in enumerate(script) if step.role == role)


def _change(script: Script, at: int, **changes: Any) -> Script:
    return (*script[:at], replace(script[at], **changes), *script[at + 1 :])


def _insert(script: Script, at: int, step: Step) -> Script:
    return (*script[:at], step, *script[at:])


def _lost_event(script: Script, _site: Site) -> Script:
    return _change(script, _find(script, "thinking"), deliveries=0)


def _never_thinks(script: Script, _site: Site) -> Script:
    return tuple(step for step in script if step.role != "thinking")


def _swapped(script: Script, _site: Site) -> Script:
    first, second, *rest = script
    return (replace(second, delay_ms=first.delay_ms), replace(first, delay_ms=second.delay_ms), *rest)


def _duplicate(script: Script, _site: Site) -> Script:
    return _change(script, _find(script, "thinking"), deliveries=2)


def _unpaired_tool(script: Script, site: Site) -> Script:
    opened = script[_find(script, "tool-open")]
    again = replace(opened, agent=site.root, body={**opened.body, "execution_id": f"exec_open_{site.nonce}"})
    return _insert(script, len(script) - 1, again)


def _wrong_execution(script: Script, site: Site) -> Script:
    at = _find(script, "tool-close")
    return _change(script, at, body={**script[at].body, "execution_id": f"exec_wrong_{site.nonce}"})


def _late_event(script: Script, _site: Site) -> Script:
    return _change(script, len(script) - 1, delay_ms=script[-1].delay_ms + LATE_MS)


def _leaked_event(script: Script, site: Site) -> Script | None:
    if not site.foreign_frame:
        return None
    leak = Step(delay_ms=0.0, role="other", agent=site.root, foreign_frame=site.foreign_frame)
    return _insert(script, _find(script, "thinking") + 1, leak)


def _leaked_content(script: Script, site: Site) -> Script | None:
    if not site.foreign_content:
        return None
    text = f"{script[-1].body.get('final_response', '')} (asked before: {site.foreign_content})"
    return _change(script, len(script) - 1, body={**script[-1].body, "final_response": text})


def _phantom_run(script: Script, site: Site) -> Script:
    at = _find(script, "thinking")
    body = {**script[at].body, "reasoning": "whose turn is this?"}
    return _insert(script, at + 1, replace(script[at], delay_ms=1.0, run_id=f"run_phantom_{site.nonce}", body=body))


def _never_ends(script: Script, _site: Site) -> Script:
    return script[:-1]


def _ends_twice(script: Script, _site: Site) -> Script:
    return (*script, replace(script[-1], delay_ms=0.0))


def _event_after_end(script: Script, _site: Site) -> Script:
    return (*script, replace(script[_find(script, "thinking")], delay_ms=0.0))


def _extra(script: Script, site: Site, kind: str) -> Script:
    extra = Step(delay_ms=1.0, role="other", agent=site.root, body={"status": "extra"}, planted_kind=kind)
    return _insert(script, _find(script, "thinking") + 1, extra)


def _unapproved_type(script: Script, site: Site) -> Script:
    return _extra(script, site, "agent_pondering")


def _legacy_type(script: Script, site: Site) -> Script | None:
    return _extra(script, site, site.legacy_kind) if site.legacy_kind else None


def _missing_field(script: Script, _site: Site) -> Script:
    at = _find(script, "tool-close")
    return _change(script, at, body={k: v for k, v in script[at].body.items() if k != "results"})


def _silent(_script: Script, _site: Site) -> Script:
    return ()


def _clean_close(script: Script, _site: Site) -> Script:
    return _change(script, _find(script, "tool-open"), close_code=NORMAL_CLOSURE)


def _replay_repeats(claim: Claim) -> tuple[Entry, ...] | None:
    return (claim.last_had, *claim.missed) if claim.last_had and claim.missed else None


def _replay_skips(claim: Claim) -> tuple[Entry, ...] | None:
    middle = (len(claim.missed) - 1) // 2
    return (*claim.missed[:middle], *claim.missed[middle + 1 :]) if claim.missed else None


def _claims_over_gap(claim: Claim) -> tuple[Entry, ...] | None:
    return () if claim.missed else None


_ROWS = (
    Defect(
        name="lost-event",
        sentence="a thinking event is numbered and logged, and never sent live",
        ids=_ids("loss", "complete"),
        script=_lost_event,
        plain=True,
    ),
    Defect(
        name="never-thinks",
        sentence="the agent never thinks",
        ids=_ids("complete"),
        script=_never_thinks,
        plain=True,
    ),
    Defect(
        name="swapped",
        sentence="thinking comes before started, and is numbered so",
        ids=_ids("order"),
        script=_swapped,
    ),
    Defect(
        name="duplicate",
        sentence="one event is delivered twice",
        ids=_ids("duplicate"),
        script=_duplicate,
    ),
    Defect(
        name="replay-repeats",
        sentence="a replay repeats the last event that the client already has",
        ids=_ids("duplicate", ""),
        where="replay",
        replay=_replay_repeats,
        share=1.0,
    ),
    Defect(
        name="unpaired-tool",
        sentence="a tool is opened and never closed",
        ids=_ids("pairing"),
        script=_unpaired_tool,
    ),
    Defect(
        name="wrong-execution",
        sentence="a tool's result carries an execution id that was never opened",
        ids=_ids("pairing"),
        script=_wrong_execution,
    ),
    Defect(
        name="late-event",
        sentence="the turn's end comes 6.5 s late; only a gate can tell",
        ids=_ids(""),
        script=_late_event,
        share=0.25,
    ),
    Defect(
        name="leaked-event",
        sentence="a copy of another session's event is delivered too",
        ids=_ids("leak"),
        script=_leaked_event,
    ),
    Defect(
        name="leaked-content",
        sentence="another user's words stand in the final response",
        ids=_ids("leak"),
        script=_leaked_content,
    ),
    Defect(
        name="phantom-run",
        sentence="an event belongs to a run that nobody began",
        ids=_ids("phantom"),
        script=_phantom_run,
    ),
    Defect(
        name="never-ends",
        sentence="the turn's end never comes",
        ids=_ids("terminal"),
        script=_never_ends,
    ),
    Defect(
        name="ends-twice",
        sentence="the turn ends twice",
        ids=_ids("terminal"),
        script=_ends_twice,
    ),
    Defect(
        name="event-after-end",
        sentence="a thinking event comes after the turn's end",
        ids=_ids("terminal"),
        script=_event_after_end,
    ),
    Defect(
        name="unapproved-type",
        sentence="an extra event is of a type that no contract approves",
        ids=_ids("vocabulary"),
        script=_unapproved_type,
    ),
    Defect(
        name="legacy-type",
        sentence="an extra event is of a type that the audit ordered removed",
        ids=_ids("vocabulary"),
        script=_legacy_type,
    ),
    Defect(
        name="missing-field",
        sentence="a tool's result lacks its results",
        ids=_ids("schema"),
        script=_missing_field,
    ),
    Defect(
        name="replay-skips",
        sentence="a replay leaves one event out and claims to be whole",
        ids=_ids("honesty", ""),
        where="replay",
        replay=_replay_skips,
        share=1.0,
    ),
    Defect(
        name="claims-over-gap",
        sentence="a resume claims that nothing was missed, and replays nothing",
        ids=_ids("honesty", ""),
        where="replay",
        replay=_claims_over_gap,
        share=1.0,
    ),
    Defect(
        name="silent",
        sentence="a message is accepted, and no event ever comes",
        ids=_ids("silence"),
        script=_silent,
    ),
    Defect(
        name="never-ready",
        sentence="a session's first connection is upgraded and never welcomed",
        ids=_ids("silence"),
        where="connection",
        share=0.2,
    ),
    Defect(
        name="clean-close",
        sentence="the connection is closed cleanly in the middle of a turn",
        ids=_ids("close"),
        script=_clean_close,
    ),
)

DEFECTS: dict[str, Defect] = {defect.name: defect for defect in _ROWS}
