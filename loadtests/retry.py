"""When to come back after a connection failed: exponential, full jitter, capped, bounded. Pure over a given random.

Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): a wait is uniform between zero and
the capped exponential, so that a herd cut off at one moment does not come back at one moment.
"""

from __future__ import annotations

import random

import msgspec

from loadtests.contract.schema import Client

__all__ = ["REFUSALS", "Backoff", "Policy", "declared"]

#: HTTP answers after which a client must not come back, whatever its contract says
REFUSALS = frozenset({401, 403})


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``base_ms`` doubles per attempt up to ``cap_ms``; after ``attempts`` in one outage the session gives up."""

    base_ms: int = 100
    cap_ms: int = 3000
    factor: float = 2.0
    attempts: int = 12


def declared(client: Client | None, otherwise: Policy) -> Policy:
    """The product's own policy where its contract says one (``client``), else what the scenario says."""
    return otherwise if client is None else Policy(client.base_ms, client.cap_ms, client.factor, client.attempts)


class Backoff:
    """One session's outages. ``fatal`` failures end it for good: coming back would be abuse."""

    __slots__ = ("_policy", "_random", "attempt", "stopped")

    def __init__(self, policy: Policy, rng: random.Random) -> None:
        self._policy = policy
        self._random = rng
        self.attempt = 0
        self.stopped = False

    def failed(self, *, fatal: bool = False) -> float | None:
        """Milliseconds until the next attempt; None: stop trying, for this outage or (fatal) for good."""
        if fatal:
            self.stopped = True
        if self.stopped or self.attempt >= self._policy.attempts:
            return None
        # The exponent is bounded so that a float never overflows, however many attempts a policy allows.
        ceiling = min(self._policy.cap_ms, self._policy.base_ms * self._policy.factor ** min(self.attempt, 64))
        self.attempt += 1
        return self._random.uniform(0.0, ceiling)

    def succeeded(self) -> None:
        """Served again: the next outage starts from the base."""
        self.attempt = 0
