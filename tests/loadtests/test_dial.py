"""Where a connection goes and what it says there are two things; neither ever shows a token."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
import trustme

from loadtests.contract.schema import Auth, Endpoint
from loadtests.dial import Target, tls_context
from loadtests.errors import ConfigError

ENDPOINT = Endpoint(path="/ws", query={"resume": "cursor"})
TOKEN = "hush.a+b/c=="


def target(url: str, resolve: str = "") -> Target:
    return Target.parse(url, ENDPOINT, resolve)


@pytest.mark.parametrize(
    ("url", "address", "uri", "origin"),
    [
        ("ws://localhost:8000", ("localhost", 8000), "ws://localhost:8000/ws?resume=cursor", "http://localhost:8000"),
        ("ws://localhost:8000/", ("localhost", 8000), "ws://localhost:8000/ws?resume=cursor", "http://localhost:8000"),
        ("ws://h/own/path", ("h", 80), "ws://h/own/path?resume=cursor", "http://h"),
        ("wss://h", ("h", 443), "wss://h/ws?resume=cursor", "https://h"),
        ("wss://h:8443/x", ("h", 8443), "wss://h:8443/x?resume=cursor", "https://h:8443"),
        ("ws://[::1]:9/x", ("::1", 9), "ws://[::1]:9/x?resume=cursor", "http://[::1]:9"),
        ("ws://HOST/x", ("host", 80), "ws://host/x?resume=cursor", "http://host"),
    ],
)
def test_a_target_is_an_address_and_an_identity(url: str, address: tuple[str, int], uri: str, origin: str) -> None:
    dial = target(url).dial(Auth(), None, None)
    assert (dial.address, dial.uri, dial.origin) == (address, uri, origin)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://h", "is no WebSocket URL"),
        ("h:80", "is no WebSocket URL"),
        ("ws://", "is no WebSocket URL"),
        ("", "is no WebSocket URL"),
        ("ws://h:port", "expected ws://HOST:PORT/PATH"),
        ("ws://h:99999", "expected ws://HOST:PORT/PATH"),
        ("ws://[::1", "expected ws://HOST:PORT/PATH"),
        ("ws://ann:secret@h", "credentials in the URL; expected --token-env VAR"),
        ("ws://ann:secret@h:port", "expected ws://HOST:PORT/PATH"),
        ("http://ann:secret@h", "is no WebSocket URL"),
        ("http://h?apikey=hush", "is no WebSocket URL"),
        ("ws://h:port?apikey=hush", "expected ws://HOST:PORT/PATH"),
        (
            "ws://h/x?apikey=hush",
            "give secrets by --token-env; fixed parameters belong in the contract's endpoint.query",
        ),
        ("ws://h/x#hush", "came with a query"),
    ],
)
def test_what_is_no_target_is_told(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        target(url)
    assert words in str(caught.value)
    assert not re.search("secret(?!s by)|hush", str(caught.value))


def test_resolve_changes_the_address_and_nothing_else() -> None:
    dial = target("wss://chat.example", "chat.example=127.0.0.1").dial(Auth(), None, None)
    assert (dial.address, dial.server_name, dial.origin) == (("127.0.0.1", 443), "chat.example", "https://chat.example")
    assert target("wss://chat.example", "other.example=127.0.0.1").address == "chat.example"


@pytest.mark.parametrize("resolve", ["chat.example", "chat.example="])
def test_a_bad_resolve_is_told(resolve: str) -> None:
    with pytest.raises(ConfigError, match="HOST=ADDRESS"):
        target("wss://chat.example", resolve)


def test_another_address_keeps_the_identity() -> None:
    dial = target("wss://chat.example").dial(Auth(), None, None)
    moved = dial.via(("127.0.0.1", 9))
    assert (moved.address, moved.uri, moved.server_name) == (("127.0.0.1", 9), dial.uri, dial.server_name)


@pytest.mark.parametrize(
    ("auth", "headers", "subprotocols", "uri_end"),
    [
        (Auth(mode="none"), (), (), "?resume=cursor"),
        (Auth(mode="subprotocol", value="jwt.{token}"), (), (f"jwt.{TOKEN}",), "?resume=cursor"),
        (Auth(mode="header", value="Bearer {token}"), (("Authorization", f"Bearer {TOKEN}"),), (), "?resume=cursor"),
        (Auth(mode="header", name="X-Key"), (("X-Key", TOKEN),), (), "?resume=cursor"),
        (Auth(mode="query"), (), (), "?resume=cursor&token=hush.a%2Bb/c%3D%3D"),
        (Auth(mode="query", name="my key"), (), (), "&my%20key=hush.a%2Bb/c%3D%3D"),
    ],
)
def test_a_token_goes_where_the_contract_says(
    auth: Auth, headers: tuple[tuple[str, str], ...], subprotocols: tuple[str, ...], uri_end: str
) -> None:
    dial = target("ws://h").dial(auth, TOKEN, None)
    assert (dial.headers, dial.subprotocols) == (headers, subprotocols)
    assert dial.uri.endswith(uri_end)
    assert "hush" not in repr(dial)
    assert "hush" not in repr([dial])


@pytest.mark.parametrize("mode", ["subprotocol", "header", "query"])
def test_without_a_token_no_credentials_are_offered(mode: str) -> None:
    dial = target("ws://h").dial(Auth(mode=mode), None, None)  # type: ignore[arg-type]
    assert (dial.headers, dial.subprotocols, dial.uri) == ((), (), "ws://h/ws?resume=cursor")


@pytest.mark.parametrize(
    ("auth", "token", "headers"),
    [
        (Auth(mode="header", value="Ticket {ticket}"), None, (("Authorization", "Ticket tick&1"),)),
        (Auth(mode="header", value="{token} {ticket}"), None, ()),
        (Auth(mode="header", value="{token} {ticket}"), "t", (("Authorization", "t tick&1"),)),
        (Auth(mode="header", value="{other}"), "t", ()),
        (Auth(mode="header", value="fixed"), None, ()),
        (Auth(mode="header", value="fixed"), "t", (("Authorization", "fixed"),)),
    ],
)
def test_a_taken_value_is_a_credential_of_its_own(
    auth: Auth, token: str | None, headers: tuple[tuple[str, str], ...]
) -> None:
    assert target("ws://h").dial(auth, token, None, {"ticket": "tick&1"}).headers == headers


def test_taken_values_fill_path_and_query() -> None:
    endpoint = Endpoint(path="/room/{room}/ws", query={"ticket": "{ticket}", "v": "2"})
    dial = Target.parse("ws://h", endpoint).dial(Auth(), None, None, {"room": "a/b", "ticket": "x&y=z"})
    assert dial.uri == "ws://h/room/a%2Fb/ws?ticket=x%26y%3Dz&v=2"


def test_what_is_not_taken_yet_leaves_nothing() -> None:
    """The calls of a prelude go to the same address, before there is anything to fill in."""
    dial = Target.parse("ws://h:9", Endpoint(path="/{room}", query={"t": "{ticket}"})).dial(Auth(), None, None)
    assert (dial.address, dial.netloc, dial.uri) == (("h", 9), "h:9", "ws://h:9/?t=")


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("wss://chat.example/s/1?key=k", "wss://chat.example/s/1?key=k&v=2"),
        ("https://chat.example/s/1", "wss://chat.example/s/1?v=2"),
        ("/s/1?key=k", "wss://chat.example/s/1?key=k&v=2"),
        ("s/1", "wss://chat.example/s/1?v=2"),
        ("", "wss://chat.example/?v=2"),
    ],
)
def test_a_backend_may_give_a_session_its_whole_url(given: str, uri: str) -> None:
    one = Target.parse("wss://chat.example", Endpoint(path="{url}", query={"v": "2"}))
    assert one.dial(Auth(), None, None, {"url": given}).uri == uri


def test_a_url_on_another_host_is_refused() -> None:
    """Faults are injected on the way to the target; elsewhere nothing would be tested."""
    one = Target.parse("wss://chat.example", Endpoint(path="{url}"))
    with pytest.raises(ConfigError, match=r"the backend gave a URL on other.example; expected one on chat.example"):
        one.dial(Auth(), None, None, {"url": "wss://other.example/s?key=hush"})
    local = Target.parse("ws://127.0.0.1:9", Endpoint(path="{url}"))
    assert local.dial(Auth(), None, None, {"url": "ws://localhost:8/s"}).uri == "ws://127.0.0.1:9/s"


def test_a_contracts_own_subprotocols_are_offered_first_and_always() -> None:
    one = Target.parse("ws://h", Endpoint(subprotocols=["chat", "chat2"]))
    assert one.dial(Auth(), None, None).subprotocols == ("chat", "chat2")
    assert one.dial(Auth(mode="subprotocol", value="jwt.{token}"), "t", None).subprotocols == ("chat", "chat2", "jwt.t")


@pytest.mark.parametrize(
    ("url", "netloc"), [("ws://h", "h"), ("ws://h:81", "h:81"), ("wss://h:443", "h"), ("ws://[::1]:9", "[::1]:9")]
)
def test_the_host_header_names_a_port_that_is_not_the_default(url: str, netloc: str) -> None:
    assert target(url).dial(Auth(), None, None).netloc == netloc


def test_the_shown_url_has_no_query() -> None:
    assert Target.parse("ws://h/x", Endpoint(query={"token": "hush"})).url == "ws://h/x"


def test_tls_checks_certificate_and_name(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca))
    context = tls_context("wss", ca)
    assert context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1
    assert tls_context("ws", ca) is None


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_ca_file_that_cannot_be_used_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="a PEM file with CA certificates"):
        tls_context("wss", path)


@pytest.mark.parametrize("url", ["ws://[::1/hush", "ws://h/hush HTTP/1.1", "ws://h/hush\u2028", "ws://[hush]/x"])
def test_a_servers_url_that_is_none_is_told_and_not_repeated(url: str) -> None:
    one = Target.parse("ws://h", Endpoint(path="{url}"))
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        one.dial(Auth(), None, None, {"url": url})
    assert "hush" not in str(caught.value)
