"""A chat in AG-UI events over a WebSocket: GO, each planted fault NO-GO under its id, other contracts do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.live.gauntlet import Ended
from tests.live.otherruns import CLEAN, judged, refused

pytestmark = pytest.mark.live

CONTRACT = "ag-ui"
#: its events have neither number nor id, so a doubled one shows by what it breaks
FAULTS = {
    "lost-event": {"pairing"},
    "doubled-event": {"pairing"},
    "event-after-end": {"terminal"},
    "never-ends": {"terminal"},
    "swapped": {"order"},
    "wrong-tool-id": {"pairing"},
    "lost-chunk": {"loss"},
    "wrong-type": {"vocabulary"},
    "leaked": {"leak"},
    "mute": {"silence"},
    "raises": set[str](),
}


#: played here; ``make prove PART=worlds`` plays all
QUICK = ("lost-event", "doubled-event", "never-ends", "leaked", "raises")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    return judged("agui_server", CONTRACT, QUICK, tmp_path_factory.mktemp)


def test_the_real_server_is_go_without_a_finding(runs: Mapping[str, Ended]) -> None:
    ended = runs[CLEAN]
    assert (ended.code, ended.ids, ended.failed_gates) == (0, set(), set()), ended
    assert ended.verdict["books"]["ok"] > 100


@pytest.mark.parametrize("fault", QUICK)
def test_a_fault_is_no_go_with_exactly_its_id(runs: Mapping[str, Ended], fault: str) -> None:
    ended = runs[fault]
    assert (ended.code, ended.verdict["verdict"]) == (99, "no-go"), ended
    assert ended.ids == FAULTS[fault], ended
    assert ended.checks["self"]["verdict"] == "valid"


def test_a_run_that_fails_and_says_so_breaks_gates_and_no_checker(runs: Mapping[str, Ended]) -> None:
    assert "turn.success{fault:none}" in runs["raises"].failed_gates


@pytest.mark.parametrize("contract", ["graphql-transport-ws"])
def test_a_contract_of_another_protocol_does_not_fit(tmp_path: Path, contract: str) -> None:
    """The first frames are shown, and the contract that knows them is named."""
    text = refused("agui_server", contract, tmp_path)
    assert "contract hasty does not fit" in text
    assert '{"type":"RUN_ERROR"' in text
    assert "--contract ag-ui?" in text
