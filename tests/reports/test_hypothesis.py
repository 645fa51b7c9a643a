"""What an experiment expects against what happened, and in whose book a reconnect stands that nobody expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reports.hypothesis import expected_reconnects, experiment_result, unexpected
from reports.judgement import Cause
from tests.reports.stories import Story, window

JAM = window(5_000, 7_000, kind="jam", disconnects=False, may_disconnect=True)
SLOW = window(5_000, 7_000, kind="latency", disconnects=False)
SHORT = {"experiment": "jam-heal-short", "form": "short", "hypothesis": "Nobody\n  reconnects.", "recovery_s": 10.0}
CAUSES = (Cause(title="loss: gone", detail=""),)


def cut(code: int, at_ms: float = 6_000, users: int = 3, back_ms: float | None = 500) -> Story:
    story = Story()
    for user in range(users):
        story.connect(user, 100, "treated")
        story.close(user, at_ms, code)
        if back_ms is not None:
            story.connect(user, at_ms + back_ms)
        story.leave(user, 40_000)
    return story


@pytest.mark.parametrize(
    ("code", "windows", "invalid"),
    [
        (1011, [JAM], {"dead-peers"}),
        (1001, [JAM], {"dead-peers"}),
        (1001, [SLOW], {"dead-peers"}),
        (1006, [JAM], {"self"}),
        (1011, [SLOW], {"close"}),
        (1006, [SLOW], {"close"}),
    ],
)
def test_a_reconnect_that_nobody_expected_stands_in_one_book(
    code: int, windows: Sequence[Any], invalid: set[str]
) -> None:
    """The backend's close is its own; what broke without a word may be the rig's; what ``close`` counts is not told twice."""
    checks = cut(code).assess(*windows, lasting=True).checks
    assert {one.id for one in checks if one.verdict == "invalid"} == invalid
    peers = next(one for one in checks if one.id == "dead-peers")
    if "dead-peers" in invalid:
        assert peers.kinds == {"dropped-live": 3}
        assert f"a live peer was taken for dead: closed with {code}" in peers.reason
        assert [one.session for one in peers.witnesses] == ["0", "1", "2"]
    else:
        assert peers.verdict == "valid"


@pytest.mark.parametrize("code", [1006, 1011])
def test_what_our_own_restart_of_toxiproxy_broke_blames_neither_the_backend_nor_the_rig(code: int) -> None:
    checks = cut(code).assess(JAM, lasting=True, restarted=frozenset({JAM.id})).checks
    assert not [one.id for one in checks if one.verdict == "invalid"]
    other = cut(code).assess(JAM, lasting=True, restarted=frozenset({"w9"})).checks
    assert [one.id for one in other if one.verdict == "invalid"]


def test_where_reconnects_may_come_they_are_nobody_s_fault() -> None:
    checks = cut(1011).assess(JAM).checks
    assert not [one.id for one in checks if one.verdict == "invalid"]
    assert next(one for one in checks if one.id == "dead-peers").verdict == "not-exercised"


def test_connections_that_outlive_the_fault_are_samples() -> None:
    story = Story()
    for user in range(4):
        story.connect(user, 100, "treated")
        story.leave(user, 40_000)
    check = story.check("dead-peers", JAM, lasting=True)
    assert (check.verdict, check.required, check.samples) == ("valid", True, 4)


@pytest.mark.parametrize(
    ("expects", "said"),
    [({"reconnects": "none"}, "none"), ({"reconnects": "some"}, "some"), ({"reconnects": "lots"}, "any"),
     ({}, "any"), ("x", "any"), (None, "any"),
     ({"reconnects": []}, "any")],
)  # fmt: skip
def test_what_is_not_said_clearly_is_not_expected(expects: object, said: str) -> None:
    assert expected_reconnects({"expects": expects}) == said


@pytest.mark.parametrize(
    ("story", "expects", "verdict", "state", "why"),
    [
        (Story(), "none", "go", "held", []),
        (cut(1006), "some", "go", "held", []),
        (cut(1006), "any", "go", "held", []),
        (cut(1006), "none", "no-go", "not-held", ["3 reconnects where none was expected", "NO-GO: loss: gone"]),
        (cut(1006, users=1), "none", "cannot-say", "unknown", ["1 reconnect where none was expected", "CANNOT SAY: loss: gone"]),
        (Story(), "some", "go", "unknown", ["nobody was cut, so nothing was shown"]),
        (cut(1006, back_ms=12_000), "some", "go", "not-held", ["3 of 3 cut sessions were not served again within 10 s"]),
        (cut(1006, back_ms=None), "some", "go", "not-held", ["3 of 3 cut sessions were not served again within 10 s"]),
        (cut(1006, at_ms=35_000, back_ms=None), "some", "go", "held", []),
    ],
)  # fmt: skip
def test_a_hypothesis_held_did_not_or_nothing_can_be_said(
    story: Story, expects: str, verdict: Any, state: str, why: list[str]
) -> None:
    windows = (window(5_000, 7_000), window(34_000, 36_000, "w2"))
    manifest = {**SHORT, "expects": {"reconnects": expects}}
    found = experiment_result(manifest, verdict, CAUSES, story.assess(*windows).recovered, 0)
    assert found is not None
    assert (found.state, list(found.why)) == (state, why)
    assert (found.name, found.form, found.hypothesis) == ("jam-heal-short", "short", "Nobody reconnects.")


def test_a_client_that_hangs_up_by_itself_has_reconnected_too() -> None:
    found = experiment_result({**SHORT, "expects": {"reconnects": "none"}}, "go", (), [], 2)
    assert found is not None
    assert (found.state, found.why) == ("not-held", ("2 reconnects where none was expected",))


@pytest.mark.parametrize("name", [None, "", 7, ["x"]])
def test_a_run_without_an_experiment_has_no_hypothesis(name: object) -> None:
    assert experiment_result({"experiment": name}, "go", (), [], 0) is None


@pytest.mark.parametrize("budget", ["ten", None, True])
def test_a_budget_that_is_no_number_bounds_nothing(budget: object) -> None:
    story = cut(1006, back_ms=20_000)
    found = experiment_result(
        {**SHORT, "recovery_s": budget}, "go", (), story.assess(window(5_000, 7_000)).recovered, 0
    )
    assert found is not None
    assert found.state == "held"


def test_what_has_a_finding_of_its_own_is_left_out() -> None:
    recovered = cut(1011).assess(JAM).recovered
    assert unexpected(recovered, frozenset(one.outage.close_row for one in recovered)) == ([], [])
