"""The words of a turn: what was asked, and the steps that answer it. Knows no event names, only roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.contract.schema import Role

__all__ = ["Ask", "Script", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One user message, as understood."""

    message_id: str
    run_id: str
    thread_id: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event to come, ``delay_ms`` after the one before it."""

    delay_ms: float
    role: Role
    agent: str
    body: Mapping[str, Any] = field(default_factory=dict)
    # Below stands what only a planted defect sets.
    #: a type that the role does not give; passes the notifier's check
    planted_kind: str = ""
    #: of another run than the turn's
    run_id: str = ""
    #: how often it is sent live; it is numbered and logged once in any case
    deliveries: int = 1
    #: close the connection with this code after sending
    close_code: int = 0
    #: another session's frame, sent as it is, neither numbered nor logged
    foreign_frame: bytes = b""


Script = tuple[Step, ...]
