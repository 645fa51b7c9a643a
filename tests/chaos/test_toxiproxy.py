"""The typed control plane against a real Toxiproxy: what it refuses, what it reads back, and what it never touches."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from chaos.faults import Toxic
from chaos.ports import free_port
from chaos.toxiproxy import ARMED, Control, ControlError, Gone, Wedged
from loadtests.errors import ConfigError

pytestmark = pytest.mark.live
LATENCY = Toxic("latency", "downstream", (("jitter", 0), ("latency", 100)))


@pytest.fixture
def control(toxiproxy):
    made = Control(toxiproxy.url, "gauntlet-r1-")
    made.create("gauntlet-r1-treated", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    return made


@pytest.fixture(autouse=True)
def hostile_environment(monkeypatch):
    """A proxy of the environment must not stand between us and loopback."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")


@pytest.fixture
def silent_server():
    """Accepts and never answers, as a wedged control plane does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []
        thread = threading.Thread(target=lambda: held.append(server.accept()), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for connection, _ in held:
            connection.close()


def test_a_toxic_is_written_read_back_updated_and_removed(control):
    proxy = "gauntlet-r1-treated"
    assert control.add_toxic(proxy, "w1", LATENCY).toxic == LATENCY
    slower = Toxic("latency", "downstream", (("jitter", 5), ("latency", 200)))
    assert control.update_toxic(proxy, "w1", slower).toxic == slower
    assert [(t.name, t.toxic, t.toxicity) for t in control.proxy(proxy).toxics] == [("w1", slower, 1.0)]
    control.remove_toxic(proxy, "w1")
    assert control.proxy(proxy).toxics == ()


def test_a_proxy_is_disabled_enabled_and_deleted(control):
    proxy = "gauntlet-r1-treated"
    control.disable(proxy)
    assert not control.proxy(proxy).enabled
    control.enable(proxy)
    assert control.proxy(proxy).enabled
    control.delete(proxy)
    assert control.proxies() == {}
    control.delete(proxy)


@pytest.mark.parametrize(
    ("toxic", "words"),
    [
        (Toxic("latency", "downstream", (("jitter", 0), ("latencyy", 100))), "latencyy"),
        (Toxic("latency", "downstream", (("latency", 100),)), "expected"),
        (Toxic("latency", "downstream", (("jitter", 0), ("latency", -1))), "latency = -1"),
        (Toxic("packet_loss", "downstream"), "unknown toxic"),
        (Toxic("slicer", "downstream", (("average_size", 0), ("delay", 0), ("size_variation", 0))), "average_size = 0"),
        (Toxic("slicer", "downstream", (("average_size", 8), ("delay", 0), ("size_variation", 8))), "less than"),
    ],
    ids=["misspelt", "missing", "negative", "unknown", "deadly", "deadly too"],
)
def test_what_toxiproxy_would_take_and_ignore_is_never_sent(control, toxic, words):
    with pytest.raises(ControlError, match=words):
        control.add_toxic("gauntlet-r1-treated", "w1", toxic)
    assert control.proxy("gauntlet-r1-treated").toxics == ()


def test_a_toxic_that_reads_back_otherwise_is_an_error(control, monkeypatch):
    """Somebody else changes it between the write and the read."""
    real = control._read

    def meddled(name):
        requests.post(
            f"{control.url}/proxies/{name}/toxics/w1",
            json={"attributes": {"latency": 1}},
            timeout=1,
            proxies={"http": ""},
        )
        return real(name)

    monkeypatch.setattr(control, "_read", meddled)
    with pytest.raises(ControlError, match="read back"):
        control.add_toxic("gauntlet-r1-treated", "w1", LATENCY)


def test_refusals_are_sentences(control):
    with pytest.raises(ControlError, match="exists already"):
        control.create("gauntlet-r1-treated", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    with pytest.raises(ControlError, match="not found"):
        control.disable("gauntlet-r1-other")
    port = int(control.url.rpartition(":")[2])
    with pytest.raises(ControlError, match=r"500.*in use"):
        control.create("gauntlet-r1-more", f"127.0.0.1:{port}", "127.0.0.1:9")


def test_foreign_proxies_are_neither_seen_nor_touched(control):
    stranger = Control(control.url, "")
    stranger.create("stranger", f"127.0.0.1:{free_port()}", "127.0.0.1:9")
    assert "stranger" not in control.proxies()
    for deed in (control.delete, control.disable, lambda name: control.add_toxic(name, "w1", LATENCY)):
        with pytest.raises(ControlError, match="not a proxy of this run"):
            deed("stranger")
    assert stranger.proxy("stranger").enabled


def test_a_server_that_hangs_is_wedged(silent_server):
    control = Control(silent_server, "gauntlet-r1-", deadline_s=0.2)
    with pytest.raises(Wedged, match=r"no answer in 0\.2 s"):
        control.proxies()


def test_a_server_that_is_gone_is_wedged():
    with pytest.raises(Wedged, match="nobody answers"):
        Control("http://127.0.0.1:1", "gauntlet-r1-").proxies()


def test_two_controls_do_not_share_an_address(control):
    """The library keeps its address in a class; ours must not."""
    Control("http://127.0.0.1:1", "gauntlet-r1-")
    assert control.version()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8474", "https://h:1", "http://h", "http://u:p@h:1", "http://h:1/x", "http://h:x"]
)
def test_an_url_that_is_none_says_what_is(url):
    with pytest.raises(ConfigError, match="http://HOST:PORT"):
        Control(url, "p")


@pytest.mark.parametrize("name", ["gauntlet-r1-a/b", "gauntlet-r1-?x", "gauntlet-r1-a b"])
def test_a_name_cannot_be_a_path(control, name):
    with pytest.raises(ControlError, match="cannot be a name"):
        control.delete(name)


def test_an_armed_listener_holds_a_toxic_that_never_acts(control):
    proxy = "gauntlet-r1-treated"
    control.arm(proxy)
    assert [(t.name, t.toxic.type, t.toxicity) for t in control.proxy(proxy).toxics] == [(ARMED, "reset_peer", 0.0)]


def test_nothing_ever_resets_or_populates_a_server(control, monkeypatch):
    """Either would touch what others have put there."""
    called = []
    send = requests.Session.request

    def note(self, method, url, *args, **more):
        called.append(urlsplit(url).path)
        return send(self, method, url, *args, **more)

    monkeypatch.setattr(requests.Session, "request", note)
    proxy = "gauntlet-r1-treated"
    control.arm(proxy)
    control.add_toxic(proxy, "w1", LATENCY)
    control.update_toxic(proxy, "w1", LATENCY)
    control.remove_toxic(proxy, "w1")
    control.disable(proxy)
    control.enable(proxy)
    control.delete(proxy)
    assert len(called) > 10
    assert not {"/reset", "/populate"} & set(called)


def test_a_renewed_listener_keeps_its_address_and_what_others_put_there(control):
    proxy = "gauntlet-r1-treated"
    control.arm(proxy)
    control.add_toxic(proxy, "w1-latency-downstream", LATENCY)
    control.add_toxic(proxy, "w2-latency-downstream", LATENCY)
    before = control.proxy(proxy)
    control.renew(proxy, without="w2-")
    after = control.proxy(proxy)
    assert (after.listen, after.upstream, after.enabled) == (before.listen, before.upstream, True)
    assert [toxic.name for toxic in after.toxics] == [ARMED, "w1-latency-downstream"]


def test_one_that_hangs_hides_no_other(toxiproxy, wedge):
    """The list of all hangs with it; another, asked for by itself, answers."""
    control = Control(toxiproxy.url, "gauntlet-r1-")
    wedge(control, "gauntlet-r1-control")
    assert control.create("gauntlet-r1-treated", f"127.0.0.1:{free_port()}", "127.0.0.1:9").enabled
    with pytest.raises(Wedged):
        control.proxies()
    with pytest.raises(Wedged):
        control.disable("gauntlet-r1-control")
    assert control.can_be_deleted("gauntlet-r1-control")
    control.delete("gauntlet-r1-control")
    assert list(control.proxies()) == ["gauntlet-r1-treated"]


def test_a_delete_that_would_hang_for_all_is_foreseen(toxiproxy, wedge):
    control = Control(toxiproxy.url, "gauntlet-r1-")
    wedge(control, "gauntlet-r1-control", knocking=True)
    with pytest.raises(Wedged):
        control.disable("gauntlet-r1-control")
    assert not control.can_be_deleted("gauntlet-r1-control")
    assert control.can_be_deleted("gauntlet-r1-treated")  # there is none, and asking did no harm


def test_what_is_gone_is_gone_and_not_an_error_of_the_server(control):
    with pytest.raises(Gone):
        control.enable("gauntlet-r1-other")
    assert control.proxy("gauntlet-r1-other") is None
    assert control.proxy("stranger") is None
