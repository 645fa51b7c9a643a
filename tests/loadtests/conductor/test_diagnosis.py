"""What the doctor looks at: this machine, and each step of the way to a target."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from chaos import binary
from loadtests.conductor import diagnosis
from loadtests.conductor.diagnosis import local
from loadtests.errors import ConfigError
from tests.loadtests.servers import closed_port, in_thread


def states() -> dict[str, str]:
    return {name: state for name, state, _ in local()}


def test_this_machine_can_test() -> None:
    found = states()
    assert set(found) == {
        "python", "locust", "websockets", "toxiproxy-python", "pandas", "go", "toxiproxy", "chromium", "descriptors", "ports",
    }  # fmt: skip
    assert "bad" not in found.values()


@pytest.mark.parametrize(
    ("module", "attribute", "value", "name", "state"),
    [
        (diagnosis, "LEAST_PYTHON", (9, 9), "python", "bad"),
        (diagnosis, "LEAST_DESCRIPTORS", 1 << 60, "descriptors", "warn"),
        (shutil, "which", lambda _: None, "chromium", "warn"),
        (binary, "find", lambda: None, "toxiproxy", "warn"),
        (binary, "find_go", lambda: None, "go", "warn"),
    ],
)
def test_what_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, module: Any, attribute: str, value: Any, name: str, state: str
) -> None:
    monkeypatch.setattr(module, attribute, value)
    assert states()[name] == state


def test_a_package_that_is_not_there_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    found = {name: text for name, state, text in local() if state == "bad"}
    assert set(found) == {"locust", "websockets", "toxiproxy-python", "pandas"}
    assert all("pip install" in text for text in found.values())


@pytest.mark.live
def test_the_way_to_nobody_ends_at_the_step_that_fails() -> None:
    with closed_port() as port:
        script = (
            "from loadtests.conductor.diagnosis import way_to\n"
            f"print([d[:2] for d in way_to('ws://127.0.0.1:{port}', '', '', '', '', ())])"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
    assert done.stdout.strip() == "[('dns', 'ok'), ('tcp', 'bad')]"


@pytest.mark.live
def test_a_contract_that_fits_no_frame_is_told_with_the_one_that_knows_them() -> None:
    async def greet(connection: ServerConnection) -> None:
        await connection.send('{"type":"RUN_STARTED","threadId":"t","runId":"r"}')

    with in_thread(greet) as port:
        script = (
            "from loadtests.conductor.diagnosis import way_to\n"
            f"print(way_to('ws://127.0.0.1:{port}', '', '', '', '', ())[-1])"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
    name, state, text = ast.literal_eval(done.stdout)
    assert (name, state) == ("contract", "bad")
    assert "fits contract netra" in text
    assert '"RUN_STARTED"' in text
    assert "known to ag-ui" in text


def test_a_target_that_may_not_be_spoken_to_is_told() -> None:
    with pytest.raises(ConfigError, match=r"--allow-target 192\.0\.2\.1"):
        diagnosis.way_to("ws://192.0.2.1", "", "", "", "", ())
