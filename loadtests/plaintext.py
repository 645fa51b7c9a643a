"""Text of the other side for a terminal, which must survive it."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """The text on one line, with a space for every character that would move the cursor, hide, or turn the line round."""
    return "".join(char if char.isprintable() else " " for char in text)
