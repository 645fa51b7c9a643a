"""The end of all chaos: disable, delete the toxics, verify, delete the proxy, verify, end the process; then say so."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.listeners import Listener
from chaos.toxiproxy import ControlError
from loadtests.journal import Journal

__all__ = ["teardown"]


def teardown(listeners: Iterable[Listener], journal: Journal) -> bool:
    """True when nothing of ours is left in any Toxiproxy, and no process of ours runs."""
    left = []
    for listener in listeners:
        trouble = _take_down(listener)
        listener.close()
        # what a private process held went with it
        if listener.server is None:
            left += trouble
        elif listener.server.alive:
            left.append(f"toxiproxy-server {listener.server.pid} ({listener.cohort})")
    journal.append("cleanup", ok=not left, left=left)
    return not left


def _take_down(listener: Listener) -> list[str]:
    """What is still there; a step that fails does not keep the next one from being tried."""
    control, name = listener.control, listener.proxy
    try:
        state = control.proxy(name)
        if state is None:
            return []
        # first: deleting a toxic under a stalled reader hangs for good, a disable does not
        control.disable(name)
        for toxic in state.toxics:
            control.remove_toxic(name, toxic.name)
        read = control.proxy(name)
        toxics = [f"{name}: toxic {toxic.name}" for toxic in read.toxics] if read else []
    except ControlError as error:
        toxics = [str(error)]
    try:
        control.delete(name)
    except ControlError as error:
        return [*toxics, str(error)]
    return []
