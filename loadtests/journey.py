"""A journey: what a user does as a list of steps. Data, checked before any traffic, and pure.

``loadtests.travel`` performs it; what a step means is said there, what it may say here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec

from loadtests.configfile import nearest
from loadtests.contract.schema import ContractFile
from loadtests.contract.template import placeholders
from loadtests.errors import ConfigError
from loadtests.prompts import Expect, Prompt, check

__all__ = [
    "KINDS", "Await", "Cancel", "Disconnect", "Http", "JourneyStep", "Outside", "Say", "Switch", "Think", "check_journey",
    "check_journey_promised", "in_words", "kind_of", "outside_of", "sends", "stated",
]  # fmt: skip

MOST_STEPS = 100
MOST_MS = 3_600_000
#: what a user can wait for; ``done`` is the turn's end, however it ends
AwaitRole = Literal["started", "thinking", "tool-open", "tool-close", "content", "done"]
Span = Annotated[float, msgspec.Meta(ge=0, le=MOST_MS)]
Within = Annotated[int, msgspec.Meta(gt=0, le=MOST_MS)]
Path = Annotated[str, msgspec.Meta(pattern=r"^/(?!/)[\x21-\x7e]*$")]
Status = Annotated[int, msgspec.Meta(ge=100, le=599)]
Named = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
METHODS = ("get", "post", "put", "patch", "delete")


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all: what is not said is not written either."""


class Say(_Record, frozen=True):
    """What is sent."""

    #: ``{column}`` and ``{nonce}`` as in prompts; empty: the next one of the scenario's prompts
    say: str = ""
    expect: Expect | None = None


class Await(_Record, frozen=True):
    role: AwaitRole
    #: since the step was due; what comes later has not come
    within_ms: Within | None = None


class Think(_Record, frozen=True):
    #: uniform between two bounds
    ms: tuple[Span, Span]


class Cancel(_Record, frozen=True):
    #: since the step was due; a turn that has ended by then is not cancelled
    after_ms: Span = 0.0


class Switch(_Record, frozen=True):
    #: turns that are sent from now on go on a thread of their own, or on the user's first one again
    to: Literal["new", "first"] = "new"


class Disconnect(_Record, frozen=True):
    #: how long the user is away, before it comes back by a new connection
    for_ms: Span = 0.0
    #: by a RST and without a word; else with a goodbye, as one who closes the page
    reset: bool = False


class Http(_Record, frozen=True):
    """One request to the target's own host, the way that connections go; exactly one method."""

    #: a path; ``{token}``, ``{thread}`` and what the contract takes are filled in, here as in headers and body
    get: Path | None = None
    post: Path | None = None
    put: Path | None = None
    patch: Path | None = None
    delete: Path | None = None
    headers: dict[str, str] = {}
    #: sent as JSON
    body: dict[str, Any] | None = None
    expect_status: Status | list[Status] = 200
    within_ms: Within = 10_000

    @property
    def method(self) -> str:
        """In capitals."""
        return next(name for name in METHODS if getattr(self, name) is not None).upper()

    @property
    def path(self) -> str:
        """As written."""
        return str(getattr(self, self.method.lower()))

    @property
    def good(self) -> tuple[int, ...]:
        """The statuses that are expected."""
        return (self.expect_status,) if isinstance(self.expect_status, int) else tuple(self.expect_status)


class Outside(_Record, frozen=True):
    """A function of somebody else's."""

    #: ``module:function``; the module is looked for beside the scenario's file, then where Python looks
    call: Named
    #: how long it may take until it returns, or gives the next step
    within_ms: Within = 30_000
    #: where the module lies; found out when the scenario is read
    folder: str = ""


