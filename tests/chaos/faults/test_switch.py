from __future__ import annotations

import pytest

from chaos.faults import Acted, Measured
from tests.chaos.faults.examples import CALM, fault

MOVED = Acted(lines=1, sessions=4, of=4)


@pytest.mark.parametrize(
    ("during", "effect"),
    [
        (Measured(acted=MOVED, held_ms=(900.0,)), "confirmed"),
        (Measured(acted=MOVED, answered_ms=(1.0,)), "absent"),
        (Measured(acted=Acted(lines=1, of=4), held_ms=(900.0,)), "absent"),
        (Measured(held_ms=(900.0,)), "not-probed"),
        (Measured(acted=MOVED), "not-probed"),
    ],
    ids=str,
)
def test_sessions_moved_and_the_old_way_jammed(during, effect):
    assert fault(kind="switch").judge(CALM, during).effect == effect


def test_it_needs_another_listener():
    assert fault(kind="switch").extra == "alt"
