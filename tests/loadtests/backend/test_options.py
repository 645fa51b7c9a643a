"""Options: safe defaults, and certificates that are checked before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from loadtests.backend.__main__ import parse
from loadtests.backend.options import ServerOptions, argv_of, server_tls, shares_of
from loadtests.errors import ConfigError


def test_by_default_it_is_on_loopback_in_memory_and_without_defect() -> None:
    options = ServerOptions()
    assert (options.host, options.port, options.db, options.defect) == ("127.0.0.1", 0, ":memory:", "")
    assert server_tls(options) is None


def test_a_certificate_and_its_key_make_a_server_context(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("chat.test")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = server_tls(ServerOptions(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem"))
    assert isinstance(context, ssl.SSLContext)
    with pytest.raises(ConfigError, match="--tls-cert"):
        server_tls(ServerOptions(tls_cert=tmp_path / "key.pem", tls_key=tmp_path / "cert.pem"))


def test_shares_of_outcomes_are_read_and_impossible_ones_refused() -> None:
    assert shares_of([]) == {}
    assert shares_of(["degraded=0.1", "throttled=0.9"]) == {"degraded": 0.1, "throttled": 0.9}
    for texts in (["degrade=0.1"], ["degraded"], ["degraded=much"], ["failed=-0.1"], ["failed=0.6", "refused=0.6"]):
        with pytest.raises(ConfigError, match="--outcome"):
            shares_of(texts)


def test_another_process_gets_the_same_options() -> None:
    options = ServerOptions(
        port=9, db="log.db", seed=3, defect="silent", shape="data", require_token=True, outcomes={"failed": 0.1, "refused": 0.2},
        event_versions=("0", "1"), ping_interval_s=2.0, ping_timeout_s=3.0, tls_cert=Path("c.pem"),
        era_file=Path("era"), node="node-7", member=True,
        goodbye_code=1001, drain_spread_s=0.5,
    )  # fmt: skip
    assert parse(argv_of(options)) == (options, False)
    assert parse(argv_of(ServerOptions())) == (ServerOptions(), False)
