"""The shape of a contract file, version 1. Every key is documented where it stands."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

__all__ = [
    "FORMAT",
    "Agents",
    "Answer",
    "Auth",
    "Call",
    "Cancel",
    "Client",
    "Closes",
    "Concurrent",
    "ContractFile",
    "Control",
    "Cursor",
    "Endpoint",
    "Envelope",
    "Event",
    "Final",
    "GateRule",
    "Handshake",
    "Keepalive",
    "Order",
    "Outcome",
    "Outcomes",
    "Pair",
    "Resume",
    "Role",
    "Send",
    "Step",
    "Stream",
    "Turn",
    "Usage",
    "Versions",
]

FORMAT = 1

#: What an event means to the judge; funnel and metrics go by it, so no event name stands in code.
Role = Literal["started", "thinking", "tool-open", "tool-close", "done", "failed", "content", "other"]
#: what becomes of a message that comes while another turn is under way
Concurrent = Literal["", "queue", "reject", "parallel", "supersede"]
Milliseconds = Annotated[int, msgspec.Meta(gt=0)]


class _Record(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Base of all: a misspelt key is an error, never a silent default."""


class Endpoint(_Record, frozen=True):
    #: appended to a target that has no path of its own
    path: str = "/"
    query: dict[str, str] = {}
    #: offered by every client, before the one that carries a token
    subprotocols: list[str] = []
    #: every client offers permessage-deflate (RFC 7692); what the server then compresses is inflated, and costs that
    deflate: bool = False


class Auth(_Record, frozen=True):
    mode: Literal["subprotocol", "header", "query", "none"] = "none"
    #: the header's or the query parameter's name
    name: str = ""
    #: ``{token}`` is replaced by the session's token
    value: str = "{token}"


class Call(_Record, frozen=True):
    """One HTTP request before the upgrade; what its answer holds fills ``{name}`` in everything that is sent later."""

    #: ``{token}`` and names taken before are replaced, here as in path, headers and body
    path: str
    method: Literal["GET", "POST", "PUT"] = "POST"
    headers: dict[str, str] = {}
    body: dict[str, Any] | None = None
    #: these answers are good ones
    status: tuple[int, ...] = (200, 201)
    #: name -> path in the answer's JSON
    take: dict[str, str] = {}
    #: made again before each connection (a single-use ticket), or once a session
    each: Literal["connection", "session"] = "connection"


class Step(_Record, frozen=True):
    """One step of a handshake: exactly one of ``expect``, ``send`` (which may say ``{token}``) and ``pause_ms``."""

    #: type of a frame that must come, or have come since the upgrade
    expect: str = ""
    #: name -> path in that frame; fills ``{name}`` in everything that is sent later
    take: dict[str, str] = {}
    send: dict[str, Any] | None = None
    pause_ms: Annotated[int, msgspec.Meta(ge=0)] = 0


class Handshake(_Record, frozen=True):
    #: type of the frame after which messages may be sent; empty: ready at once, or after the last step
    ready: str = ""
    #: what is done before that, in this order; ``ready`` itself may come before, between or after
    steps: list[Step] = []
    timeout_ms: Milliseconds = 10_000
    #: path in the ready frame to the name of the server's node; empty: it does not say
    node: str = ""


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
    #: what the backend does with a message that comes while a turn of the session is under way; empty: not promised
    concurrent: Concurrent = ""


class Usage(_Record, frozen=True):
    """Paths in a turn's last frame to how many tokens it took; empty: it does not say."""

    input: str = ""
    output: str = ""


class Envelope(_Record, frozen=True):
    #: path to the type; of several, what is found is joined with ``join``
    type: str | list[str] = "type"
    join: str = "."
    #: root type -> paths where the real type stands
    wrappers: dict[str, list[str]] = {}
    #: containers whose fields count as the frame's own, later ones win
    merge: list[str] = []
    #: name of the flag on a stored message that is delivered later
    recovered: str = ""


class Versions(_Record, frozen=True):
    """Versions of the event format. During a rollout old and new ones are mixed, and all accepted ones are right."""

    #: path to an event's version; empty: events have none
    path: str = ""
    accepted: list[str] = []
    #: accepted too, with a warning
    deprecated: list[str] = []


class Final(_Record, frozen=True):
    """Where the whole of a streamed text stands."""

    event: str
    text: str


class Stream(_Record, frozen=True):
    """A text that comes in chunks."""

    #: a content event
    event: str
    #: path to a chunk's text
    text: str
    #: path to its number; empty: chunks are not numbered
    index: str = ""
    #: number of the first chunk
    start: int = 0
    #: where the same text stands whole
    final: Final | None = None


