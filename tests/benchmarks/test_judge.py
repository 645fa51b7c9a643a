"""The histories that the judge is measured by keep their contract, so that what is measured is a whole judgement."""

from __future__ import annotations

import numpy as np

from loadtests.contract import load
from loadtests.history import RowKind
from reports.assessment import judge_history
from tests.benchmarks import synthetic

REFERENCE = load("reference")
EVENTS = 20_000


def test_they_are_in_order_and_as_large_as_asked() -> None:
    rows = np.concatenate(list(synthetic.blocks(REFERENCE, EVENTS)))
    assert np.all(np.diff(rows["received"]) >= 0)
    assert np.count_nonzero(rows["kind"] == RowKind.EVENT) == EVENTS


def test_nothing_is_found_in_them_and_most_checkers_are_sure() -> None:
    rows = np.concatenate(list(synthetic.blocks(REFERENCE, EVENTS)))
    fault = synthetic.window(REFERENCE, EVENTS)
    checks = judge_history(REFERENCE, synthetic.USERS, (fault,), rows, synthetic.STRINGS, start_ns=synthetic.START_NS)
    verdicts = {check.id: check.verdict for check in checks}
    assert set(verdicts.values()) == {"valid", "not-exercised"}
    sure = {id_ for id_, verdict in verdicts.items() if verdict == "valid"}
    assert sure == set(verdicts) - {"idempotency", "dead-peers", "backoff", "herd", "restored"}
