"""The laws of merging as a table, and the sentence that gives the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadtests.findings import BY_NAME
from reports.causes import Group
from reports.judgement import Check, GateResult
from reports.verdict import causes, merge, sentence


def check(verdict: Any = "valid", subject: Any = "backend", id_: str = "order", **changes: Any) -> Check:
    base = Check(
        id=id_, subject=subject, verdict=verdict, required=True, samples=9, violations=int(verdict == "invalid"), kinds={},
        warnings=0, reason=f"{verdict} for a reason", witnesses=(),
    )  # fmt: skip
    return replace(base, **changes)


def gate(verdict: Any = "pass", severity: Any = "fail", **changes: Any) -> GateResult:
    base = GateResult(
        metric="turn.total", rule="p(95)<1500", unit="ms", observed=1200.0, samples=100, bad=0, interval=(0.0, 0.03),
        verdict=verdict, severity=severity, reason="",
    )  # fmt: skip
    return replace(base, **changes)


GOOD, BAD, UNKNOWN, IDLE = check(), check("invalid"), check("unknown"), check("not-exercised", required=False)
SELF_OK, SELF_BAD = check(subject="harness", id_="self"), check("invalid", subject="harness", id_="self")
SELF_UNKNOWN = check("unknown", subject="harness", id_="self")
CLIENT_BAD = check("invalid", subject="client", id_="backoff")

QUOTA = "you measured the quota: 60 of 100 turns were throttled"

LAWS: list[tuple[str, list[Check], list[GateResult], str]] = [
    ("all valid, all kept", [GOOD, SELF_OK], [gate()], "go"),
    ("nothing at all that was required", [IDLE, SELF_OK], [], "go"),
    ("law 1: not exercised stays outside", [GOOD, IDLE, SELF_OK], [gate(), gate("not-checked")], "go"),
    ("law 2: an invalid backend finding", [GOOD, BAD, SELF_OK], [gate()], "no-go"),
    ("law 2: a failed gate", [GOOD, SELF_OK], [gate(), gate("fail")], "no-go"),
    ("law 2: unknown check", [GOOD, UNKNOWN, SELF_OK], [gate()], "cannot-say"),
    ("law 2: unknown gate", [GOOD, SELF_OK], [gate("unknown")], "cannot-say"),
    ("law 2: NO-GO outweighs unknown", [BAD, UNKNOWN, SELF_OK], [gate("unknown")], "no-go"),
    ("law 2: a failed gate outweighs unknown", [UNKNOWN, SELF_OK], [gate("fail")], "no-go"),
    ("law 2: a warning that fails", [GOOD, SELF_OK], [gate("fail", "warn")], "go"),
    ("law 2: a warning that is unknown", [GOOD, SELF_OK], [gate("unknown", "warn")], "go"),
    ("law 3: a client finding is not the backend's", [GOOD, CLIENT_BAD, SELF_OK], [gate()], "go"),
    ("law 4: a failed self caps", [GOOD, SELF_BAD], [gate()], "cannot-say"),
    ("law 4: before law 2, findings", [BAD, SELF_BAD], [gate()], "cannot-say"),
    ("law 4: before law 2, gates", [GOOD, SELF_BAD], [gate("fail")], "cannot-say"),
    ("law 4: a self that cannot say caps too", [BAD, SELF_UNKNOWN], [gate()], "cannot-say"),
    ("warnings of a valid check", [check(warnings=7), SELF_OK], [gate()], "go"),
]


@pytest.mark.parametrize(("checks", "gates", "verdict"), [row[1:] for row in LAWS], ids=[row[0] for row in LAWS])
def test_the_laws(checks: list[Check], gates: list[GateResult], verdict: str) -> None:
    assert merge(checks, gates) == verdict
    assert merge(checks[::-1], gates[::-1]) == verdict


@pytest.mark.parametrize(("checks", "gates", "verdict"), [row[1:] for row in LAWS], ids=[row[0] for row in LAWS])
def test_what_is_not_go_has_a_reason_and_a_sentence(checks: list[Check], gates: list[GateResult], verdict: str) -> None:
    reasons = causes(checks, gates)
    if verdict != "go":
        assert reasons
        assert reasons[0].title in sentence(merge(checks, gates), reasons, gates, 100, 3)


def test_law_3_a_declared_client_s_findings_are_the_product_s() -> None:
    checks = [GOOD, CLIENT_BAD, SELF_OK]
    assert merge(checks, [gate()], declares_client=True) == "no-go"
    assert causes(checks, [])[0].title.startswith("backoff: ")


@pytest.mark.parametrize(
    ("checks", "gates", "verdict"),
    [
        ([GOOD, SELF_OK], [gate()], "cannot-say"),
        ([GOOD, BAD, SELF_OK], [gate()], "no-go"),
        ([GOOD, SELF_OK], [], "cannot-say"),
    ],
)
def test_a_quota_is_no_go_and_no_excuse(checks: list[Check], gates: list[GateResult], verdict: str) -> None:
    assert merge(checks, gates, QUOTA) == verdict


def test_what_the_quota_took_away_stands_beneath_it() -> None:
    gates = [
        gate("unknown", reason=QUOTA),
        gate("unknown", reason=QUOTA, metric="event.x"),
        gate("unknown", reason="no samples"),
    ]
    first, second = causes([GOOD, SELF_OK], gates, (), QUOTA)
    assert first.title == "You measured the quota: 60 of 100 turns were throttled"
    assert first.consequences == ("turn.total p(95)<1500: cannot say", "event.x p(95)<1500: cannot say")
    assert second.detail == "no samples"
    assert sentence("cannot-say", (first, second), gates, 100, 3).startswith("You measured the quota")


def test_what_is_known_of_a_part_alone_is_said_so_and_hides_no_checker() -> None:
    """Of 9,000 silences 5,000 are kept, and all of these follow from a hole; of the others nobody knows."""
    loss, silence = replace(BAD, id="loss", kinds={"hole": 2}), replace(BAD, id="silence", kinds={"silent": 9_000})
    group = Group(
        id="loss", kind="hole", count=2, turns=2, users=1, window="w1", consequences=(("silence", "silent", 5_000),)
    )
    partly = causes([loss, silence], [], [group])
    assert [cause.id for cause in partly] == ["loss", "silence"]
    assert partly[0].consequences == (f"silence: {BY_NAME['silent'].text}, at least 5\u202f000 times",)
    assert (partly[0].window, partly[1].window) == ("w1", "")
    whole = causes([loss, replace(silence, kinds={"silent": 5_000})], [], [group])
    assert [cause.id for cause in whole] == ["loss"]
    assert whole[0].consequences == (f"silence: {BY_NAME['silent'].text}, 5\u202f000 times",)
    capped = causes([replace(loss, kinds={"hole": 3}), silence], [], [group])
    assert capped[0].window == ""


def test_a_warning_beside_a_finding_takes_nothing_from_what_is_known_of_the_finding() -> None:
    """Warnings stand in no group, and that is no part of them that was lost."""
    kinds = {"unapproved": 1, "deprecated": 2}
    group = Group(id="vocabulary", kind="unapproved", count=1, turns=1, users=1, window="w1", consequences=())
    (cause,) = causes([replace(BAD, id="vocabulary", kinds=kinds, warnings=2)], [], [group])
    assert (cause.window, cause.kind, cause.turns) == ("w1", "unapproved", 1)


@pytest.mark.parametrize(
    ("unit", "observed", "title"),
    [("share", 0.9, "turn.total p(95)<1500 broken: 90.0%"), ("share", None, "turn.total p(95)<1500 broken"),
     ("count", 3.0, "turn.total p(95)<1500 broken"), ("ms", 1200.0, "turn.total p(95)<1500 broken: 1\u202f200 ms"),
     ("ms", None, "turn.total p(95)<1500 broken: never, in too many turns")],
)  # fmt: skip
def test_a_broken_gate_says_what_was_observed(unit: Any, observed: float | None, title: str) -> None:
    assert causes([], [gate("fail", unit=unit, observed=observed)])[0].title == title


def test_a_rate_that_is_too_low_is_said_in_its_unit() -> None:
    slow = gate("fail", metric="stream.rate", rule="p(5)>20", unit="per_s", observed=12.34)
    assert causes([], [slow])[0].title == "stream.rate p(5)>20 broken: 12.3 a second"
    assert "never" in causes([], [replace(slow, observed=None)])[0].title


def test_a_finding_is_still_named_when_the_harness_caps_the_run() -> None:
    titles = [cause.title for cause in causes([BAD, SELF_BAD], [gate("fail")])]
    assert [title.split(":")[0] for title in titles[:2]] == ["self", "order"]
    assert any("turn.total" in title for title in titles)


def test_the_weightiest_cause_comes_first() -> None:
    order = causes([UNKNOWN, BAD], [gate("fail", "warn"), gate("unknown"), gate("fail")])
    assert [one.title.rpartition(" ")[2] for one in order] == ["reason", "ms", "say", "say", "ms"]
    assert order[0].title.startswith("order: invalid")


def test_a_cause_says_how_often_and_where() -> None:
    """The judge's own words on how far it reaches; without them at least the counts."""
    told = replace(check("invalid", kinds={"misplaced": 2}), scope="2 times, in 2 of 90 turns, 1 users hit")

    assert [cause.detail for cause in causes([told], [])] == [told.scope]
    assert [cause.detail for cause in causes([replace(told, scope="")], [])] == ["2 × misplaced"]


