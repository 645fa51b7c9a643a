"""A chat in AG-UI events over a WebSocket: GO, each planted fault NO-GO under its id, other contracts do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.otherruns import OtherWorld, refused

pytestmark = pytest.mark.live

CONTRACT = "ag-ui"
#: its events have neither number nor id, so a doubled one shows by what it breaks
FAULTS = {
    "lost-event": {"pairing"},
    "lost-tool-end": {"pairing"},
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


class TestAgUi(OtherWorld):
    server = "agui_server"
    contract = CONTRACT
    faults = FAULTS
    quick = ("lost-event", "lost-tool-end", "doubled-event", "never-ends", "leaked", "raises")


def test_a_contract_of_another_protocol_does_not_fit(tmp_path: Path) -> None:
    """The first frames are shown, and the contract that knows them is named."""
    text = refused("agui_server", "graphql-transport-ws", tmp_path)
    assert "contract hasty does not fit" in text
    assert '{"type":"RUN_ERROR"' in text
    assert "--contract ag-ui?" in text
