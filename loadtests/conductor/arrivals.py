"""When a canary's pings arrived at the embedded backend, by its own words."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loadtests.conductor.questions import ask
from loadtests.pings import PATH

__all__ = ["heard_at"]


class _Said(msgspec.Struct, frozen=True):
    arrivals: list[tuple[int, int]]


def heard_at(url: str, name: bytes) -> Mapping[int, int]:
    """Number of the ping -> when it arrived, in ns of the monotonic clock; empty when the backend does not say."""
    try:
        return dict(msgspec.convert(ask(url, f"{PATH}?of={name.hex()}"), _Said).arrivals)
    except msgspec.ValidationError:
        return {}
