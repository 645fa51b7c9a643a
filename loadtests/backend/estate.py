"""What one node leaves to another of one owner: turns under way, and events that found no connection. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from loadtests.backend.manager import Parcel
from loadtests.backend.threads import Run

__all__ = ["Estate", "Homes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """Empty: the owner's log says it all."""

    runs: tuple[Run, ...] = ()
    kept: tuple[Parcel, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs or self.kept)

    def encode(self) -> bytes:
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> Estate:
        return _DECODER.decode(raw)


# Not JSON: frames are bytes.
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Estate)


class Homes(Protocol):
    """Where owners are at home: one node alone numbers, executes and delivers what is theirs."""

    def settle(self, owner: str) -> None:
        """A new one is ours."""

    def forget(self, owner: str) -> None:
        """Nobody will ever ask for this one."""

    def fetch(self, owner: str, then: Callable[[], None]) -> None:
        """Go on when the owner is ours, at once if it is: or when no node has ever heard of it."""
