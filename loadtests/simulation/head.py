"""What stands before the first frame of a connection, whichever end reads it: both wait for the same blank line. Pure."""

from __future__ import annotations

__all__ = ["HELLO_END", "Head"]

HELLO_END = b"\r\n\r\n"


class Head:
    """Collects a head that may come in pieces."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, chunk: bytes) -> tuple[bytes, bytes] | None:
        """The head and what came behind it; None: it is not whole yet."""
        head, blank, rest = (self._begun + chunk).partition(HELLO_END)
        if blank:
            return head, rest
        self._begun = head
        return None
