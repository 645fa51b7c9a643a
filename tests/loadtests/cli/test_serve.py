"""``gauntlet serve``: the embedded backend by hand, its defects by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtests.backend import server, supervisor
from loadtests.backend.defects import PLANTABLE
from tests.loadtests.cli.commands import called, refused


def test_options_are_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[server.ServerOptions] = []

    async def run(options: server.ServerOptions, *_: Any, **__: Any) -> None:
        asked.append(options)

    monkeypatch.setattr(server, "run", run)
    code, _ = called(
        "serve", "--host", "0.0.0.0", "--port", "9", "--db", "x.db", "--seed", "3", "--defect", "silent", "--shape", "data",
        "--require-token", "--era-file", tmp_path / "era",
        "--tls-cert", tmp_path / "c", "--tls-key", tmp_path / "k",
    )  # fmt: skip
    assert code == 0
    (one,) = asked
    assert (one.host, one.port, one.db, one.seed, one.defect, one.shape) == ("0.0.0.0", 9, "x.db", 3, "silent", "data")
    assert one.era_file == tmp_path / "era"
    assert (one.require_token, one.tls_cert, one.tls_key) == (True, tmp_path / "c", tmp_path / "k")


def test_the_defects_are_listed() -> None:
    code, said = called("serve", "--defect", "list")
    assert (code, [line.split()[0] for line in said.splitlines()]) == (0, list(PLANTABLE))


@pytest.mark.parametrize("port", ["70000", "65536", "-1"])
def test_a_port_that_there_is_not_is_told(port: str) -> None:
    assert f"--port: {port}; expected 0 to 65535" in refused("serve", "--port", port)


def test_an_unknown_defect_is_told() -> None:
    assert "did you mean 'silent'?" in refused("serve", "--defect", "silence")


def test_several_nodes_are_handed_on_to_their_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[server.ServerOptions] = []

    async def supervise(options: server.ServerOptions, *, lifeline: bool) -> None:
        assert not lifeline
        asked.append(options)

    monkeypatch.setattr(supervisor, "supervise", supervise)
    code, _ = called("serve", "--nodes", "2", "--drain-spread", "0.5", "--defect", "epoch-ignored")
    assert code == 0
    assert [(one.nodes, one.drain_spread_s, one.defect) for one in asked] == [(2, 0.5, "epoch-ignored")]


def test_a_defect_that_one_node_cannot_show_is_refused() -> None:
    assert "expected --nodes 2" in refused("serve", "--defect", "epoch-ignored")
