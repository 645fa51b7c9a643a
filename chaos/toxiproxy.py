"""Typed control of one Toxiproxy server: deadlines, validation before a write, read-back after it, only our proxies.

Built on toxiproxy-python's APIConsumer; never calls ``/reset`` or ``/populate``, which touch other people's proxies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from chaos.faults.fault import Toxic
from loadtests.errors import ConfigError, RigError

__all__ = ["ARMED", "Control", "ControlError", "Gone", "ProxyState", "Refused", "ToxicState", "Wedged"]

DEADLINE_S = 1.0
#: toxics with all their attributes and bounds: Toxiproxy itself takes a misspelt attribute and then does nothing
ATTRIBUTES: dict[str, dict[str, range]] = {
    "latency": {"latency": range(60_001), "jitter": range(60_001)},
    "bandwidth": {"rate": range(10_000_001)},
    "timeout": {"timeout": range(600_001)},
    "slicer": {"average_size": range(1, 65_537), "size_variation": range(65_536), "delay": range(1_000_001)},
    "limit_data": {"bytes": range(1, 1_000_000_001)},
    "slow_close": {"delay": range(600_001)},
    "reset_peer": {"timeout": range(1)},
}
#: with this on the chain, whatever its toxicity, connections end by RST when the listener is closed
ARMED = "armed"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")
REFUSALS: dict[type[Exception], str] = {ProxyExists: "exists already", NotFound: "not found", InvalidToxic: "invalid"}


class ControlError(RigError):
    """A call was refused, or what was read back is not what was written."""


class Refused(ControlError):  # noqa: N818  # an answer of the server
    """Toxiproxy said no, so nothing was done."""


class Gone(Refused):
    """There is no such proxy, or no such toxic."""


class Wedged(ControlError):  # noqa: N818  # a state of the server, not a mistake of the caller
    """The control plane hangs or is gone; only a restart of the process helps."""


@dataclass(frozen=True, slots=True)
class ToxicState:
    name: str
    toxic: Toxic
    toxicity: float


@dataclass(frozen=True, slots=True)
class ProxyState:
    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicState, ...]


class Control:
    """The control plane at ``url``, for proxies whose names begin with ``prefix``."""

    def __init__(self, url: str, prefix: str, deadline_s: float = DEADLINE_S) -> None:
        host, port = _address(url)
        self.url, self.prefix, self.deadline_s = url, prefix, deadline_s
        # the library keeps its address in the class: a class of our own for each server
        self._api: Any = type("Api", (APIConsumer,), {"host": f"[{host}]" if ":" in host else host, "port": port})

    def version(self) -> str:
        """What the server says; "git" when it was built with ``go install``."""
        text = self._call("version", self._api.get, "/version").strip()
        found = re.search(r'"version"\s*:\s*"([^"]*)"', text)
        return found[1] if found else text

    def proxies(self) -> dict[str, ProxyState]:
        """All of ours; others are left out."""
        answer = self._json("list", self._api.get, "/proxies")
        return {name: _proxy(name, state) for name, state in answer.items() if name.startswith(self.prefix)}

    def proxy(self, name: str) -> ProxyState | None:
        """One of ours, asked for by itself: while another hangs, the list of all hangs with it."""
        if not name.startswith(self.prefix):
            return None
        try:
            return _proxy(name, self._json(f"look at {name}", self._api.get, f"/proxies/{_valid(name)}"))
        except Gone:
            return None

    def create(self, name: str, listen: str, upstream: str) -> ProxyState:
        body = {"name": self._ours(name), "listen": listen, "upstream": upstream, "enabled": True}
        self._call(f"create {name}", self._api.post, "/proxies", json=body)
        state = self._read(name)
        self._same(f"create {name}", (listen, upstream, True), (state.listen, state.upstream, state.enabled))
        return state

    def delete(self, name: str) -> None:
        """Gone afterwards, also when it was gone before."""
        self._gone(f"delete {name}", f"/proxies/{self._ours(name)}")
        self._same(f"delete {name}", None, self.proxy(name))

    def can_be_deleted(self, name: str) -> bool:
        """False: the proxy hangs, with a client in its door. A delete would hang too, and hold the list of all proxies for
        good, so that no call about any proxy is answered any more.
        """
        try:
            # No address, so it changes nothing; and it is refused only by whoever got hold of the proxy, as a delete must.
            self._call(f"ask {name}", self._api.post, f"/proxies/{self._ours(name)}", json={"listen": "nowhere"})
        except Wedged:
            return False
        except ControlError:
            return True
        return True

    def renew(self, name: str, without: str) -> None:
        """Delete and create it again: every connection ends, and toxics whose names begin with ``without`` are gone."""
        old = self._read(name)
        self.delete(name)
        self.create(name, old.listen, old.upstream)
        for toxic in old.toxics:
            if toxic.name == ARMED:
                self.arm(name)
            elif not toxic.name.startswith(without):
                self.add_toxic(name, toxic.name, toxic.toxic)

    def enable(self, name: str) -> None:
        self._switch(name, enabled=True)

    def disable(self, name: str) -> None:
        self._switch(name, enabled=False)

    def add_toxic(self, proxy: str, name: str, toxic: Toxic) -> ToxicState:
        body = {"name": _valid(name), "type": toxic.type, "stream": toxic.stream, "toxicity": 1.0}
        body["attributes"] = _checked(toxic)
        self._call(f"add {name}", self._api.post, f"/proxies/{self._ours(proxy)}/toxics", json=body)
        return self._bites(proxy, name, toxic)

    def update_toxic(self, proxy: str, name: str, toxic: Toxic) -> ToxicState:
        body = {"toxicity": 1.0, "attributes": _checked(toxic)}
        self._call(f"update {name}", self._api.post, f"/proxies/{self._ours(proxy)}/toxics/{_valid(name)}", json=body)
        return self._bites(proxy, name, toxic)

    def remove_toxic(self, proxy: str, name: str) -> None:
        """Gone afterwards, also when it was gone before."""
        self._gone(f"remove {name}", f"/proxies/{self._ours(proxy)}/toxics/{_valid(name)}")
        state = self.proxy(proxy)
        self._same(f"remove {name}", [], [t for t in state.toxics if t.name == name] if state else [])

    def arm(self, proxy: str) -> None:
        """Connections that begin from now on will end by RST. The toxic itself never acts: its toxicity is 0."""
        body = {
            "name": ARMED,
            "type": "reset_peer",
            "stream": "downstream",
            "toxicity": 0.0,
            "attributes": {"timeout": 0},
        }
        self._call(f"arm {proxy}", self._api.post, f"/proxies/{self._ours(proxy)}/toxics", json=body)
        found = [(t.toxic, t.toxicity) for t in self._read(proxy).toxics if t.name == ARMED]
        self._same(f"arm {proxy}", [(Toxic("reset_peer", "downstream", (("timeout", 0),)), 0.0)], found)

    def _bites(self, proxy: str, name: str, toxic: Toxic) -> ToxicState:
        state = next((t for t in self._read(proxy).toxics if t.name == name), None)
        self._same(f"toxic {name}", (toxic, 1.0), state and (state.toxic, state.toxicity))
        return ToxicState(name, toxic, 1.0)

    def _switch(self, name: str, *, enabled: bool) -> None:
        doing = f"{'enable' if enabled else 'disable'} {name}"
        self._call(doing, self._api.post, f"/proxies/{self._ours(name)}", json={"enabled": enabled})
        self._same(doing, enabled, self._read(name).enabled)

    def _read(self, name: str) -> ProxyState:
        state = self.proxy(name)
        if state is None:
            raise Gone(f"Toxiproxy at {self.url}: {name} is gone")
        return state

    def _same(self, doing: str, wanted: object, found: object) -> None:
        if wanted != found:
            raise ControlError(f"Toxiproxy at {self.url}: {doing}: wrote {wanted}, read back {found}")

    def _ours(self, name: str) -> str:
        if not name.startswith(self.prefix):
            raise ControlError(f"{name} is not a proxy of this run ({self.prefix}…), so it is not touched")
        return _valid(name)

    def _gone(self, doing: str, path: str) -> None:
        self._call(doing, self._api.delete, path, absent_is_fine=True)

    def _json(self, doing: str, method: Callable[..., Any], path: str) -> dict[str, Any]:
        try:
            answer = json.loads(self._call(doing, method, path))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ControlError(f"{self.url} does not answer as Toxiproxy does; check --toxiproxy-url")
        return answer

    def _call(
        self, doing: str, method: Callable[..., Any], path: str, *, absent_is_fine: bool = False, **body: Any
    ) -> str:
        """One call, within the deadline.

        Raises:
            Wedged: it hung, answered 503, or nobody listens.
            Gone: there is no such thing.
            Refused: it was refused.
        """
        where = f"Toxiproxy at {self.url}: {doing}"
        try:
            # an empty proxy keeps the environment's HTTP_PROXY away from loopback
            response = method(path, timeout=self.deadline_s, proxies={"http": "", "https": ""}, **body)
        except requests.RequestException as error:
            what = f"no answer in {self.deadline_s:g} s" if isinstance(error, requests.Timeout) else "nobody answers"
            raise Wedged(f"{where}: {what}") from None
        except NotFound as error:
            if absent_is_fine:
                return ""
            raise Gone(f"{where}: not found ({_words(error)})") from None
        except (ProxyExists, InvalidToxic) as error:
            raise Refused(f"{where}: {REFUSALS[type(error)]} ({_words(error)})") from None
        if response.status_code == requests.codes.service_unavailable:
            raise Wedged(f"{where}: 503, the control plane hangs")
        if not response.ok:
            raise Refused(f"{where}: {response.status_code} ({response.text.strip()[:200]})")
        return str(response.text)


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    else:
        if parts.scheme != "http" or parts.username or parts.path not in {"", "/"} or parts.query:
            host = None
    if not host or not port:
        raise ConfigError("--toxiproxy-url", "", f"{url!r} is no Toxiproxy address", "http://HOST:PORT")
    return host, port


def _valid(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ControlError(f"{name!r} cannot be a name in Toxiproxy")
    return name


def _checked(toxic: Toxic) -> Mapping[str, int]:
    known = ATTRIBUTES.get(toxic.type)
    given = dict(toxic.attributes)
    if known is None:
        raise ControlError(f"unknown toxic {toxic.type!r}; one of {', '.join(sorted(ATTRIBUTES))}")
    if given.keys() != known.keys():
        raise ControlError(f"toxic {toxic.type}: attributes {sorted(given)}, expected {sorted(known)}")
    for name, value in given.items():
        if value not in known[name]:
            raise ControlError(
                f"toxic {toxic.type}: {name} = {value}, expected {known[name].start} to {known[name].stop - 1}"
            )
    if toxic.type == "slicer" and given["size_variation"] >= given["average_size"]:
        # the server dies of it, by the first byte
        raise ControlError("toxic slicer: size_variation must be less than average_size")
    return given


def _proxy(name: str, state: Mapping[str, Any]) -> ProxyState:
    toxics = tuple(
        ToxicState(t["name"], Toxic(t["type"], t["stream"], tuple(sorted(t["attributes"].items()))), t["toxicity"])
        for t in state["toxics"]
    )
    return ProxyState(name, state["listen"], state["upstream"], state["enabled"], toxics)


def _words(error: Exception) -> str:
    content = error.args[0] if error.args else b""
    text = content.decode(errors="replace") if isinstance(content, bytes) else str(content)
    return text.strip()[:200]
