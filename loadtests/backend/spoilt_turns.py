"""What planted defects do to a turn: pure functions from a script to the spoilt one, or None where it gives no occasion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from loadtests.backend.script import Script, Step
from loadtests.contract.schema import Role

__all__ = [
    "CancelHook",
    "ScriptHook",
    "Site",
    "answers_poorly",
    "calls_back_first",
    "chunk_lost",
    "chunk_repeated",
    "chunk_unnumbered",
    "clean_close",
    "delivered_twice",
    "ends_twice",
    "fails_after_end",
    "goes_astray",
    "goes_away",
    "half_frame",
    "ignores_cancel",
    "late_end",
    "leaked_content",
    "leaked_event",
    "leaked_in_stream",
    "legacy_type",
    "lost_event",
    "missing_field",
    "nested_unbegun",
    "nested_unfinished",
    "never_ends",
    "never_thinks",
    "overtaken_when_slow",
    "phantom_run",
    "rejected",
    "silent",
    "slow_after_cut",
    "stopped",
    "swapped",
    "text_differs",
    "thinks_after_cancel",
    "thinks_after_end",
    "throttled_after_cut",
    "unapproved_type",
    "undeclared_outcome",
    "unknown_version",
    "unpaired_tool",
    "wrong_execution",
]

LATE_MS = 6_500.0
SLOW_MS = 2_000.0
TOKEN_CHARS = 4  # of a stream; any fewer than a session's mark has
TOKEN_MS = 1.0
LAG_MS = 150.0  # of a message, from which on its connection counts as slow
NORMAL_CLOSURE, GOING_AWAY = 1000, 1001


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a defect may use of the turn's surroundings."""

    root: str
    legacy_kind: str
    #: fresh and unguessable
    nonce: str
    #: an event, a user's words and a stream of other clients; empty when there are none
    foreign_frame: bytes = b""
    foreign_content: str = ""
    foreign_stream: str = ""
    #: how long the message was on its way
    lag_ms: float = 0.0
    #: connections that were cut so far
    cuts: int = 0
    #: this session's own was among them
    was_cut: bool = False
    #: the turn had to wait for another one's end
    waited: bool = False


#: The spoilt script, or None where this turn gives no occasion.
ScriptHook = Callable[[Script, Site], Script | None]
#: What comes after a stop, made from the steps that were left and from those that end the turn as they should.
CancelHook = Callable[[Script, Script], Script | None]


def _find(script: Script, role: Role) -> int:
    return next(i for i, step in enumerate(script) if step.role == role)


def _change(script: Script, at: int, **changes: Any) -> Script:
    return (*script[:at], replace(script[at], **changes), *script[at + 1 :])


def _insert(script: Script, at: int, step: Step) -> Script:
    return (*script[:at], step, *script[at:])


def _remove(script: Script, at: int) -> Script:
    return (*script[:at], *script[at + 1 :])


def _nested(script: Script, role: Role, site: Site) -> int | None:
    return next((i for i, step in enumerate(script) if step.role == role and step.agent != site.root), None)


def _chunks(script: Script) -> list[int]:
    return [i for i, step in enumerate(script) if step.role == "content"]


def lost_event(script: Script, _site: Site) -> Script:
    return _change(script, _find(script, "thinking"), deliveries=0)


def never_thinks(script: Script, _site: Site) -> Script:
    return tuple(step for step in script if step.role != "thinking")


def swapped(script: Script, _site: Site) -> Script:
    first, second, *rest = script
    return (replace(second, delay_ms=first.delay_ms), replace(first, delay_ms=second.delay_ms), *rest)


def overtaken_when_slow(script: Script, site: Site) -> Script | None:
    return _change(script, 0, overtaken=True) if site.lag_ms >= LAG_MS else None


def delivered_twice(script: Script, _site: Site) -> Script:
    return _change(script, _find(script, "thinking"), deliveries=2)


def unpaired_tool(script: Script, site: Site) -> Script:
    opened = script[_find(script, "tool-open")]
    again = replace(opened, agent=site.root, body={**opened.body, "execution_id": f"exec_open_{site.nonce}"})
    return _insert(script, len(script) - 1, again)


def wrong_execution(script: Script, site: Site) -> Script:
    at = _find(script, "tool-close")
    return _change(script, at, body={**script[at].body, "execution_id": f"exec_wrong_{site.nonce}"})


def calls_back_first(script: Script, _site: Site) -> Script:
    closing = script[(at := _find(script, "tool-close"))]
    execution = closing.body["execution_id"]
    opening = next(i for i, step in enumerate(script) if step.body.get("execution_id") == execution)
    return _insert(_remove(script, at), opening, replace(closing, delay_ms=1.0))


def nested_unfinished(script: Script, site: Site) -> Script | None:
    at = _nested(script, "done", site)
    return None if at is None else _remove(script, at)


def nested_unbegun(script: Script, site: Site) -> Script | None:
    at = _nested(script, "started", site)
    return None if at is None else _remove(script, at)


def late_end(script: Script, site: Site) -> Script | None:
    """Of a turn that had to wait for a late one, the client would not see the end."""
    if site.waited:
        return None
    return _change(script, len(script) - 1, delay_ms=script[-1].delay_ms + LATE_MS)


def slow_after_cut(script: Script, site: Site) -> Script | None:
    return _change(script, len(script) - 1, delay_ms=script[-1].delay_ms + SLOW_MS) if site.cuts else None


def leaked_event(script: Script, site: Site) -> Script | None:
    if not site.foreign_frame:
        return None
    leak = Step(delay_ms=0.0, role="other", agent=site.root, raw_frame=site.foreign_frame)
    return _insert(script, _find(script, "thinking") + 1, leak)


