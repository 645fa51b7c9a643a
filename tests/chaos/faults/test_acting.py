from __future__ import annotations

import pytest

from chaos.faults import Acted
from chaos.faults.acting import judge_acts


@pytest.mark.parametrize(
    ("acted", "effect"),
    [(Acted(), "not-probed"), (Acted(lines=1, of=9), "absent"), (Acted(lines=1, sessions=1, of=9), "confirmed")],
    ids=str,
)
def test_nobody_is_not_the_same_as_nothing_written(acted, effect):
    assert judge_acts(acted).effect == effect
