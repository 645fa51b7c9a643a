"""A chat over GraphQL subscriptions, by Strawberry: GO, each planted fault NO-GO under its id, other contracts do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.live.gauntlet import Ended
from tests.live.otherruns import CLEAN, OtherWorld, refused

pytestmark = pytest.mark.live

CONTRACT = "graphql-transport-ws"
FAULTS = {
    "lost-event": {"pairing"},
    "doubled-event": {"duplicate"},
    "event-after-end": {"terminal"},
    "never-ends": {"terminal"},
    "swapped": {"order"},
    "wrong-tool-id": {"pairing"},
    "lost-chunk": {"loss"},
    "wrong-type": {"vocabulary", "complete"},  # it stands in the place of one that is demanded
    "leaked": {"leak"},
    "mute": {"silence"},
    "raises": set[str](),
}


class TestGraphQL(OtherWorld):
    server = "graphql_server"
    contract = CONTRACT
    faults = FAULTS
    quick = ("lost-event", "doubled-event", "never-ends", "leaked", "raises")

    def test_the_pings_of_the_server_are_answered(self, runs: Mapping[str, Ended]) -> None:
        """It hangs up on who does not answer within two seconds, and nobody was hung up on."""
        assert runs[CLEAN].checks["close"]["violations"] == 0
        assert runs[CLEAN].checks["close"]["samples"] >= 20


def test_a_contract_of_another_protocol_does_not_fit(tmp_path: Path) -> None:
    """To who does not offer its subprotocol it says so, and nothing else."""
    text = refused("graphql_server", "ag-ui", tmp_path)
    assert "4406" in text
    assert "Subprotocol not acceptable" in text
