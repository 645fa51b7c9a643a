"""From the upgrade to the welcome: the contract's steps, in their order, each as soon as it can be done. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from loadtests.contract.compile import Contract
from loadtests.contract.decoder import at_path
from loadtests.contract.prelude import MOST_TAKEN

__all__ = ["Handshake", "json_of"]

NS_PER_MS = 1_000_000


def json_of(raw: bytes) -> Any:
    """What the bytes say, or None."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


class Handshake:
    """One session's; begun anew with each connection. ``values``: what was taken, for all that is sent later."""

    __slots__ = (
        "_contract",
        "_defaults",
        "_heard",
        "_learn",
        "_ready_type",
        "_step",
        "_steps",
        "_wall",
        "pause_until_ns",
        "values",
    )

    def __init__(
        self,
        contract: Contract,
        wall: Callable[[], str],
        defaults: Mapping[str, str],
        learn: Callable[[str], None] | None = None,
    ) -> None:
        self._contract = contract
        self._steps = contract.steps
        self._ready_type = contract.file.handshake.ready
        self._wall = wall
        #: is told what was taken, at once: it must not be shown
        self._learn = learn
        names = {name for step in self._steps if step.send is not None for name in step.send.names}
        self._defaults = {**dict.fromkeys(names, ""), **defaults}
        #: what a step or the welcome waits for, as far as it has come
        self._heard: dict[str, bytes] = {}
        self._step = 0
        self.pause_until_ns = 0
        self.values: dict[str, str] = {}

    def begin(self) -> None:
        """A new connection: what the last one's handshake gave is no longer true."""
        self._step = self.pause_until_ns = 0
        self._heard.clear()
        for name in self._contract.taken_by_steps:
            self.values.pop(name, None)

    def hear(self, kind: str, raw: bytes) -> None:
        """A frame; what a later step expects may come before its turn."""
        if kind in self._contract.awaited:
            self._heard.setdefault(kind, raw)
            if self._learn is not None and (paths := self._contract.hidden.get(kind)):
                data = json_of(raw)
                for text in filter(None, (_word(data, path) for path in paths)):
                    self._learn(text)

    def advance(self, at_ns: int, outbox: list[bytes]) -> bytes | None:
        """As many steps as can be done now. The welcome, if all is done: its frame, or nothing where none is needed.

        None: not yet.
        """
        while self._step < len(self._steps):
            step = self._steps[self._step]
            if step.expect:
                if step.expect not in self._heard:
                    return None
                if not self._take(step.take, self._heard[step.expect]):
                    return None  # it came without what it had to bring, and never will
            elif step.send is not None:
                outbox.append(step.send.render({**self._defaults, "now": self._wall(), **self.values}))
            elif not self.pause_until_ns:
                self.pause_until_ns = at_ns + step.pause_ms * NS_PER_MS
                return None
            elif at_ns < self.pause_until_ns:
                return None
            else:
                self.pause_until_ns = 0
            self._step += 1
        return self._heard.get(self._ready_type) if self._ready_type else b""

    def _take(self, names: Mapping[str, str], raw: bytes) -> bool:
        data = json_of(raw) if names else None
        for name, path in names.items():
            text = _word(data, path)
            if not text:
                return False
            self.values[name] = text
        return True


def _word(data: Any, path: str) -> str:
    """What stands at a path and can be taken; else nothing."""
    value = at_path(data, path)
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if len(text) <= MOST_TAKEN else ""