def said(gates: list[GateResult], turns: int, checked: int) -> str:
    """The sentence of a GO, whatever groups its digits."""
    return sentence("go", (), gates, turns, checked).replace("\u202f", "").replace(",", "")


def test_a_go_names_the_tightest_latency_gate() -> None:
    kept = [
        gate(observed=100.0),
        gate(observed=1400.0, metric="event.x"),
        gate(unit="share", rule="rate>0.9", observed=0.99),
    ]
    text = said(kept, 1215, 14)
    assert text.startswith("1215 turns 14 checks and 3 gates")
    assert text.endswith("tightest: event.x at 1400 of 1500 ms")


def test_a_go_without_a_latency_gate_names_none() -> None:
    assert "tightest" not in sentence("go", (), [gate(unit="count", rule="count==0", observed=0.0)], 1, 1)


@pytest.mark.parametrize("rule", ["p(95)<1.5s", "p(95) <= 1500ms", "p(95)<1500"])
def test_the_tightest_gate_is_found_in_every_spelling_of_a_rule(rule: str) -> None:
    text = said([gate(rule=rule, observed=1400.0)], 1, 1)
    assert text.endswith("turn.total at 1400 of 1500 ms")


def test_law_3_the_backend_s_findings_count_also_where_the_client_s_do() -> None:
    assert merge([GOOD, BAD, SELF_OK], [gate()], declares_client=True) == "no-go"
    assert merge([GOOD, SELF_OK], [gate()], declares_client=True) == "go"


