"""The fast way for text frames, beside the library that judges everything else. Pure.

Why: ``websockets``' Sans-I/O parser costs several microseconds a frame, and nine frames in ten are final, unmasked,
uncompressed text. Those are sliced here; all other bytes go to ``ClientProtocol.receive_data`` exactly at a frame
boundary, so the library still judges control frames, fragments, compression and errors.

Right because: whenever ``_owed`` is 0 the library stands at a frame boundary, and for a final unmasked text frame outside
of a fragmented message, in state OPEN and within its size limit, its own parser does nothing but append the event. The
rules were held against the library alone in a property test; each is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import OPEN

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform for which websockets ships no compiled part
    from websockets.utils import apply_mask

__all__ = ["KEY_BYTES", "Splitter", "Texts", "masked_text"]

#: messages, when they came in ns, and bytes in which each stands as it is
Texts = Callable[[Sequence[bytes], int, bytes], None]

PLAIN_TEXT = 0x81  # FIN, no reserved bit, opcode text
MASKED = 0x80
KEY_BYTES = 4
_SHORT, _MEDIUM, _LONG = (struct.Struct(f"!BB{size}{KEY_BYTES}s").pack for size in ("", "H", "Q"))
COLLECT_BYTES = 4096  # a longer incomplete frame is streamed to the library instead of collected


def masked_text(payload: bytes, key: bytes) -> bytes:
    """A client's text frame, final and masked (RFC 6455 5.2). ``key``: KEY_BYTES of strong randomness (10.3)."""
    size = len(payload)
    if size < 126:
        head = _SHORT(PLAIN_TEXT, MASKED | size, key)
    elif size < 1 << 16:
        head = _MEDIUM(PLAIN_TEXT, MASKED | 126, size, key)
    else:
        head = _LONG(PLAIN_TEXT, MASKED | 127, size, key)
    return head + apply_mask(payload, key)


class Splitter:
    """Feeds received bytes to ``on_texts`` and, for everything but plain text, to the protocol.

    ``on_texts`` gets messages that came together, when they came, and bytes in which each stands as it is: whoever looks for
    something in all of them need look only once.
    """

    __slots__ = ("_limit", "_message", "_on_binary", "_on_texts", "_owed", "_protocol", "_rest", "_text", "closing")

    def __init__(
        self,
        protocol: ClientProtocol,
        limit_bytes: int,
        on_texts: Texts,
        on_binary: Callable[[bytes, int], None],
    ) -> None:
        self._protocol = protocol
        self._limit = limit_bytes
        self._on_texts = on_texts
        self._on_binary = on_binary
        self._rest = b""
        self._owed = 0
        self._message: list[bytes] | None = None
        self._text = False
        #: our own close frame is on its way
        self.closing = False

    def close(self, code: int, reason: str) -> None:
        """Our own close frame to the library; a listener may say so in the middle of what is being fed."""
        self.closing = True
        self._protocol.send_close(code, reason)

    def feed(self, chunk: bytes, at_ns: int) -> bool:
        """Bytes after the handshake's blank line, and when they came, which is handed on with each message.

        Returns whether the library was given anything, so that it may have something to say, or be at its end.
        """
        data = self._rest + chunk if self._rest else chunk
        self._rest = b""
        protocol = self._protocol
        at, end, limit, handed = 0, len(data), self._limit, False
        plain = not self._owed and self._message is None and protocol.state is OPEN
        while at < end:
            if plain:
                at = self._plain(data, at, at_ns)
                if at == end:
                    return handed
            if self._owed:
                take = min(self._owed, end - at)
                self._owed -= take
                handed = True
                self._hand_over(data[at : at + take], at_ns)
                at += take
                plain = not self._owed and self._message is None and protocol.state is OPEN
                continue
            if not plain and protocol.state is not OPEN:
                self._hand_over(data[at:], at_ns)
                return True
            left = end - at
            if left < 2:
                self._rest = data[at:]
                return handed
            second = data[at + 1]
            length = second & 0x7F
            head = 2
            if length >= 126:
                head = 4 if length == 126 else 10
                if left < head:
                    self._rest = data[at:]
                    return handed
                length = int.from_bytes(data[at + 2 : at + head], "big")
            whole = head + length
            if plain and data[at] == PLAIN_TEXT and second < MASKED and length <= limit:
                if left >= whole:
                    payload = data[at + head : at + whole]
                    self._on_texts((payload,), at_ns, payload)
                    at += whole
                    continue
                if whole <= COLLECT_BYTES:
                    self._rest = data[at:]
                    return handed
            self._owed = whole + (4 if second >= MASKED else 0)
        return handed

    def _plain(self, data: bytes, at: int, at_ns: int) -> int:
        """Hand on all short text frames that stand whole from ``at`` on, together; returns where that ends."""
        end, limit, texts = len(data), self._limit, []
        while at + 1 < end and data[at] == PLAIN_TEXT:
            length, start = data[at + 1], at + 2
            if length >= 126:
                start = at + 4
                if length != 126 or start > end:
                    break
                length = data[at + 2] << 8 | data[at + 3]  # a slice and a call cost twice as much
            if start + length > end or length > limit:
                break
            at = start + length
            texts.append(data[start:at])
        if texts:
            self._on_texts(texts, at_ns, data)
        return at

    def finish(self, at_ns: int) -> None:
        """End of stream: what is left goes to the library, which calls it an error."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._protocol.receive_data(rest)
        self._protocol.receive_eof()
        self._take_events(at_ns)

    def _hand_over(self, data: bytes, at_ns: int) -> None:
        self._protocol.receive_data(data)
        self._take_events(at_ns)

    def _take_events(self, at_ns: int) -> None:
        for frame in self._protocol.events_received():
            opcode = getattr(frame, "opcode", None)
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
                if frame.fin:  # type: ignore[union-attr]  # after the handshake all events are frames
                    self._tell(bytes(frame.data), at_ns, text=opcode is Opcode.TEXT)  # type: ignore[union-attr]
                else:
                    self._message, self._text = [bytes(frame.data)], opcode is Opcode.TEXT  # type: ignore[union-attr]
            elif opcode is Opcode.CONT and self._message is not None:
                self._message.append(bytes(frame.data))  # type: ignore[union-attr]
                if frame.fin:  # type: ignore[union-attr]
                    whole, self._message = b"".join(self._message), None
                    self._tell(whole, at_ns, text=self._text)

    def _tell(self, payload: bytes, at_ns: int, *, text: bool) -> None:
        if text:
            self._on_texts((payload,), at_ns, payload)
        else:
            self._on_binary(payload, at_ns)
