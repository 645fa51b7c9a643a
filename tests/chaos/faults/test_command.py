from __future__ import annotations

import pytest

from chaos.faults import Baseline, Measured, parse_fault

BEFORE = Baseline((1.0,) * 20, "answered", 9e7, 9e7, (1, 1, 1), 2.0)


def fault(**asked):
    return parse_fault(asked, "s.yaml", "f")


@pytest.mark.parametrize(("verified", "effect"), [(True, "confirmed"), (False, "absent"), (None, "not-probed")])
def test_the_users_own_verification_decides(verified, effect):
    assert fault(kind="command", apply=["x"]).judge(BEFORE, Measured(verified=verified)).effect == effect


def test_what_was_not_given_is_not_asked():
    assert fault(kind="command", apply=["a", "b"]).asked == {"apply": ["a", "b"], "timeout_s": 30}
