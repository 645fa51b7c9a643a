"""``gauntlet contract``: the built-in ones, one as a whole that reads back the same, checked, and in other formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from loadtests.contract import load
from loadtests.contract.compile import built_in
from loadtests.contract.published import PUBLISHED
from tests.loadtests.cli.commands import called, recorded, refused


def test_the_built_in_contracts_are_listed() -> None:
    code, said = called("contract", "list")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == list(built_in())
    assert f"{len(load('netra').events)} events, 5 demanded" in said


def test_what_is_shown_is_the_whole_contract(tmp_path: Path) -> None:
    code, said = called("contract", "show", "reference")
    path = tmp_path / "shown.yaml"
    path.write_text(said)
    assert (code, load(path).digest) == (0, load("reference").digest)


def test_a_check_says_what_is_accepted_and_shows_a_turn() -> None:
    code, said = called("contract", "check", "ag-ui")
    assert code == 0
    assert "started: RUN_STARTED*" in said
    assert '← {"type": "RUN_FINISHED"' in said


def test_a_bad_contract_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: netra\naliases: {done: agent_complete}\n")
    told = refused("contract", "check", path)
    assert told == f"{path} at aliases.done: 'agent_complete' is not in events; did you mean 'agent_completed'?"


def test_a_run_is_held_to_another_contract(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", ["think", "start", "open", "close", "done"])
    code, said = called("contract", "check", "reference", "--against", run)
    assert code == 0
    assert said.splitlines()[-1].endswith("kept frames fit reference")
    told = refused("contract", "check", "ag-ui", "--against", run)
    assert "contract ag-ui: the first frame that fits nothing (type 'agent_thinking'; session 1, turn 1, row " in told


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    assert "is no run directory" in refused("contract", "check", "netra", "--against", tmp_path)


@pytest.mark.parametrize(("more", "read"), [([], yaml.safe_load), (["--format", "json"], json.loads)])
def test_an_asyncapi_document_is_printed(more: list[str], read: object) -> None:
    code, said = called("contract", "asyncapi", "graphql-transport-ws", *more)
    assert code == 0
    assert callable(read)
    made = read(said)
    assert (made["asyncapi"], made["channels"]["chat"]["address"]) == ("3.0.0", "/graphql")


def test_the_schema_of_contract_files_is_printed() -> None:
    assert called("contract", "schema") == (0, PUBLISHED.read_text())


@pytest.mark.parametrize("command", ["show", "check", "asyncapi"])
def test_an_unknown_contract_is_told(command: str) -> None:
    assert "did you mean 'netra'?" in refused("contract", command, "nettra")
