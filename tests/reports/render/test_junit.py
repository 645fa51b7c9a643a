"""junit.xml is read by parsers of other hands, and is red whenever the verdict is not GO."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reports.judgement import Judgement
from reports.render.junit import render_junit
from tests.reports.judgements import EXAMPLES, cannot_say, check, gate, go, no_go


def outcomes(judgement: Judgement) -> dict[tuple[str, str], set[type]]:
    suites = JUnitXml.fromstring(render_junit(judgement).encode())
    return {
        (suite.name, case.name): {type(result) for result in case.result}
        for suite in suites
        if isinstance(suite, TestSuite)
        for case in suite
        if isinstance(case, TestCase)
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_xml_with_true_totals(name: str, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(render_junit(EXAMPLES[name]()), encoding="utf-8")
    suites = JUnitXml.fromfile(str(path))
    told = (suites.tests, suites.failures, suites.errors, suites.skipped)
    suites.update_statistics()
    assert told == (suites.tests, suites.failures, suites.errors, suites.skipped)
    assert [element.get("name") for element in ET.fromstring(path.read_bytes())] == [
        "verdict",
        "gates",
        "checkers",
        "faults",
    ]


@pytest.mark.parametrize(("name", "red"), [("go", False), ("no-go", True), ("cannot-say", True), ("empty", True)])
def test_it_is_red_exactly_when_the_verdict_is_not_go(name: str, red: bool) -> None:
    suites = JUnitXml.fromstring(render_junit(EXAMPLES[name]()).encode())
    assert bool(suites.failures + suites.errors) is red


def test_what_failed_what_cannot_be_said_and_what_was_not_looked_at_differ() -> None:
    seen = outcomes(no_go())
    assert seen["verdict", "verdict"] == {Failure}
    assert seen["gates", "event.agent_completed{phase:recovery-down} p(95)<2500"] == {Failure}
    assert seen["gates", "turn.total{fault:w2} p(99)<9000"] == {Error}
    assert seen["gates", "turn.total{phase:soak} p(95)<9000"] == {Skipped}
    assert seen["gates", "connect.ready p(90)<25"] == set(), "a warning is not red"
    assert seen["checkers", "pairing"] == {Failure}
    assert seen["checkers", "reconnect"] == {Error}
    assert seen["checkers", "herd"] == {Skipped}
    assert seen["checkers", "order"] == set()
    assert outcomes(cannot_say())["faults", "w1 latency on treated"] == {Error}


def test_an_unknown_checker_that_nothing_requires_is_skipped_and_a_broken_harness_accuses_nobody() -> None:
    seen = outcomes(
        replace(go(), checks=(check("herd", "unknown", required=False), check("self", "invalid", subject="harness")))
    )
    assert (seen["checkers", "herd"], seen["checkers", "self"]) == ({Skipped}, {Error})


def test_the_message_says_why_and_the_body_what_to_type() -> None:
    text = render_junit(no_go())
    assert 'message="cannot say: too few sessions were cut to say"' in text
    assert "gauntlet show runs/2026-11-24T021407Z-smoke-7f3a gx5f1e0c2a-003.014" in text


def test_no_credential_of_the_target_is_told() -> None:
    assert "s3cret" not in render_junit(EXAMPLES["hostile"]())


def test_a_warning_gate_that_cannot_say_is_told_and_not_red() -> None:
    shaky = gate("turn.total", "p(99)<1", 3.0, "unknown", severity="warn", reason="too few")
    judgement = replace(go(), gates=(shaky,))
    assert outcomes(judgement)["gates", "turn.total p(99)<1"] == set()
    assert "warning, unknown: too few" in render_junit(judgement)
