"""The end of all chaos: disable, delete the proxy with all its toxics, verify, end the process; then say so.

A command of the user's that was not reverted is left behind too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chaos.listeners import Listener
from chaos.revert import pending
from chaos.toxiproxy import ControlError, Gone
from loadtests.journal import Journal

__all__ = ["teardown"]


def teardown(listeners: Iterable[Listener], journal: Journal, ledger: Path | None = None) -> bool:
    """True when nothing of ours is left in any Toxiproxy, no process of ours runs, and no command waits to be reverted;
    ``ledger`` is where the commands stand, and the journal's own file.
    """
    left = []
    shut = [(listener, _shut(listener)) for listener in listeners]
    # What hangs goes last, so that it keeps no other.
    for listener, trouble in sorted(shut, key=lambda one: bool(one[1])):
        there = _delete(listener, trouble)
        listener.close()
        # what a private process held went with it
        if listener.server is None:
            left += there
        elif listener.server.alive:
            left.append(f"toxiproxy-server {listener.server.pid} ({listener.cohort})")
    if ledger is not None:
        left += [
            f"command of {one.id}: {'its revert failed' if one.tried else 'not reverted'}" for one in pending(ledger)
        ]
    journal.append("cleanup", ok=not left, left=left)
    return not left


def _shut(listener: Listener) -> list[str]:
    """Close it, at once and without a look at what is there: what hangs answers no question, and is closed all the same."""
    # Toxics are not taken off one by one: under a stalled reader, or after a disable while a jam holds two pieces, that
    # hangs for good, and on a Toxiproxy that is not ours it would hang for others too.
    try:
        listener.control.disable(listener.proxy)
    except Gone:
        pass
    except ControlError as error:
        return [str(error)]
    return []


def _delete(listener: Listener, trouble: list[str]) -> list[str]:
    """What is still there."""
    control, name = listener.control, listener.proxy
    if trouble and listener.server is None and not control.can_be_deleted(name):
        return [f"{name}: it hangs, and Toxiproxy at {control.url} would hang for all by a delete: restart it by hand"]
    try:
        control.delete(name)
    except ControlError as error:
        trouble = [*trouble, str(error)]
    else:
        return []
    try:
        return trouble if control.proxy(name) is not None else []
    except ControlError as error:
        return [*trouble, str(error)]
