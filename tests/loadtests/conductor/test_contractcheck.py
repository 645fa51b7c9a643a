"""What a contract check says, and how recorded frames are held to a contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtests.conductor.contractcheck import fit_of, lines, verdict_of
from loadtests.contract import Contract, load
from loadtests.contract.compile import built_in
from loadtests.contract.schema import ContractFile
from loadtests.errors import ConfigError
from tests.loadtests.contract.test_check import SMALL

RUN = Path("runs/one")


def kept(*texts: str | dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Frames as a run directory gives them, the last one first."""
    found = [text if isinstance(text, str) else json.dumps(text) for text in texts]
    made = [
        {"direction": "in", "at_ns": i, "text": t, "size": len(t), "session": 3, "turn": 2, "row": 40 + i, **more}
        for i, t in enumerate(found)
    ]
    return made[::-1]


def verdict(contract: Contract, frames: list[dict[str, Any]]) -> tuple[list[str], str]:
    """What is said, and the error it ends in."""
    said: list[str] = []
    try:
        for line in verdict_of(fit_of(contract, frames), RUN):
            said.append(line)  # noqa: PERF402  # what was said before the error counts too
    except ConfigError as error:
        return said, str(error)
    return said, ""


STARTED = {"type": "agent_started", "run_id": "r", "agent_name": "a", "seq": 1}


@pytest.mark.parametrize("name", built_in())
def test_a_check_ends_with_an_example(name: str) -> None:
    contract = load(name)
    said = list(lines(contract))
    assert said[0] == f"contract {name}: {contract.file.title}"
    assert said.index("an example that it finds nothing wrong with:") < len(said) - len(contract.demanded)
    assert said[-1].startswith("  ← {")


def test_a_contract_that_no_turn_can_keep_is_told() -> None:
    text = SMALL.replace("{began: b}, b: {ended: b}", "{began: b, ended: a}, b: {}")
    contract = Contract(msgspec.yaml.decode(text.encode(), type=ContractFile), "mine.yaml", text)
    with pytest.raises(ConfigError, match=r"mine.yaml at order.states: no turn can end well; expected a way from 'a'"):
        list(lines(contract))


@pytest.mark.parametrize(
    ("budgets", "words"),
    [
        ("{turn.totl: ['p(95)<1']}", ("budgets.turn.totl", "unknown metric", "did you mean 'turn.total'?")),
        ("{turn.total: [p95<1]}", ("budgets.turn.total", "rule 'p95<1' cannot be read", "p(95)<1500")),
        ("{'turn.total{fault:drop}': ['p(95)<1']}", ("budgets.turn.total{fault:drop}", "unknown fault 'drop'")),
        ("{'turn.total{phase:steady, cohort:treaded}': ['p(95)<1']}", ("unknown cohort", "did you mean 'treated'?")),
    ],
)
def test_a_budget_that_no_run_would_accept_is_told_before_all_else(budgets: str, words: tuple[str, ...]) -> None:
    text = f"{SMALL}budgets: {budgets}\n"
    contract = Contract(msgspec.yaml.decode(text.encode(), type=ContractFile), "mine.yaml", text)
    with pytest.raises(ConfigError) as caught:
        next(lines(contract))
    assert [word for word in ("mine.yaml at ", *words) if word not in str(caught.value)] == []


def test_a_budget_may_name_a_phase_that_only_a_scenario_knows() -> None:
    text = (
        SMALL
        + "budgets: {'turn.total{phase: steady , cohort:direct}': ['p(95)<1'], 'turn.success{phase:x}': ['rate>0']}\n"
    )
    contract = Contract(msgspec.yaml.decode(text.encode(), type=ContractFile), "mine.yaml", text)
    assert "turn.success{phase:x} rate>0" in "\n".join(lines(contract))


def test_frames_that_all_fit_end_well() -> None:
    reference = load("reference")
    frames = kept(STARTED, {**STARTED, "seq": None}, {**STARTED, "event_version": "9"}, {"type": "chat_message"})
    assert verdict(reference, frames) == (
        [
            "4 of 4 kept frames fit reference",
            "  1 of a forbidden type",
            "  1 of a version that is not accepted",
            "  1 without a required field, or with one of the wrong type",
        ],
        "",
    )


def test_the_first_frame_that_fits_nothing_is_named_by_time() -> None:
    said, error = verdict(load("netra"), kept(STARTED, {"type": "next", "id": "\x1b[2J"}, "hello", {"type": "next"}))
    assert said == [
        "1 of 4 kept frames fit netra",
        "  2 fit nothing: type 'next'",
        "  1 fit nothing: no JSON",
    ]
    assert error == (
        "contract netra: the first frame that fits nothing (type 'next'; session 3, turn 2, row 41): "
        '{"type": "next", "id": "\\u001b[2J"}'
    )


def test_text_of_the_backend_does_not_move_the_cursor() -> None:
    _, error = verdict(load("netra"), kept("\x1b[2J{"))
    assert "\x1b" not in error
    assert "no JSON" in error


def test_a_frame_that_was_kept_in_part_says_nothing() -> None:
    frames = kept(STARTED) + kept('{"type": "agent_thi', size=9000)
    assert verdict(load("netra"), frames) == (["1 of 1 kept frames fit netra; 1 more were kept in part only"], "")


def test_a_run_whose_frames_were_all_kept_in_part_fits_nothing() -> None:
    said, error = verdict(load("netra"), kept('{"type": "agent_thi', '{"type"', size=9000))
    assert said == []
    assert error == (
        "runs/one: holds no kept frame of the backend that is whole, and 2 in part; expected a run in which a turn was kept"
    )


def test_what_the_client_sent_is_not_asked() -> None:
    _, error = verdict(load("netra"), kept({"type": "no_such"}, direction="out"))
    assert error == "runs/one: holds no kept frame of the backend; expected a run in which a turn was kept"
