"""What few samples can say of a proportion: exact one-sided bounds, and how many samples would say more. Pure.

After Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", Biometrika 26,
1934.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv

__all__ = ["CONFIDENCE", "bounds", "samples_needed"]

CONFIDENCE = 0.95
DIGITS = 12
MOST_SAMPLES = 10_000_000


def bounds(bad: int, samples: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """One-sided bounds, lower and upper, on the proportion of bad ones."""
    lower = float(betaincinv(bad, samples - bad + 1, 1 - confidence)) if bad else 0.0
    upper = float(betaincinv(bad + 1, samples - bad, confidence)) if bad < samples else 1.0
    # Rounded, because 1 - 0.95 is a hair over 0.05, and one bad turn of one must not fail p(95) for that.
    return round(lower, DIGITS), round(upper, DIGITS)


def samples_needed(bad: int, samples: int, share: float) -> int | None:
    """How many samples would decide, if the share of bad ones stayed as it is; None: none would, it stands on the edge."""
    if share <= 0:
        return None
    rate = bad / samples if samples else 0.0
    if rate == 0:
        return math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - share))
    count = max(samples, 1)
    while count < MOST_SAMPLES:
        count = math.ceil(count * 1.1) + 1
        lower, upper = bounds(round(rate * count), count)
        if upper <= share or lower > share:
            return count
    return None
