"""``gauntlet contract``: the built-in ones, and one as a whole that reads back the same."""

from __future__ import annotations

from pathlib import Path

from loadtests.contract import load
from tests.loadtests.cli.commands import called, refused


def test_the_built_in_contracts_are_listed() -> None:
    code, said = called("contract", "list")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == ["netra", "reference"]
    assert f"{len(load('netra').events)} events, 5 demanded" in said


def test_what_is_shown_is_the_whole_contract(tmp_path: Path) -> None:
    code, said = called("contract", "show", "reference")
    path = tmp_path / "shown.yaml"
    path.write_text(said)
    assert (code, load(path).digest) == (0, load("reference").digest)


def test_an_unknown_contract_is_told() -> None:
    assert "did you mean 'netra'?" in refused("contract", "show", "nettra")
