"""``gauntlet contract check``: what a contract accepts, an example of it, and whether it fits what a run has recorded."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.contract.compile import Contract
from loadtests.contract.decoder import DEPRECATED, LEGACY, NO_TYPE, NOT_JSON, VERSION_DEPRECATED, VERSION_UNKNOWN
from loadtests.contract.describe import described
from loadtests.contract.example import example, legal_turn
from loadtests.errors import ConfigError
from loadtests.metrics import NO_FAULT, parse_gates
from loadtests.plaintext import printable

__all__ = ["Fit", "fit_of", "lines", "verdict_of"]

SHOWN_CHARACTERS = 300
NAMED = 3
PHASE = re.compile(r"phase\s*:([^,}]*)")
#: standings that are worth a word, and the word
STANDINGS = {
    DEPRECATED: "under a deprecated name", LEGACY: "of a forbidden type", VERSION_UNKNOWN: "of a version that is not accepted",
    VERSION_DEPRECATED: "of a deprecated version",
}  # fmt: skip


def lines(contract: Contract) -> Iterator[str]:
    """The contract in words, then a turn that keeps it.

    Raises:
        ConfigError: no turn can, or a budget is none.
    """
    _check_budgets(contract)
    yield f"contract {contract.name}: {contract.file.title}" if contract.file.title else f"contract {contract.name}"
    for heading, told in described(contract):
        yield f"  {heading:<8} {told[0]}"
        yield from (f"  {'':<8} {line}" for line in told[1:])
    if not legal_turn(contract):
        demanded = ", ".join(rule.name for rule in contract.demanded)
        hint = f"a way from {contract.file.order.start!r} over all that is demanded ({demanded}) to an end"
        raise ConfigError(contract.source, "order.states", "no turn can end well", hint)
    yield "an example that it finds nothing wrong with:"
    for said in example(contract):
        yield f"  {'→' if said.by == 'client' else '←'} {json.dumps(said.frame, ensure_ascii=False)}"


def _check_budgets(contract: Contract) -> None:
    """Read as for a run, but any phase will do: which there are, a scenario says."""
    gates = contract.gates()
    phases = {phase.strip() for selector in gates for phase in PHASE.findall(selector)}
    try:
        parse_gates(gates, contract, phases, contract.source, fault=NO_FAULT)
    except ConfigError as error:
        place = error.place.replace("gates.", "budgets.", 1)
        raise ConfigError(error.where, place, error.problem, error.expected) from None


@dataclass(frozen=True, slots=True)
class Fit:
    """How recorded frames fit a contract. ``first``: the first that fits nothing, as it was kept."""

    contract: str
    frames: int
    #: of them, too long to have been kept whole, so that nothing can be said
    cut_short: int
    fitting: int
    standings: Mapping[int, int]
    #: frames that fit, but lack a required field or have one of the wrong type
    lacking: int
    unknown: Mapping[str, int]
    first: Mapping[str, Any] | None
    why: str


def fit_of(contract: Contract, frames: Iterable[Mapping[str, Any]]) -> Fit:
    """Frames as ``loadtests.rundir.frames`` gives them; in the order of their times, only what the backend sent."""
    received = sorted((f for f in frames if f.get("direction") == "in"), key=lambda f: int(f.get("at_ns", 0)))
    standings: Counter[int] = Counter()
    unknown: Counter[str] = Counter()
    cut_short = fitting = lacking = 0
    first: Mapping[str, Any] | None = None
    why = ""
    for frame in received:
        text = str(frame.get("text", ""))
        raw = text.encode()
        index, standing, bits, _, kind, _ = contract.decode(raw)
        if bits & NOT_JSON and int(frame.get("size", 0)) > len(raw):
            cut_short += 1
            continue
        standings[standing] += 1
        if index or standing == LEGACY:
            fitting += 1
            lacking += bool(bits)
            continue
        problem = "no JSON" if bits & NOT_JSON else "no type" if bits & NO_TYPE else f"type {kind!r}"
        unknown[problem] += 1
        if first is None:
            first, why = frame, problem
    return Fit(contract.name, len(received), cut_short, fitting, standings, lacking, unknown, first, why)


def verdict_of(fit: Fit, run: Path) -> Iterator[str]:
    """What is to be said of it, the last line first in weight.

    Raises:
        ConfigError: the first frame that fits nothing, or that there are none to say it of.
    """
    whole = fit.frames - fit.cut_short
    if not whole:
        part = f" that is whole, and {fit.cut_short} in part" if fit.cut_short else ""
        raise ConfigError(str(run), "", f"holds no kept frame of the backend{part}", "a run in which a turn was kept")
    yield f"{fit.fitting} of {whole} kept frames fit {fit.contract}" + (
        f"; {fit.cut_short} more were kept in part only" if fit.cut_short else ""
    )
    for standing, words in STANDINGS.items():
        if count := fit.standings.get(standing, 0):
            yield f"  {count} {words}"
    if fit.lacking:
        yield f"  {fit.lacking} without a required field, or with one of the wrong type"
    if fit.first is not None:
        for problem, count in Counter(fit.unknown).most_common(NAMED):
            yield f"  {count} fit nothing: {printable(problem)}"
        where = f"session {fit.first.get('session')}, turn {fit.first.get('turn')}, row {fit.first.get('row')}"
        text = printable(str(fit.first.get("text", "")))[:SHOWN_CHARACTERS]
        raise ConfigError(
            f"contract {fit.contract}", "", f"the first frame that fits nothing ({printable(fit.why)}; {where}): {text}"
        )
