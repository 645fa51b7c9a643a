"""Errors are one sentence that says where, what and what to do, and survive a process boundary."""

from __future__ import annotations

import pickle

import pytest

from loadtests.errors import ConfigError, GauntletError, PreflightError, RigError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConfigError("f.yaml", "a.b", "is 3", "at least 4"), "f.yaml at a.b: is 3; expected at least 4"),
        (ConfigError("--users", "", "is 3"), "--users: is 3"),
        (ConfigError("f", "", "no x", "did you mean 'y'?"), "f: no x; did you mean 'y'?"),
        (ConfigError("f", "", "no x", "one of a, b"), "f: no x; one of a, b"),
        (PreflightError("connect", "refused", "is it up?"), "preflight failed at connect: refused (is it up?)"),
        (PreflightError("turn", "no end"), "preflight failed at turn: no end"),
        (RigError("no Go"), "no Go"),
    ],
)
def test_an_error_reads_as_one_sentence(error: GauntletError, text: str) -> None:
    assert str(error) == text
    assert error.exit_code == 2
    assert str(pickle.loads(pickle.dumps(error))) == text
