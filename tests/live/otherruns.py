"""What every server of another protocol is held to: the clean one, each of its faults, and what must not begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import ClassVar

import pytest

from tests.live.gauntlet import Ended, gauntlet, scenario, together
from tests.live.otherworld import served

__all__ = ["CLEAN", "Folder", "OtherWorld", "hasty", "judged", "refused"]

Folder = Callable[[str], Path]

CLEAN = "none"
#: as many connections as it takes to decide the contracts' gate on them
USERS = ("--users", "30")
SHORT: dict[str, float] = {"warm-up": 1.0, "steady": 4.0, "cool-down": 1.0}
#: a whole quarter of a minute of the clean server, since a rare finding would be a false one
LONG: dict[str, float] = {"warm-up": 2.0, "steady": 11.0, "cool-down": 2.0}
#: a turn of these servers takes half a second; what never ends must be given up before the run is over
HASTY_MS = 2500


def hasty(folder: Path, contract: str) -> Path:
    """The contract, for who does not want to wait long for a welcome or an end."""
    file = folder / "hasty.yaml"
    file.write_text(
        f"contract: 1\nname: hasty\nextends: {contract}\nturn: {{deadline_ms: {HASTY_MS}}}\nhandshake: {{timeout_ms: {HASTY_MS}}}\n"
    )
    return file


def judged(server: str, contract: str, faults: Iterable[str], folder: Folder) -> Mapping[str, Ended]:
    """The clean server for a while, and each fault in a short run, never more at once than the cores bear."""

    def run(fault: str) -> Ended:
        here = folder(fault)
        clean = fault == CLEAN
        file = scenario(here / "short.yaml", LONG if clean else SHORT, pace_ms=1500)
        words = (file, "--no-chaos", *USERS, "--contract", contract if clean else hasty(here, contract))
        with served(server, "--fault", fault) as url:
            return gauntlet("run", *words, "--target", url, cwd=here)

    return together({fault: lambda fault=fault: run(fault) for fault in (CLEAN, *faults)})  # type: ignore[misc]  # bound at once


def refused(server: str, contract: str, folder: Path) -> str:
    """What is said where a contract meets a server of another protocol; nothing was measured."""
    words = (scenario(folder / "short.yaml"), "--no-chaos", *USERS, "--contract", hasty(folder, contract))
    with served(server) as url:
        ended = gauntlet("run", *words, "--target", url, cwd=folder)
    assert ended.code == 2, ended
    assert ended.rows_bytes == 0
    assert "Traceback" not in ended.err
    return ended.err[ended.err.index("gauntlet: ") :]


class OtherWorld:
    """The tests of one protocol; a class of a test module says which.

    ``faults``: fault -> exact ids; without any only a gate tells. ``quick``: those that are played here; ``make prove
    PART=worlds`` plays all.
    """

    server: ClassVar[str]
    contract: ClassVar[str]
    faults: ClassVar[Mapping[str, AbstractSet[str]]]
    quick: ClassVar[tuple[str, ...]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "fault" in metafunc.fixturenames:
            metafunc.parametrize("fault", self.quick)

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
        return judged(cls.server, cls.contract, cls.quick, tmp_path_factory.mktemp)

    def test_the_real_server_is_go_without_a_finding(self, runs: Mapping[str, Ended]) -> None:
        ended = runs[CLEAN]
        assert (ended.code, ended.ids, ended.failed_gates) == (0, set(), set()), ended
        assert ended.verdict["books"]["ok"] > 100

    def test_a_fault_is_no_go_with_exactly_its_id(self, runs: Mapping[str, Ended], fault: str) -> None:
        ended = runs[fault]
        assert (ended.code, ended.verdict["verdict"]) == (99, "no-go"), ended
        assert ended.ids == self.faults[fault], ended
        assert ended.checks["self"]["verdict"] == "valid"

    def test_a_run_that_fails_and_says_so_breaks_gates_and_no_checker(self, runs: Mapping[str, Ended]) -> None:
        assert "turn.success{fault:none}" in runs["raises"].failed_gates
        assert runs["raises"].verdict["books"]["outcomes"].keys() & {"ok", "failed"} == {"failed"}