class JourneyStep(_Record, frozen=True):
    """One step: exactly one of these."""

    #: begins a turn, whose intended time is when the step was due
    send: str | Say | None = None
    #: until the turn has shown a role, or ``done``: until all that is under way has ended, and well
    awaits: AwaitRole | Await | None = msgspec.field(default=None, name="await")
    think: Think | None = None
    #: asks for the latest turn to be stopped
    cancel: Cancel | None = None
    switch_thread: Switch | None = None
    #: what it cuts is counted neither good nor bad
    disconnect: Disconnect | None = None
    http: Http | None = None
    #: the one way out: ``module:function``
    python: Named | Outside | None = None


#: names of the steps as files have them
KINDS = tuple(field.encode_name for field in msgspec.structs.fields(JourneyStep))
_ATTRIBUTES = {field.encode_name: field.name for field in msgspec.structs.fields(JourneyStep)}


def stated(step: JourneyStep) -> Any:
    """The one thing that a step says, in its long form."""
    kind = kind_of(step)
    said = getattr(step, _ATTRIBUTES[kind])
    if isinstance(said, str):
        long = {"send": Say, "await": Await, "python": Outside}
        return long[kind](said)
    return said


def kind_of(step: JourneyStep) -> str:
    """The step's name; empty: it has none, or several."""
    said = [kind for kind in KINDS if getattr(step, _ATTRIBUTES[kind]) is not None]
    return said[0] if len(said) == 1 else ""


def sends(steps: Iterable[JourneyStep]) -> list[int]:
    """Places, from 1, of the steps that send a planned turn."""
    return [place for place, step in enumerate(steps, 1) if step.send is not None]


def outside_of(steps: Iterable[JourneyStep]) -> list[Outside]:
    """The functions that a journey calls."""
    return [stated(step) for step in steps if step.python is not None]


def in_words(step: JourneyStep) -> str:
    """``await started within 2,000 ms``."""
    kind, said = kind_of(step), stated(step)
    match said:
        case Await():
            return f"await {said.role}" + (f" within {said.within_ms:,} ms" if said.within_ms else "")
        case Think():
            return f"think {said.ms[0]:,g} to {said.ms[1]:,g} ms"
        case Cancel() if said.after_ms:
            return f"cancel after {said.after_ms:,g} ms"
        case Switch() if said.to == "first":
            return "switch_thread to the first"
        case Disconnect():
            return f"disconnect for {said.for_ms:,g} ms" + (" by a reset" if said.reset else "")
        case Http():
            return f"http {said.method} {said.path}"
        case Outside():
            return f"python {said.call}"
    return kind


def check_journey(
    steps: Sequence[JourneyStep], where: str, place: str, prompts: Sequence[str | Prompt], columns: Sequence[str] | None
) -> None:
    """What the file's shape alone cannot say. ``columns``: of the people; None: there are none.

    Raises:
        ConfigError: the first step that says nothing, or two things, or comes where it can do nothing.
    """
    if len(steps) > MOST_STEPS:
        raise ConfigError(where, place, f"{len(steps)} steps", f"at most {MOST_STEPS}")
    if not any(step.send is not None or step.python is not None for step in steps):
        raise ConfigError(where, place, "nothing is ever sent", "a step send, or python")
    under_way = False
    for i, step in enumerate(steps):
        at = f"{place}[{i}]"
        kind = kind_of(step)
        if not kind:
            said = [name for name in KINDS if getattr(step, _ATTRIBUTES[name]) is not None]
            problem = f"is {' and '.join(said)}" if said else "says nothing"
            raise ConfigError(where, at, problem, f"exactly one of {', '.join(KINDS)}")
        told = stated(step)
        if kind in {"await", "cancel"} and not under_way:
            raise ConfigError(where, f"{at}.{kind}", "nothing is under way", "a step send before it")
        if isinstance(told, Think) and told.ms[0] > told.ms[1]:
            raise ConfigError(where, f"{at}.think.ms", f"{told.ms[0]:g} to {told.ms[1]:g}", "the lower bound first")
        if isinstance(told, Say):
            _check_say(told, where, f"{at}.send", prompts, columns)
        elif isinstance(told, Http):
            _check_http(told, where, f"{at}.http")
        under_way = kind == "send" or (under_way and not (kind == "await" and told.role == "done"))


