"""The master's own part; what it does with living worker hosts is in ``tests/live/test_hosts.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.ports import free_port
from loadtests import conductor
from loadtests.conductor import master
from loadtests.errors import ConfigError, GauntletError, PreflightError
from loadtests.hosts.wire import TOKEN_VARIABLE
from tests.live.gauntlet import backend, scenario


def options(tmp_path: Path, target: str, **more: str) -> conductor.RunOptions:
    return conductor.RunOptions(
        scenario=str(scenario(tmp_path / "short.yaml")), target=target, contract="reference", chaos=False, master=True, workers=2,
        out=tmp_path / "run", **more,  # type: ignore[arg-type]
    )  # fmt: skip


def refused(one: conductor.RunOptions, kind: type[GauntletError]) -> str:
    with pytest.raises(kind) as caught:
        conductor.run(one, lambda _: None, lambda *_: None)
    return str(caught.value)


def test_worker_hosts_that_do_not_come_are_waited_for_and_then_named_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "t" * 20)
    monkeypatch.setattr(master, "COME_S", 0.2)
    with backend() as url:
        said = refused(options(tmp_path, url, bind=f"127.0.0.1:{free_port()}"), PreflightError)
    assert "not all 2 worker hosts came within 0.2 s" in said
    assert not (tmp_path / "run").exists()


def test_an_address_of_another_machine_is_no_place_to_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "t" * 20)
    assert "--bind" in refused(options(tmp_path, "ws://127.0.0.1:1", bind="192.0.2.1"), ConfigError)
    assert not (tmp_path / "run").exists()
