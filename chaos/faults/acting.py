"""How a fault that the clients themselves make is judged: by what the load processes wrote down."""

from __future__ import annotations

from chaos.faults.fault import ACTS, Acted, Bite

__all__ = ["judge_acts"]


def judge_acts(acted: Acted) -> Bite:
    """Confirmed when sessions did it; absent when the load processes say that none did."""
    measured = {
        "what": "sessions that did it",
        "unit": "sessions",
        "value": acted.sessions,
        "of": acted.of,
        "back": acted.ended,
    }
    if not acted.lines:
        return Bite("not-probed", measured | {"reason": "the load processes wrote nothing about it"}, ACTS)
    return Bite("confirmed" if acted.sessions else "absent", measured, ACTS)
