"""Several load processes: each writes its own rows, and together they are one run whose books balance."""

from __future__ import annotations

import pytest

from loadtests.rundir import read_run
from tests.live.gauntlet import Ended, gauntlet, scenario

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("two")
    return gauntlet("run", scenario(folder / "short.yaml"), "--processes", "2", cwd=folder)


def test_two_processes_make_one_verdict(two: Ended) -> None:
    assert (two.code, two.ids) == (0, set()), two
    books = two.verdict["books"]
    assert books["planned"] == books["sent"] + books["dropped"]


def test_every_user_lives_in_exactly_one_process(two: Ended) -> None:
    data = read_run(two.run)
    assert data.workers == ["worker-0", "worker-1"]
    first, second = data.rows["session"][: data.first_row[1]], data.rows["session"][data.first_row[1] :]
    assert (set(first.tolist()) | set(second.tolist()), set(first.tolist()) & set(second.tolist())) == (
        set(range(30)),
        set(),
    )
    assert all(account is not None for account in data.accounts.values())
    assert {record["worker"] for record in data.health} == {"worker-0", "worker-1"}
