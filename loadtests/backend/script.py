"""The words of a turn: what was asked, and the steps that answer it. Knows no event names, only roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.contract.schema import Role

__all__ = ["Ask", "Script", "Step", "Wants"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One user message, as understood."""

    message_id: str
    run_id: str
    thread_id: str
    content: str
    #: what the user said before on this thread, if the message asks for it
    earlier: tuple[str, ...] = ()
    #: how often the answer says it
    times: int = 1
    #: how long the message was on its way, by the client's own clock; 0: nobody knows
    lag_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What a turn must be like, for whoever spoils it; None: as the dice fall."""

    nested: bool | None = None
    streamed: bool | None = None
    #: ends well, having shown everything
    whole: bool = False
    #: there are too many turns already
    crowded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event to come, ``delay_ms`` after the one before it."""

    delay_ms: float
    role: Role
    agent: str
    body: Mapping[str, Any] = field(default_factory=dict)
    #: an approved type, where the role alone leaves a choice
    kind: str = ""
    # Below stands what only a planted defect sets.
    #: a type that the role does not give; passes the notifier's check
    planted_kind: str = ""
    #: of another run than the turn's
    run_id: str = ""
    #: of another version of the format than the turn's
    version: str = ""
    #: how often it is sent live; it is numbered and logged once in any case
    deliveries: int = 1
    #: sent live to this stream's client too
    astray: str = ""
    #: the turn's next event is sent live before it
    overtaken: bool = False
    #: close the connection with this code after sending
    close_code: int = 0
    #: sent as it is, neither numbered nor logged
    raw_frame: bytes = b""


Script = tuple[Step, ...]
