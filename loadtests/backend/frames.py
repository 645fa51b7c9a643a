"""What goes over the wire: the frames' shapes, with every type taken from the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from loadtests.backend.eventlog import Claim
from loadtests.contract import Contract
from loadtests.errors import ConfigError

__all__ = ["SHAPES", "FrameWriter", "Shape", "iso"]

#: The four envelopes in the wild: all at the root; the role's fields under ``data`` or, with the ids, under
#: ``payload``; and that one under another root type.
Shape = Literal["flat", "data", "payload", "wrapped"]
SHAPES: tuple[str, ...] = get_args(Shape)

encode = msgspec.json.Encoder().encode


def iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


class FrameWriter:
    """Pure; one a server."""

    def __init__(self, contract: Contract, shape: Shape = "flat") -> None:
        self._file = contract.file
        self._shape = shape
        self._wrapper = next(iter(contract.file.envelope.wrappers), "")
        if shape == "wrapped" and not self._wrapper:
            raise ConfigError("--shape", "", "the contract knows no wrapper", "flat, data or payload")

    def event(self, kind: str, at: str, ids: Mapping[str, Any], body: Mapping[str, Any]) -> bytes:
        """A numbered event in the server's shape."""
        match self._shape:
            case "flat":
                return encode({"type": kind, "timestamp": at, **ids, **body})
            case "data":
                return encode({"type": kind, "timestamp": at, **ids, "data": body})
            case "payload":
                return encode({"type": kind, "timestamp": at, "payload": {**ids, **body}})
        return encode({"type": self._wrapper, "event": kind, "timestamp": at, "payload": {**ids, **body}})

    def stored(self, kind: str, live: bytes, at_s: float) -> bytes:
        """A kept event: the whole live frame under ``data``."""
        flags = {"critical": True, self._file.envelope.recovered or "recovered": True}
        return encode({"type": kind, "data": msgspec.Raw(live), "timestamp": iso(at_s), **flags})

    def welcome(self, data: Mapping[str, Any], at_s: float) -> bytes:
        return encode({"type": self._file.handshake.ready, "data": data, "timestamp": at_s})

    def restored(self, claim: Claim, at_s: float) -> bytes:
        """The honest answer to a resume."""
        data: dict[str, Any] = {"resumed": claim.resumed, "stream_id": claim.stream, "from_seq": claim.after}
        data |= {"last_seq": claim.head} if claim.resumed else {"reason": claim.reason}
        return encode({"type": self._file.resume.answer, "data": data, "timestamp": at_s})

    def history(self, kind: str, thread: str, events: Sequence[bytes], at_s: float) -> bytes:
        data = {"thread_id": thread, "events": [msgspec.Raw(event) for event in events]}
        return encode({"type": kind, "data": data, "timestamp": at_s})

    def error(self, code: str, text: str, at_s: float, about: Mapping[str, str] | None = None, kind: str = "") -> bytes:
        """``about``: the ids of the turn that it is about; ``kind``: a type of its own."""
        what = {"error_code": code, "message": text, "timestamp": at_s}
        return encode({"type": kind or self._file.control.error, **(about or {}), **what})

    def unknown(self, kind: str, at_s: float, about: Mapping[str, str] | None = None) -> bytes:
        answer = {"received_type": kind, "status": "acknowledged", "timestamp": at_s}
        return encode({"type": self._file.control.unknown, **(about or {}), **answer})

    def control(self, kind: str, at_s: float) -> bytes:
        return encode({"type": kind, "data": {"timestamp": at_s}, "timestamp": at_s})
