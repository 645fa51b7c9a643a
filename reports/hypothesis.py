"""What an experiment expects, against what happened: reconnects where none were expected, and whether its hypothesis held. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.history import ABNORMAL
from reports.judgement import Cause, ExperimentResult, Verdict
from reports.peers import PeerFinding
from reports.recovery import Recovery

__all__ = ["expected_reconnects", "experiment_result", "unexpected"]

NONE, SOME, ANY = "none", "some", "any"


def expected_reconnects(manifest: Mapping[str, Any]) -> str:
    """none, some or any."""
    expects = manifest.get("expects")
    said = expects.get("reconnects") if isinstance(expects, Mapping) else None
    return said if isinstance(said, str) and said in {NONE, SOME} else ANY


def unexpected(recovered: Iterable[Recovery], told: frozenset[int]) -> tuple[list[PeerFinding], list[str]]:
    """Where no reconnect is expected: live peers that the backend sent away, and what the rig has against itself, since a
    connection that breaks without a word may be anybody's. ``told``: rows of closes that have a finding of their own.
    """
    found, broken = [], 0
    for one in recovered:
        outage = one.outage
        if outage.close_row in told:
            continue
        if outage.code == ABNORMAL:
            broken += 1
            continue
        text = (
            f"a live peer was taken for dead: closed with {outage.code}, and under this fault nobody needs to reconnect"
        )
        found.append(PeerFinding("dropped-live", outage.close_ns, text, outage.close_row))
    return found, [f"connections that this experiment expects to live broke without a word: {broken}"] if broken else []


def experiment_result(
    manifest: Mapping[str, Any],
    verdict: Verdict,
    causes: Sequence[Cause],
    recovered: Sequence[Recovery],
    reconnections: int,
) -> ExperimentResult | None:
    """None: the run was no experiment. ``reconnections``: second and later connections of any session."""
    name = manifest.get("experiment")
    if not isinstance(name, str) or not name:
        return None
    expected, against, open_ = expected_reconnects(manifest), [], []
    if expected == NONE and (count := max(len(recovered), reconnections)):
        against.append(f"{count} reconnect{'s' if count > 1 else ''} where none was expected")
    if expected == SOME and not recovered:
        open_.append("nobody was cut, so nothing was shown")
    if slow := _late(manifest, recovered):
        against.append(slow)
    if verdict == "no-go":
        against.append(f"NO-GO: {causes[0].title}" if causes else "NO-GO")
    if verdict == "cannot-say":
        open_.append(f"CANNOT SAY: {causes[0].title}" if causes else "CANNOT SAY")
    unknown = bool(open_) and (verdict == "cannot-say" or not against)
    return ExperimentResult(
        name=name, form=str(manifest.get("form") or ""), hypothesis=" ".join(str(manifest.get("hypothesis") or "").split()),
        state="unknown" if unknown else "not-held" if against else "held", why=(*against, *open_),
    )  # fmt: skip


def _late(manifest: Mapping[str, Any], recovered: Sequence[Recovery]) -> str:
    budget_s = manifest.get("recovery_s")
    if isinstance(budget_s, bool) or not isinstance(budget_s, int | float):
        return ""
    judged = [one for one in recovered if one.window and not one.outage.dismissed]
    late = sum(_is_late(one, budget_s * 1e9) for one in judged)
    return f"{late} of {len(judged)} cut sessions were not served again within {budget_s:g} s" if late else ""


def _is_late(one: Recovery, budget_ns: float) -> bool:
    if one.took_ns is not None:
        return one.took_ns > budget_ns
    return one.outage.end_ns - one.since_ns > budget_ns
