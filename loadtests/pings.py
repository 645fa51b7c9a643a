"""What a canary writes into its pings, so that a backend of ours can tell when each of them arrived.

A round trip cannot tell up from down; with the time of arrival, from the clock that both read on one host, each way can be told.
"""

from __future__ import annotations

import os

__all__ = ["CANARY", "PATH", "PING_BYTES", "named", "new_name", "numbered"]

#: what a canary calls itself, since it is no user: the upgrade request's User-Agent
CANARY = "gauntlet-canary"
#: where the embedded backend tells of arrivals: ``?of=`` and a name, in hexadecimal
PATH = "/ws/arrivals"
NAME_BYTES, NUMBER_BYTES = 4, 4
#: of a payload that nothing fills up
PING_BYTES = NAME_BYTES + NUMBER_BYTES


def new_name() -> bytes:
    return os.urandom(NAME_BYTES)


def numbered(name: bytes, number: int) -> bytes:
    """The payload of a canary's ping."""
    return name + number.to_bytes(NUMBER_BYTES, "big")


def named(payload: bytes) -> tuple[bytes, int] | None:
    """Whose ping it is, and its number; whatever fills it up is not read. None: it is no canary's."""
    if len(payload) < PING_BYTES:
        return None
    return payload[:NAME_BYTES], int.from_bytes(payload[NAME_BYTES:PING_BYTES], "big")