def _check_say(
    said: Say, where: str, place: str, prompts: Sequence[str | Prompt], columns: Sequence[str] | None
) -> None:
    if not said.say:
        if said.expect is not None:
            raise ConfigError(where, place, "expects something, and says nothing", "say, or the prompt's own expect")
        if not prompts:
            raise ConfigError(where, place, "is the next prompt, and there are none", "prompts, or a text")
        return
    people = [dict.fromkeys(columns, "")] if columns is not None else []
    try:
        check([Prompt(said.say, said.expect)], where, people)
    except ConfigError as error:
        inner = error.place.removeprefix("prompts[0]")
        raise ConfigError(where, f"{place}{inner}", error.problem, error.expected) from None


def _check_http(said: Http, where: str, place: str) -> None:
    methods = [name for name in METHODS if getattr(said, name) is not None]
    if len(methods) != 1:
        problem = f"is {' and '.join(methods)}" if methods else "has no method"
        raise ConfigError(where, place, problem, f"exactly one of {', '.join(METHODS)}, with a path")
    if not said.good:
        raise ConfigError(where, f"{place}.expect_status", "is empty", "the statuses of a good answer")
    for name, value in said.headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\x00-\x1f\x7f]", value):
            raise ConfigError(where, f"{place}.headers", f"{name!r} is no header", "a name and a text in one line")


def check_journey_promised(steps: Sequence[JourneyStep], contract: ContractFile, where: str, place: str) -> None:
    """What the journey asks of the backend, the contract must know of, or a sound backend would be blamed.

    Raises:
        ConfigError: it does not.
    """
    roles, name = {event.role for event in contract.events.values()}, contract.name
    under_way = False
    for i, step in enumerate(steps):
        kind, told = kind_of(step), stated(step)
        problem = hint = ""
        if kind == "send" and under_way and not contract.turn.concurrent:
            problem = f"contract {name} promises nothing of a message that comes while another turn is under way"
            hint = "a step await: done before it, or turn.concurrent in the contract"
        elif kind == "await" and told.role != "done" and told.role not in roles:
            problem = f"contract {name} has no event with the role {told.role}"
            hint = nearest(told.role, sorted({*roles & {*get_args(AwaitRole)}, "done"}))
        elif kind == "cancel" and contract.cancel is None:
            problem, hint = f"contract {name} does not say how a turn is stopped", "cancel in the contract"
        elif kind == "http" and (strange := _unfilled(told, contract)):
            problem, hint = (
                f"nobody fills {{{strange}}}",
                ", ".join(f"{{{name}}}" for name in sorted(_fillable(contract))),
            )
        elif kind == "switch_thread":
            problem, hint = _no_threads(contract), "a contract whose messages name the {thread} that the client chose"
        if problem:
            raise ConfigError(where, f"{place}[{i}].{kind}", problem, hint)
        under_way = kind == "send" or (under_way and not (kind == "await" and told.role == "done"))


def _no_threads(contract: ContractFile) -> str:
    """Why a client of this contract cannot choose its thread; empty: it can."""
    if any("thread" in takes for takes in _takes(contract)):
        return f"under contract {contract.name} the server gives a session its thread"
    if "{thread}" not in json.dumps(contract.send.template):
        return f"messages of contract {contract.name} name no thread"
    return ""


def _fillable(contract: ContractFile) -> set[str]:
    """What a request may name."""
    return {"token", "thread", *(name for takes in _takes(contract) for name in takes)}


def _unfilled(said: Http, contract: ContractFile) -> str:
    """The first name in braces that nobody fills; empty: none."""
    named = [*placeholders(said.path), *placeholders(said.headers), *placeholders(said.body or {})]
    return next((name for name in named if name not in _fillable(contract)), "")


def _takes(contract: ContractFile) -> Iterator[dict[str, str]]:
    yield from (call.take for call in contract.prelude)
    yield from (step.take for step in contract.handshake.steps)
