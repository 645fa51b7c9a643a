"""``wss://`` through Toxiproxy: the listener's address is not the target's identity, and the certificate is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from loadtests.history import COHORTS, RowKind
from loadtests.rundir import read_run
from tests.live.gauntlet import CHAOS, Ended, backend, gauntlet, scenario

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder: Path = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    issued = ca.issue_cert("chat.test")
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    with backend("--tls-cert", folder / "cert.pem", "--tls-key", folder / "key.pem") as url:
        port = url.rpartition(":")[2].partition("/")[0]
        return gauntlet(
            "run", scenario(folder / "short.yaml", CHAOS), "--contract", "reference", "--target", f"wss://chat.test:{port}/ws",
            "--resolve", "chat.test=127.0.0.1", "--ca", folder / "ca.pem", cwd=folder,
        )  # fmt: skip


def test_it_is_go_in_both_cohorts(secured: Ended) -> None:
    assert (secured.code, secured.ids) == (0, set()), secured
    data = read_run(secured.run)
    ready = data.rows[data.rows["kind"] == RowKind.READY]
    assert {COHORTS[cohort] for cohort in ready["cohort"]} == {"control", "treated"}


def test_the_fault_bit_under_tls_too_and_everybody_came_back(secured: Ended) -> None:
    (fault,) = secured.verdict["faults"]
    assert (fault["effect"], fault["disconnected"], fault["unrecovered"]) == ("confirmed", 15, 0)
    assert secured.checks["honesty"]["samples"] > 0
