"""The end of all chaos: disable, delete the proxy with all its toxics, verify, end the process; then say so."""

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
    trouble = []
    # Toxics are not taken off one by one: under a stalled reader, or after a disable while a jam holds two pieces, that
    # hangs for good, and on a Toxiproxy that is not ours it would hang for others too.
    for call in (control.disable, control.delete):
        try:
            if control.proxy(name) is None:
                return []
            call(name)
        except ControlError as error:
            trouble.append(str(error))
    try:
        return trouble if control.proxy(name) is not None else []
    except ControlError as error:
        return [*trouble, str(error)]