def leaked_content(script: Script, site: Site) -> Script | None:
    if not site.foreign_content:
        return None
    return _answer(script, f"{script[-1].body.get('final_response', '')} (asked before: {site.foreign_content})")


def leaked_in_stream(script: Script, site: Site) -> Script | None:
    """The turn then fails, and so has no whole answer to differ from its chunks, nor to hold the words in one piece."""
    chunks = _chunks(script)
    if not chunks or not site.foreign_content:
        return None
    last, words = script[chunks[-1]], f" (asked before: {site.foreign_content})"
    tokens = [words[at : at + TOKEN_CHARS] for at in range(0, len(words), TOKEN_CHARS)]
    leak = (
        replace(last, delay_ms=TOKEN_MS, body={**last.body, "chunk_index": number, "content": token})
        for number, token in enumerate(tokens, start=last.body["chunk_index"] + 1)
    )
    failed = {"status": "failed", "error": "the stream broke off"}
    return (*script[:-1], *leak, replace(script[-1], role="failed", body=failed))


def goes_astray(script: Script, site: Site) -> Script | None:
    if not site.foreign_stream:
        return None
    return _change(script, _find(script, "thinking"), deliveries=0, astray=site.foreign_stream)


def phantom_run(script: Script, site: Site) -> Script:
    at = _find(script, "thinking")
    body = {**script[at].body, "reasoning": "whose turn is this?"}
    return _insert(script, at + 1, replace(script[at], delay_ms=1.0, run_id=f"run_phantom_{site.nonce}", body=body))


def never_ends(script: Script, _site: Site) -> Script:
    return script[:-1]


def ends_twice(script: Script, _site: Site) -> Script:
    return (*script, replace(script[-1], delay_ms=0.0))


def fails_after_end(script: Script, site: Site) -> Script:
    body = {"status": "failed", "error": "cleaning up failed"}
    return (*script, Step(delay_ms=0.0, role="failed", agent=site.root, body=body))


def thinks_after_end(script: Script, _site: Site) -> Script:
    return (*script, replace(script[_find(script, "thinking")], delay_ms=0.0))


def _extra(script: Script, site: Site, kind: str) -> Script:
    extra = Step(delay_ms=1.0, role="other", agent=site.root, body={"status": "extra"}, planted_kind=kind)
    return _insert(script, _find(script, "thinking") + 1, extra)


def unapproved_type(script: Script, site: Site) -> Script:
    return _extra(script, site, "agent_pondering")


def legacy_type(script: Script, site: Site) -> Script | None:
    return _extra(script, site, site.legacy_kind) if site.legacy_kind else None


def unknown_version(script: Script, _site: Site) -> Script:
    return _change(script, _find(script, "thinking"), version="99")


def missing_field(script: Script, _site: Site) -> Script:
    at = _find(script, "tool-close")
    return _change(script, at, body={k: v for k, v in script[at].body.items() if k != "results"})


def half_frame(script: Script, site: Site) -> Script:
    half = Step(delay_ms=0.0, role="other", agent=site.root, raw_frame=b'{"type": "')
    return _insert(script, _find(script, "thinking"), half)


def silent(_script: Script, _site: Site) -> Script:
    return ()


def clean_close(script: Script, _site: Site) -> Script:
    return _change(script, _find(script, "tool-open"), close_code=NORMAL_CLOSURE)


def goes_away(script: Script, _site: Site) -> Script:
    at = _find(script, "tool-open")
    return (*script[:at], replace(script[at], close_code=GOING_AWAY))


def rejected(script: Script, site: Site) -> Script:
    body = {"status": "failed", "error": "no agent is free"}
    return (Step(delay_ms=script[0].delay_ms, role="failed", agent=site.root, body=body),)


def throttled_after_cut(script: Script, site: Site) -> Script | None:
    if not site.was_cut:
        return None
    body = {"status": "throttled", "final_response": "too many requests for now"}
    return (script[0], replace(script[0], role="done", body=body))


def undeclared_outcome(script: Script, _site: Site) -> Script:
    return _change(script, len(script) - 1, body={**script[-1].body, "status": "abridged"})


def chunk_unnumbered(script: Script, _site: Site) -> Script | None:
    if not (chunks := _chunks(script)):
        return None
    at = chunks[len(chunks) // 2]
    return _change(script, at, body={k: v for k, v in script[at].body.items() if k != "chunk_index"})


def chunk_lost(script: Script, _site: Site) -> Script | None:
    chunks = _chunks(script)
    return _remove(script, chunks[len(chunks) // 2]) if chunks else None


def chunk_repeated(script: Script, _site: Site) -> Script | None:
    chunks = _chunks(script)
    return _insert(script, chunks[0] + 1, replace(script[chunks[0]], delay_ms=1.0)) if chunks else None


def text_differs(script: Script, _site: Site) -> Script | None:
    return _answer(script, f"{script[-1].body['final_response']}, roughly") if _chunks(script) else None


def answers_poorly(script: Script, _site: Site) -> Script:
    return _answer(script, "?")


def _answer(script: Script, text: str) -> Script:
    return _change(script, len(script) - 1, body={**script[-1].body, "final_response": text})


def ignores_cancel(left: Script, _ending: Script) -> Script | None:
    """It works on for a while, and ends as if nothing had been said."""
    return _change(left, len(left) - 1, delay_ms=left[-1].delay_ms + LATE_MS) if left else None


def thinks_after_cancel(_left: Script, ending: Script) -> Script:
    thought = {"reasoning": "where was I?", "step_number": 2}
    return (*ending, Step(delay_ms=5.0, role="thinking", agent=ending[-1].agent, body=thought))


def stopped(_left: Script, ending: Script) -> Script:
    return ending
