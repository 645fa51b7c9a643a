from __future__ import annotations

import pytest

from chaos.faults import Measured
from tests.chaos.faults.examples import CALM, fault

ENDED = {"ended": "window", "ended_how": "eof"}


@pytest.mark.parametrize(
    ("kind", "during", "effect"),
    [
        ("backend-kill", Measured(**ENDED, fresh=("eof",) * 3), "confirmed"),
        ("backend-kill", Measured(**ENDED, fresh=("eof", "answered")), "absent"),
        ("backend-kill", Measured(answered_ms=(1.0,), fresh=("answered",)), "absent"),
        ("backend-kill", Measured(**ENDED), "not-probed"),
        ("backend-pause", Measured(held_ms=(900.0,)), "confirmed"),
        ("backend-pause", Measured(answered_ms=(1.0,)), "absent"),
        ("backend-pause", Measured(), "not-probed"),
        ("backend-restart", Measured(ended="window", ended_how="close 1001"), "confirmed"),
        ("backend-restart", Measured(answered_ms=(1.0,)), "absent"),
        ("backend-restart", Measured(ended="before"), "not-probed"),
    ],
    ids=str,
)
def test_the_live_connection_and_the_new_ones_tell(kind, during, effect):
    assert fault(kind=kind).judge(CALM, during).effect == effect


@pytest.mark.parametrize("kind", ["backend-kill", "backend-pause", "backend-restart"])
def test_everybody_meets_it(kind):
    assert (fault(kind=kind).place, fault(kind=kind).group) == ("backend", "actor")
