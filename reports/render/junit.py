"""``junit.xml``: the verdict as test cases, for GitLab, Jenkins and GitHub. What could not be said is an error, because
a green test would be a lie and a failure an accusation.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from reports.judgement import Check, FaultResult, GateResult, Judgement
from reports.render.figures import percent
from reports.render.wording import asked, gate_observed, measured, show_command, shown, without_credentials

__all__ = ["render_junit"]

MOST_WITNESSES = 10
OUTCOMES = ("failure", "error", "skipped")


def render_junit(judgement: Judgement) -> str:
    """One suite each for the verdict itself, the gates, the checkers and the faults."""
    seconds = f"{max((end for _, _, end in judgement.phases), default=0.0):.3f}"
    root = ET.Element("testsuites", name=shown(f"gauntlet {judgement.run}"), time=seconds)
    verdict = _suite(root, "verdict", seconds)
    properties = ET.SubElement(verdict, "properties")
    for name in ("scenario", "contract", "target", "users", "seed"):
        if name in judgement.manifest:
            ET.SubElement(properties, "property", name=name, value=without_credentials(shown(judgement.manifest[name])))
    _verdict(verdict, judgement)
    gates, checkers, faults = (_suite(root, name, "0") for name in ("gates", "checkers", "faults"))
    for gate in judgement.gates:
        _gate(gates, gate)
    for check in judgement.checks:
        _check(checkers, check, judgement)
    for fault in judgement.faults:
        _fault(faults, fault)
    for element in root:
        _total(element, element)
    _total(root, root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, name: str, seconds: str) -> ET.Element:
    return ET.SubElement(root, "testsuite", name=name, time=seconds)


def _total(element: ET.Element, within: ET.Element) -> None:
    element.set("tests", str(len(list(within.iter("testcase")))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(len(list(within.iter(tag)))))


def _case(suite: ET.Element, name: str, outcome: str = "", message: str = "", body: str = "", said: str = "") -> None:
    case = ET.SubElement(suite, "testcase", classname=f"gauntlet.{suite.get('name')}", name=name, time="0")
    if outcome in OUTCOMES:
        result = ET.SubElement(case, outcome, message=message)
        result.text = body or None
        if outcome != "skipped":
            result.set("type", outcome)
    if said:
        ET.SubElement(case, "system-out").text = said


def _verdict(suite: ET.Element, judgement: Judgement) -> None:
    sentence = shown(judgement.sentence)
    causes = "\n".join(shown(f"{cause.title}: {cause.detail}") for cause in judgement.causes)
    outcome, message = {
        "go": ("", ""),
        "no-go": ("failure", sentence),
        "cannot-say": ("error", f"cannot say: {sentence}"),
    }[judgement.verdict]
    _case(suite, "verdict", outcome, message, causes, "" if outcome else sentence)


def _gate(suite: ET.Element, gate: GateResult) -> None:
    seen = f"observed {gate_observed(gate, ' ')}, {gate.bad} bad of {gate.samples} samples"
    if gate.interval is not None:
        seen += f", share of bad between {percent(gate.interval[0], ' ')} and {percent(gate.interval[1], ' ')}"
    reason = shown(gate.reason)
    outcome = {"pass": "", "fail": "failure", "unknown": "error", "not-checked": "skipped"}[gate.verdict]
    said = "" if outcome else seen
    if gate.severity == "warn" and outcome in {"failure", "error"}:
        outcome, said = "", f"warning, {gate.verdict}: {reason}; {seen}"
    message = f"cannot say: {reason}" if outcome == "error" else reason or seen
    _case(suite, shown(f"{gate.metric} {gate.rule}"), outcome, message, seen if outcome == "failure" else "", said)


def _check(suite: ET.Element, check: Check, judgement: Judgement) -> None:
    reason = shown(check.reason)
    outcome, message = {
        "valid": ("", ""),
        # a broken harness says nothing about the backend
        "invalid": ("error", f"cannot say: {reason}") if check.subject == "harness" else ("failure", reason),
        "unknown": ("error", f"cannot say: {reason}") if check.required else ("skipped", reason),
        "not-exercised": ("skipped", reason or "not exercised"),
    }[check.verdict]
    body = "\n".join(
        f"{shown(w.kind)} at {w.at_s:.3f} s: {shown(w.text)} [{show_command(judgement, w)}]"
        for w in check.witnesses[:MOST_WITNESSES]
    )
    said = f"{check.samples} samples" + (f", {check.warnings} warnings" if check.warnings else "")
    _case(suite, shown(check.id), outcome, message, body if outcome != "skipped" else "", said)


def _fault(suite: ET.Element, fault: FaultResult) -> None:
    seen = f"asked {asked(fault)}; measured {measured(fault)}; by {shown(fault.by)}"
    outcome, message = {
        "confirmed": ("", ""),
        "absent": ("error", f"cannot say: the fault had no effect; {seen}"),
        "not-probed": ("skipped", f"not probed; {seen}"),
    }[fault.effect]
    said = (
        f"{seen}; {fault.disconnected} of {fault.sessions} sessions cut, {fault.unrecovered} not back; "
        f"{fault.turns_lost} of {fault.turns} turns lost"
    )
    _case(suite, shown(f"{fault.id} {fault.kind} on {fault.cohort}"), outcome, message, "", said)
