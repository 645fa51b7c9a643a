"""What the probe saw, as the one sentence with which a run does not begin, or as a go-ahead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.conductor import preflight as module
from loadtests.conductor.preflight import preflight, what_fits_better
from loadtests.contract import load
from loadtests.errors import ConfigError, PreflightError


def seen(monkeypatch: pytest.MonkeyPatch, **report: Any) -> dict[str, Any]:
    monkeypatch.setattr(module, "ask_probe", lambda *_: json.dumps({"frames": [], "problem": "", **report}).encode())
    return preflight(Path(), {}, load("netra"))


@pytest.mark.parametrize("fit", ["fits", "silent"])
def test_what_can_be_run_against_is_let_through(monkeypatch: pytest.MonkeyPatch, fit: str) -> None:
    assert seen(monkeypatch, fit=fit)["fit"] == fit


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (
            {"fit": "unreachable", "problem": "tcp: Connection refused"},
            ["at connect", "tcp: Connection refused", "is the backend running"],
        ),
        ({"fit": "no-websocket", "problem": "upgrade: HTTP 404"}, ["HTTP 404", "not a WebSocket at this path"]),
        ({"fit": "refused", "problem": "upgrade: HTTP 401"}, ["HTTP 401", "--token-env"]),
        ({"fit": "misfit", "frames": [{"text": "{}"}] * 9}, ["at contract", "contract netra does not fit", "\n  {}"]),
    ],
)
def test_what_cannot_is_told_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, report: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(PreflightError) as caught:
        seen(monkeypatch, **report)
    assert [word for word in words if word not in str(caught.value)] == []
    assert str(caught.value).count("\n") <= module.SHOWN + 1


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (['{"type":"agent_started","run_id":"r"}', '{"op":"x"}'], "known to netra"),
        (['{"op":"HELLO"}'], "it waits for connection_established; see gauntlet contract show netra"),
        (["no JSON at all", "\x1b[2J"], "it waits for connection_established"),
        ([], "it waits for connection_established"),
    ],
)
def test_another_contract_that_knows_the_frames_is_named(texts: list[str], words: str) -> None:
    assert words in what_fits_better(load("netra"), texts)


def test_a_frame_that_is_shown_cut_is_tried_on_other_contracts_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.dumps({"reasoning": "x" * 400, "type": "RUN_STARTED", "runId": "r", "threadId": "t"})
    with pytest.raises(PreflightError) as caught:
        seen(monkeypatch, fit="misfit", frames=[{"text": whole[:300], "whole": whole}])
    assert "known to ag-ui" in str(caught.value)
    assert whole not in str(caught.value)


def test_text_of_a_server_cannot_move_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for report in ({"fit": "misfit", "frames": [{"text": "\x1b[2J\r\n"}]}, {"fit": "refused", "problem": "\x1b[2J"}):
        with pytest.raises(PreflightError) as caught:
            seen(monkeypatch, **report)
        assert "\x1b" not in str(caught.value)
        assert "\r" not in str(caught.value)


def test_a_mistake_that_the_probe_found_in_the_options_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no NO_SUCH"):
        seen(monkeypatch, error="the environment has no NO_SUCH")
