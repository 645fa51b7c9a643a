"""A canary's pings can be told from any other's, and from each other."""

from __future__ import annotations

from loadtests.pings import named, new_name, numbered


def test_a_ping_says_whose_it_is_and_which() -> None:
    name = new_name()
    assert named(numbered(name, 70_000)) == (name, 70_000)
    assert named(numbered(name, 3).ljust(125, b".")) == (name, 3)


def test_other_pings_are_nobodys() -> None:
    assert named(b"") is named(b"1234567") is None


def test_no_two_canaries_have_one_name() -> None:
    assert new_name() != new_name()
