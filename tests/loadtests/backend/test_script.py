"""A step says of itself that it is no planted one."""

from __future__ import annotations

from loadtests.backend.script import Step


def test_a_plain_step_is_delivered_once_under_its_roles_own_name() -> None:
    step = Step(delay_ms=1.0, role="started", agent="a")
    assert (step.deliveries, step.close_code, step.overtaken) == (1, 0, False)
    assert not any((step.kind, step.planted_kind, step.run_id, step.version, step.astray, step.raw_frame))
