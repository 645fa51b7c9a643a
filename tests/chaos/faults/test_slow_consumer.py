from __future__ import annotations

import pytest

from chaos.faults import Acted, Measured
from tests.chaos.faults.examples import CALM, fault


@pytest.mark.parametrize(
    ("acted", "effect"),
    [
        (Acted(lines=1, sessions=4, of=40, held_bytes=4 * 8_000_000), "confirmed"),
        (Acted(lines=1, sessions=4, of=40, held_bytes=4 * 1_000_000), "not-probed"),
        (Acted(lines=1, sessions=4, of=40), "not-probed"),
        (Acted(lines=1, of=40), "absent"),
        (Acted(), "not-probed"),
    ],
    ids=str,
)
def test_what_the_backend_cannot_have_felt_is_not_claimed(acted, effect):
    asked = fault(kind="slow-consumer", least_bytes=7_000_000)
    assert asked.judge(CALM, Measured(acted=acted)).effect == effect


def test_nothing_may_go_on_beside_a_stalled_reader():
    assert fault(kind="slow-consumer").group == "actor"
