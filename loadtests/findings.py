"""Typed findings: every way in which a backend can break its contract, as one table.

A tracker emits them, live and when rows are read again; a checker counts the kinds that belong to it. The id of the
checker and its subject are ``design.md``'s; ``text`` is a sentence for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["BY_NAME", "KINDS", "Finding", "Kind"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding. ``warning`` kinds never move the verdict."""

    code: int
    name: str
    checker: str
    text: str
    warning: bool = False


class Finding(NamedTuple):
    """One violation: ``row`` is the witness (index in the history), ``detail`` a cursor, code or event index."""

    kind: Kind
    session: int
    turn: int
    row: int
    at_ns: int
    detail: int = 0


_TABLE = (
    ("unapproved", "vocabulary", "an event of a type that the contract does not approve"),
    ("legacy", "vocabulary", "an event of a type that the contract forbids as legacy"),
    ("deprecated", "vocabulary", "an event under a deprecated name"),
    ("version-unknown", "vocabulary", "an event of a version that the contract does not accept"),
    ("version-deprecated", "vocabulary", "an event of a deprecated version"),
    ("not-json", "schema", "a frame that is no JSON object"),
    ("no-type", "schema", "a frame that does not say what it is"),
    ("wrong-type", "schema", "a field of the wrong type"),
    ("field-missing", "schema", "a required field is absent"),
    ("undeclared-outcome", "schema", "a turn's end says an outcome that the contract does not list"),
    ("role-missing", "complete", "the turn ended well without a demanded event"),
    ("poor-answer", "complete", "the answer is not what the message asked for"),
    ("misplaced", "order", "an event where the contract's order forbids it"),
    ("went-back", "order", "an event whose number is lower than one already received"),
    ("overlapped", "order", "a turn began before the one that it had to wait for was over"),
    ("close-without-open", "pairing", "a tool completed that never began"),
    ("open-without-close", "pairing", "a tool began and never completed"),
    ("wrong-execution", "pairing", "a tool completed under an execution id that was never opened"),
    ("agent-unbegun", "pairing", "a nested agent completed that never began"),
    ("agent-unfinished", "pairing", "a nested agent began and never completed"),
    ("never-ended", "terminal", "a turn began and never ended"),
    ("second-end", "terminal", "a turn ended twice"),
    ("after-end", "terminal", "an event after the turn's end"),
    ("cancel-ignored", "terminal", "a turn that was cancelled did not end in time"),
    ("silent", "silence", "a message was accepted and nothing ever came"),
    ("silent-cut", "silence", "a message got no event, and its connection was cut"),
    ("never-ready", "silence", "connected and never ready"),
    ("unanswered", "silence", "a ping of the client was not answered"),
    ("redelivered", "duplicate", "one event was delivered twice"),
    ("chunk-repeated", "duplicate", "a chunk of a streamed text came twice"),
    ("chunk-missing", "loss", "a chunk of a streamed text never came"),
    ("text-differs", "loss", "the text as a whole is not what came in chunks"),
    ("hole", "loss", "events are missing and never came"),
    ("hole-at-cut", "loss", "events are missing after a cut, and the backend did not say so"),
    ("claimed-over-hole", "honesty", "the backend claimed continuity over missing events"),
    ("claimed-behind", "honesty", "the backend claimed continuity and knows less than the client has seen"),
    ("partial-replay", "honesty", "the backend declared loss and replayed a part all the same"),
    ("foreign", "leak", "another session's id or content"),
    ("unknown-turn", "phantom", "an event of a turn that this session never began"),
    ("executed-twice", "idempotency", "one message was executed twice"),
    ("never-executed", "idempotency", "a message was acknowledged, sent again, and never executed"),
    ("closed-early", "close", "a clean close before ready or in the middle of a turn"),
    ("abnormal-close", "close", "the connection broke without a close, or with an error code"),
)
_WARNINGS = {"deprecated", "version-deprecated"}

KINDS: tuple[Kind, ...] = tuple(
    Kind(code, name, checker, text, name in _WARNINGS) for code, (name, checker, text) in enumerate(_TABLE)
)
BY_NAME = {kind.name: kind for kind in KINDS}
