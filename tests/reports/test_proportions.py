"""Exact bounds on proportions, against scipy's own; the gates' tests hold them to many more numbers."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from reports.proportions import bounds, samples_needed


@pytest.mark.parametrize(("bad", "samples"), [(0, 1), (1, 1), (0, 59), (3, 35), (35, 35), (17, 4000)])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_bounds_at_any_confidence(bad: int, samples: int, confidence: float) -> None:
    lower, upper = bounds(bad, samples, confidence)
    test = {side: binomtest(bad, samples, alternative=side) for side in ("greater", "less")}
    assert lower == pytest.approx(test["greater"].proportion_ci(confidence).low, abs=1e-9)
    assert upper == pytest.approx(test["less"].proportion_ci(confidence).high, abs=1e-9)


def test_more_confidence_means_wider_bounds() -> None:
    (low, high), (lower, higher) = bounds(5, 50), bounds(5, 50, 0.99)
    assert lower < low < 0.1 < high < higher


def test_how_many_samples_would_decide() -> None:
    assert samples_needed(0, 0, 0.25) == 11
    assert samples_needed(1, 1, 0.0) is None
