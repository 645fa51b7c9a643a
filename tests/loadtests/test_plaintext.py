"""No text of a server may steer the terminal that shows it."""

from __future__ import annotations

import pytest

from loadtests.plaintext import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("grün [bold]", "grün [bold]"),
        ("\x1b[2Ja\r\nb", " [2Ja  b"),
        ("a\u202eb\x07\ud800", "a b  "),
    ],
)
def test_what_is_no_letter_becomes_a_space(text: str, shown: str) -> None:
    assert printable(text) == shown
