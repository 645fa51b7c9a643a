from __future__ import annotations

import pytest

from chaos.faults import Measured
from tests.chaos.faults.examples import CALM, fault


@pytest.mark.parametrize(("verified", "effect"), [(True, "confirmed"), (False, "absent"), (None, "not-probed")])
def test_the_users_own_verification_decides(verified, effect):
    assert fault(kind="command", apply=["x"]).judge(CALM, Measured(verified=verified)).effect == effect


def test_what_was_not_given_is_not_asked():
    assert fault(kind="command", apply=["a", "b"]).asked == {"apply": ["a", "b"], "timeout_s": 30}


def test_why_nothing_was_verified_is_said():
    reasons = [
        fault(kind="command", apply=["x"], **more).judge(CALM, Measured()).measured["reason"]
        for more in ({}, {"verify": ["y"]})
    ]
    assert reasons == ["the fault has no verify command", "it was stopped before it was verified"]


def test_programs_that_this_machine_lacks_are_named_once_and_are_no_error_of_a_plan(tmp_path):
    script = tmp_path / "script"
    script.touch()
    asked = {"apply": ["no-such-one", "x"], "verify": ["true"], "revert": [str(script)]}
    assert fault(kind="command", **asked).missing() == ["no-such-one", str(script)]
    script.chmod(0o755)
    assert fault(kind="command", **{**asked, "verify": ["no-such-one"]}).missing() == ["no-such-one"]
    assert fault(kind="command", apply=["true"]).missing() == []