def ids(*args: Any) -> list[str]:
    return [cause.id for cause in causes(*args)]


def test_causes_come_by_weight_and_not_as_they_are_found() -> None:
    gates = [
        gate("fail", "warn", metric="warned"),
        gate("unknown", metric="unsure"),
        gate("fail", metric="broken"),
    ]
    checks = [
        check("unknown", id_="doubtful"),
        check("invalid", id_="wrong"),
        check("unknown", subject="harness", id_="self"),
    ]
    assert ids(checks, gates) == ["self", "wrong", "broken", "unsure", "doubtful", "warned"]


def test_the_quota_comes_before_the_gates_and_says_all_in_its_title() -> None:
    first, second = causes([], [gate("fail")], (), QUOTA)
    assert (first.title.lower(), first.detail, second.id) == (QUOTA.lower(), "", "turn.total")


@pytest.mark.parametrize("kept", [gate(), gate("not-checked"), gate("unknown", "warn")])
def test_what_is_kept_not_checked_or_only_a_warning_in_doubt_is_no_cause(kept: GateResult) -> None:
    assert causes([GOOD, IDLE, SELF_OK], [kept]) == ()


def test_so_many_causes_are_told_and_no_more() -> None:
    assert len(causes([check("invalid", id_=f"c{i}") for i in range(30)], [])) == 12


@pytest.mark.parametrize(("count", "more"), [(1, ""), (2, ", and 1 more"), (4, ", and 3 more")])
def test_the_sentence_gives_the_first_cause_and_counts_the_others(count: int, more: str) -> None:
    reasons = causes([check("invalid", id_=f"c{i}", scope="twice") for i in range(count)], [])
    assert sentence("no-go", reasons, [], 1, 1) == f"c0: invalid for a reason (twice){more}"


def test_a_cause_without_a_detail_has_no_brackets() -> None:
    assert sentence("no-go", causes([BAD], []), [], 1, 1) == "order: invalid for a reason"


def test_the_tightest_gate_is_so_by_its_share_and_the_first_of_equals() -> None:
    near, far = gate(observed=1400.0, metric="near"), gate(rule="p(95)<5000", observed=3000.0, metric="far")
    assert "near" in said([far, near], 1, 1)
    assert "near" in said([near, far], 1, 1)
    assert "near" in said([near, replace(near, metric="twin")], 1, 1)


@pytest.mark.parametrize("silent", [gate(observed=None), gate(rule="p(95)<0", observed=5.0)])
def test_a_gate_without_a_number_or_a_limit_is_never_the_tightest(silent: GateResult) -> None:
    assert "tightest" not in said([silent], 1, 1)
