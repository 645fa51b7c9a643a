"""The peers' contract fits the frames of the peers' server, word by word as its source writes them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from loadtests.contract import load
from loadtests.contract.decoder import IDS
from tests.benchmarks.run import ours

PEERS = Path(__file__).parent / "peers"
SOURCE = (PEERS / "main.go").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", re.findall(r'"(\w+)"', re.search(r"kinds := \[\]string\{(.*)\}", SOURCE)[1]))  # type: ignore[index]
def test_the_contract_fits_every_frame_of_the_server(kind: str) -> None:
    contract = load(PEERS / "contract.yaml")
    template = re.search(r'Sprintf\(`(\{"type":"%s".*?)`', SOURCE)[1]  # type: ignore[index]
    frame = re.split("%[sd]", template)
    values = [kind, "7-3", "1", "4", "4"]
    raw = "".join(part + value for part, value in zip(frame, [*values, ""], strict=True))
    index, standing, schema_bits, recovered, raw_type, ids = contract.decode(raw.encode())
    assert (contract.label(index), standing, schema_bits, recovered, raw_type) == (kind, 0, 0, False, kind)
    assert (ids[IDS.index("turn")], ids[IDS.index("cursor")]) == ("7-3", 4)
    assert contract.events[index - 1].demanded


def test_the_contract_fits_a_chunk_of_a_long_stream() -> None:
    contract = load(PEERS / "contract.yaml")
    template = re.search(r'Sprintf\(`(\{"type":"message_chunk".*?)`', SOURCE)[1]  # type: ignore[index]
    seen = contract.decode((template.replace("%s", "7-3").replace("%d", "4")).encode())
    assert (contract.label(seen[0]), seen[1:3], seen[4]) == ("message_chunk", (0, 0), "message_chunk")
    assert not contract.events[seen[0] - 1].demanded


def test_the_query_of_a_measurement_stands_in_our_contract_and_not_in_the_url(tmp_path: Path) -> None:
    for mode, path in re.findall(r"(\w+)\) S=.* path='?([^' ]+)'? ;;", (PEERS / "measure").read_text()):
        command = ours(tmp_path, mode)
        query = load(tmp_path / "contract.yaml").file.endpoint.query
        assert "&".join(f"{key}={value}" for key, value in query.items()) == path.partition("?")[2]
        shell = f"set -- {command}; shift $(($# - 1)); echo $1"
        env = {"URL": f"ws://127.0.0.1:1{path}", "S": "1"}
        done = subprocess.run(["bash", "-c", shell], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "ws://127.0.0.1:1/ws"


def test_it_asks_for_no_welcome_no_token_and_no_resume() -> None:
    contract = load(PEERS / "contract.yaml")
    assert (contract.file.handshake.ready, contract.file.auth.mode, contract.resumes) == ("", "none", False)
    assert contract.has_cursor
