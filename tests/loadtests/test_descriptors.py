"""Sessions that do not fit into the limit of open files are told before traffic, with what would help."""

from __future__ import annotations

import resource

import pytest

from loadtests.descriptors import SPARE, check, hard_limit, raise_limit
from loadtests.errors import ConfigError


@pytest.mark.parametrize(
    ("users", "processes", "treated", "chaos", "words"),
    [
        (800, 1, 0, False, ""),
        (801, 1, 0, False, "801 sessions in a load process need about 1001 open files, and 1000 are allowed"),
        (1600, 2, 0, False, ""),
        (1601, 2, 0, False, "or more --processes"),
        (800, 1, 400, True, ""),
        (801, 2, 401, True, "401 sessions through one Toxiproxy need about 1002 open files"),
        (801, 2, 300, True, "501 sessions through one Toxiproxy"),
    ],
)
def test_each_process_must_hold_its_sessions(users: int, processes: int, treated: int, chaos: bool, words: str) -> None:
    if not words:
        check(users, processes, treated, chaos=chaos, limit=800 + SPARE)
        return
    with pytest.raises(ConfigError) as caught:
        check(users, processes, treated, chaos=chaos, limit=800 + SPARE)
    assert words in str(caught.value)


def test_the_limit_of_this_machine_is_known_and_used() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert hard_limit() >= before[0]
    with pytest.raises(ConfigError):
        check(hard_limit(), 1, 0, chaos=False)
