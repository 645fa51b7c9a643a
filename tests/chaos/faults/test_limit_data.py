from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured
from tests.chaos.faults.examples import CALM, fault

CUT = Measured(ended="window", ended_how="eof", bytes_down=500, bytes_up=700)


@pytest.mark.parametrize(
    ("direction", "before", "during", "effect"),
    [
        ("down", CALM, CUT, "confirmed"),
        ("down", CALM, Measured(ended="window", bytes_down=1_500), "absent"),
        ("down", CALM, Measured(ended="window", ended_how="eof", bytes_down=500, rate_down=9e5), "absent"),
        ("down", CALM, Measured(bytes_down=1_500), "absent"),
        ("down", CALM, Measured(bytes_down=300), "not-probed"),
        ("down", CALM, Measured(ended="before"), "not-probed"),
        ("down", Baseline(), CUT, "not-probed"),
        ("up", CALM, CUT, "confirmed"),
        ("up", CALM, Measured(ended="window", ended_how="reset", bytes_up=700), "confirmed"),
        ("up", CALM, Measured(ended="window", ended_how="eof", bytes_up=1_700, rate_up=9e5), "absent"),
        ("up", CALM, Measured(ended="window", ended_how="close 1001", bytes_up=1_700), "not-probed"),
        ("up", CALM, Measured(ended="window", ended_how="TimeoutError", bytes_up=1_700), "not-probed"),
        ("up", CALM, Measured(bytes_up=1_500), "absent"),
        ("both", CALM, CUT, "confirmed"),
        ("both", CALM, Measured(ended="window", ended_how="eof", bytes_up=600, rate_down=9e5), "absent"),
    ],
    ids=str,
)
def test_an_end_after_so_many_bytes_is_the_proof(direction, before, during, effect):
    assert fault(kind="limit-data", bytes=500, direction=direction).judge(before, during).effect == effect


def test_the_canary_is_asked_to_carry_more_than_is_allowed():
    ((way, size_bytes),) = fault(kind="limit-data", bytes=500).bursts(2_000)
    assert (way, size_bytes > 500) == ("down", True)
    assert fault(kind="limit-data", bytes=500, direction="up").bursts(2_000)[0][0] == "up"