#: How a turn ended, as its backend says it. Only ``failed`` is a failure; ``throttled`` says that the quota was measured.
Outcome = Literal["ok", "degraded", "refused", "throttled", "failed", "cancelled", "rejected"]


class Outcomes(_Record, frozen=True):
    """How a terminal event says what came of the turn; its role decides where this does not."""

    #: path in a terminal event
    path: str = ""
    #: value at that path -> outcome
    values: dict[str, Outcome] = {}
    #: event -> outcome; one that is no terminal says it of the end that follows
    events: dict[str, Outcome] = {}


class Cancel(_Record, frozen=True):
    """How a client stops the turn in flight."""

    template: dict[str, Any]
    #: the turn ends within this time of the cancel
    within_ms: Milliseconds = 2_000


class Answer(_Record, frozen=True):
    """Where the answer to a message stands, for expectations of a scenario."""

    event: str
    text: str


class Keepalive(_Record, frozen=True):
    """What the client sends while nothing else is said."""

    send: dict[str, Any]
    every_ms: Milliseconds
    #: type of the frame that answers it, before the next one would be due; empty: no answer is promised
    expect: str = ""


class Agents(_Record, frozen=True):
    #: names of agents whose end is the turn's end; others are nested
    root: list[str] = []
    #: a nested agent that started also completes before the turn ends well, and none completes that never started
    paired: bool = False


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
    #: the opening needs this closing beside its others; without this, closings of one opening stand for each other. One that
    #: ends no more than the call may have the opening's role: it is the same step of a turn
    also: bool = False
    #: the opening comes in pieces: all of one execution, and those that name none, are one
    pieces: bool = False


class Order(_Record, frozen=True):
    start: str = ""
    #: state -> event -> next state; an event that no state names may come at any time
    states: dict[str, dict[str, str]] = {}


class Control(_Record, frozen=True):
    #: types of the embedded backend's own control frames, this one and the five below; of a target's nothing is asked
    ping: str = ""
    pong: str = ""
    heartbeat: str = ""
    heartbeat_ack: str = ""
    unknown: str = ""
    error: str = ""
    #: type of a frame -> what the client answers at once
    replies: dict[str, dict[str, Any]] = {}
    keepalive: Keepalive | None = None


class Closes(_Record, frozen=True):
    normal: tuple[int, ...] = (1000, 1001)
    #: after these a client must not come back
    fatal: tuple[int, ...] = ()


class Client(_Record, frozen=True):
    """How the product's own client comes back. Declared, it is kept by the sessions, and breaking it moves the verdict."""

    #: the first wait is at most this long, each later one of an outage ``factor`` times that, up to ``cap_ms``
    base_ms: Milliseconds = 100
    cap_ms: Milliseconds = 3000
    factor: Annotated[float, msgspec.Meta(ge=1)] = 2.0
    #: in one outage
    attempts: Annotated[int, msgspec.Meta(gt=0)] = 12
    #: full: anything up to the wait; added: the wait and ``jitter_ms`` more, within the cap; none: the wait
    jitter: Literal["full", "added", "none"] = "full"
    jitter_ms: tuple[Annotated[int, msgspec.Meta(ge=0)], Annotated[int, msgspec.Meta(ge=0)]] = (0, 0)
    #: before the first attempt after a loss
    first_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: codes after which this client does not come back, beside ``closes.fatal``
    fatal: tuple[int, ...] = ()
    #: a policy that ships, instead of all these
    policy: str = ""
    #: largest share of those cut together that may come back within one second
    herd_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


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
    #: HTTP calls before the upgrade, in this order
    prelude: list[Call] = []
    handshake: Handshake = Handshake()
    send: Send
    cancel: Cancel | None = None
    resume: Resume = Resume()
    cursor: Cursor = Cursor()
    turn: Turn = Turn()
    envelope: Envelope = Envelope()
    #: canonical name -> names on the wire, the first one present is taken; a name with dots is a path from the root
    fields: dict[str, list[str]] = {}
    versions: Versions = Versions()
    streams: list[Stream] = []
    outcomes: Outcomes = Outcomes()
    answer: Answer | None = None
    #: how many tokens a turn took
    usage: Usage | None = None
    agents: Agents = Agents()
    events: dict[str, Event]
    aliases: dict[str, str] = {}
    legacy: list[str] = []
    pairs: list[Pair] = []
    order: Order = Order()
    control: Control = Control()
    closes: Closes = Closes()
    #: without it, what our own client does wrong counts against the harness
    client: Client | None = None
    #: metric selector -> rules
    budgets: dict[str, list[str | GateRule]] = {}
