from __future__ import annotations

import pytest

from chaos.faults import Measured
from tests.chaos.faults.examples import CALM, fault


@pytest.mark.parametrize(("verified", "effect"), [(True, "confirmed"), (False, "absent"), (None, "not-probed")])
def test_the_users_own_verification_decides(verified, effect):
    assert fault(kind="command", apply=["x"]).judge(CALM, Measured(verified=verified)).effect == effect


def test_what_was_not_given_is_not_asked():
    assert fault(kind="command", apply=["a", "b"]).asked == {"apply": ["a", "b"], "timeout_s": 30}
