"""The shape of a contract file, version 1. Every key is documented where it stands."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

__all__ = [
    "FORMAT",
    "Agents",
    "Auth",
    "Closes",
    "ContractFile",
    "Control",
    "Cursor",
    "Endpoint",
    "Envelope",
    "Event",
    "GateRule",
    "Handshake",
    "Order",
    "Pair",
    "Resume",
    "Role",
    "Send",
    "Turn",
]

FORMAT = 1

#: What an event means to the judge; funnel and metrics go by it, so no event name stands in code.
Role = Literal["started", "thinking", "tool-open", "tool-close", "done", "failed", "content", "other"]
Milliseconds = Annotated[int, msgspec.Meta(gt=0)]


class _Record(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Base of all: a misspelt key is an error, never a silent default."""


class Endpoint(_Record, frozen=True):
    #: appended to a target that has no path of its own
    path: str = "/"
    query: dict[str, str] = {}


class Auth(_Record, frozen=True):
    mode: Literal["subprotocol", "header", "query", "none"] = "none"
    #: the header's or the query parameter's name
    name: str = ""
    #: ``{token}`` is replaced by the session's token
    value: str = "{token}"


class Handshake(_Record, frozen=True):
    #: type of the frame after which messages may be sent; empty: ready at once
    ready: str = ""
    timeout_ms: Milliseconds = 10_000


class Send(_Record, frozen=True):
    #: ``{content} {thread} {turn} {message} {now}`` are replaced
    template: dict[str, Any]
    #: the same message id twice is executed once, so a message in doubt may be sent again
    resend: bool = False


class Resume(_Record, frozen=True):
    mode: Literal["none", "cursor"] = "none"
    #: path in the ready frame to the identity of the event stream
    stream: str = ""
    #: ``{stream} {cursor}`` are replaced; sent after ready on every later connection
    ask: dict[str, Any] = {}
    #: type of the backend's answer, and paths in it
    answer: str = ""
    resumed: str = ""
    head: str = ""


class Cursor(_Record, frozen=True):
    #: number of a stream's first event; a stream that begins elsewhere has lost something
    start: int = 1


class Turn(_Record, frozen=True):
    #: from the actual send; a turn without its end by then is given up
    deadline_ms: Milliseconds = 60_000
    #: a cut session is served again, and its turn settled, within this time
    recovery_ms: Milliseconds = 10_000
    interrupted: Literal["resumed", "recovered-or-error", "abandoned"] = "recovered-or-error"


class Envelope(_Record, frozen=True):
    type: str = "type"
    #: root type -> paths where the real type stands
    wrappers: dict[str, list[str]] = {}
    #: containers whose fields count as the frame's own, later ones win
    merge: list[str] = []
    #: name of the flag on a stored message that is delivered later
    recovered: str = ""


class Agents(_Record, frozen=True):
    #: names of agents whose end is the turn's end; others are nested
    root: list[str] = []


class Event(_Record, frozen=True):
    role: Role = "other"
    #: a turn that ends well must have shown it
    demanded: bool = False
    #: canonical fields that every such frame must carry
    fields: list[str] = []


class Pair(_Record, frozen=True):
    open: str
    close: str
    #: canonical fields to pair by; the first that both carry counts
    by: list[str] = []


class Order(_Record, frozen=True):
    start: str = ""
    #: state -> event -> next state; an event that no state names may come at any time
    states: dict[str, dict[str, str]] = {}


class Control(_Record, frozen=True):
    ping: str = ""
    pong: str = ""
    heartbeat: str = ""
    heartbeat_ack: str = ""
    unknown: str = ""
    error: str = ""


class Closes(_Record, frozen=True):
    normal: tuple[int, ...] = (1000, 1001)
    #: after these a client must not come back
    fatal: tuple[int, ...] = ()


class GateRule(_Record, frozen=True):
    """One budget: a threshold in k6's syntax, and whether breaking it moves the verdict."""

    rule: str
    severity: Literal["fail", "warn"] = "fail"


class ContractFile(_Record, frozen=True, kw_only=True):
    contract: Literal[1]
    name: str
    title: str = ""
    extends: str = ""
    endpoint: Endpoint = Endpoint()
    auth: Auth = Auth()
    handshake: Handshake = Handshake()
    send: Send
    resume: Resume = Resume()
    cursor: Cursor = Cursor()
    turn: Turn = Turn()
    envelope: Envelope = Envelope()
    #: canonical name -> names on the wire, the first one present is taken
    fields: dict[str, list[str]] = {}
    agents: Agents = Agents()
    events: dict[str, Event]
    aliases: dict[str, str] = {}
    legacy: list[str] = []
    pairs: list[Pair] = []
    order: Order = Order()
    control: Control = Control()
    closes: Closes = Closes()
    #: metric selector -> rules
    budgets: dict[str, list[str | GateRule]] = {}
