"""When to come back after a connection failed: exponential, jittered, capped, bounded. Policies are data; pure over a given
random, but for reading those that ship.

Full jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): a wait is uniform between zero and
the capped exponential, so that a herd cut off at one moment does not come back at one moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from loadtests.configfile import convert, nearest, read_yaml
from loadtests.dice import Dice
from loadtests.errors import ConfigError

if TYPE_CHECKING:
    from loadtests.contract.schema import Client

__all__ = ["POLICIES", "REFUSALS", "Backoff", "Policy", "declared", "names", "policy_of"]

POLICIES = Path(__file__).parent / "policies"
#: HTTP answers after which a client must not come back, whatever its contract says
REFUSALS = frozenset({401, 403})
#: an exponent is bounded so that a float never overflows, however many attempts a policy allows
MOST_STEPS = 64
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``base_ms`` grows by ``factor`` per attempt up to ``cap_ms``; after ``attempts`` in one outage the session gives up."""

    base_ms: Milliseconds = 100
    cap_ms: Milliseconds = 3000
    factor: Annotated[float, msgspec.Meta(ge=1)] = 2.0
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 12
    #: full: anything up to the wait; added: the wait and ``jitter_ms`` more, within the cap; none: the wait
    jitter: Literal["full", "added", "none"] = "full"
    jitter_ms: tuple[Milliseconds, Milliseconds] = (0, 0)
    #: before the first attempt after a loss
    first_ms: Milliseconds = 0
    #: close codes and HTTP answers after which it does not come back, beside those of its contract
    fatal: tuple[int, ...] = ()
    name: str = ""

    def bounds_ms(self, failures: int) -> tuple[float, float]:
        """Between what the wait after so many failures in a row lies, from 1; after none, that before the first attempt."""
        wait_ms = float(self.first_ms)
        if failures:
            wait_ms = float(min(self.cap_ms, self.base_ms * self.factor ** min(failures - 1, MOST_STEPS)))
        if self.jitter == "full":
            return 0.0, wait_ms
        if self.jitter == "none" or not wait_ms:
            return wait_ms, wait_ms
        low_ms, high_ms = (min(float(self.cap_ms), wait_ms + more_ms) for more_ms in self.jitter_ms)
        return max(wait_ms, low_ms), max(wait_ms, high_ms)

    def spread(self, failures: int) -> float:
        """Standard deviation of that wait as a share of its mean; 0: it is always the same."""
        low_ms, high_ms = self.bounds_ms(failures)
        return (high_ms - low_ms) / math.sqrt(12) / ((low_ms + high_ms) / 2) if high_ms else 0.0


def names() -> list[str]:
    """The policies that ship."""
    return sorted(path.stem for path in POLICIES.glob("*.yaml"))


def policy_of(value: str | Mapping[str, Any] | None, where: str, place: str = "retry") -> Policy:
    """A policy by its name, or from its keys; None: ours. ``where`` and ``place``: the file and the key that hold ``value``.

    Raises:
        ConfigError: no such policy, or a mistake in it: names file, key and the nearest valid word.
    """
    if value is None:
        return Policy()
    if isinstance(value, str):
        if value not in names():
            raise ConfigError(where, place, f"no policy {value!r}", nearest(value, names()))
        path = POLICIES / f"{value}.yaml"
        return policy_of(read_yaml(path), path.name, "")
    if not isinstance(value, Mapping):
        raise ConfigError(where, place, f"is {type(value).__name__}", "a policy's name or a mapping of its keys")
    try:
        policy = convert(value, Policy, where)
    except ConfigError as error:
        inner = "" if error.place == "the top" else error.place
        raise ConfigError(where, ".".join(filter(None, (place, inner))), error.problem, error.expected) from None
    _check(policy, where, f"{place}." if place else "")
    return policy


def _check(policy: Policy, where: str, under: str) -> None:
    low_ms, high_ms = policy.jitter_ms
    if policy.cap_ms < policy.base_ms:
        raise ConfigError(where, f"{under}cap_ms", f"is less than base_ms, {policy.base_ms}", "the longest wait")
    if low_ms > high_ms:
        raise ConfigError(where, f"{under}jitter_ms", f"{low_ms} is more than {high_ms}", "[least, most]")
    if high_ms and policy.jitter != "added":
        raise ConfigError(where, f"{under}jitter_ms", f"has no meaning for jitter {policy.jitter}", "jitter: added")


def declared(client: Client | None, otherwise: Policy) -> Policy:
    """The product's own policy where its contract says one (``client``), else what the scenario says."""
    if client is None:
        return otherwise
    said = msgspec.structs.asdict(client)
    if named := said.get("policy"):
        return policy_of(named, "contract", "client.policy")
    return Policy(**{key: value for key, value in said.items() if key in Policy.__struct_fields__})


class Backoff:
    """One session's outages. ``fatal`` failures end it for good: coming back would be abuse."""

    __slots__ = ("_dice", "_policy", "attempt", "stopped")

    def __init__(self, policy: Policy, dice: Dice) -> None:
        self._policy = policy
        self._dice = dice
        self.attempt = 0
        self.stopped = False

    def lost(self) -> float:
        """Milliseconds until the first attempt after the loss of a connection."""
        return self._wait_ms(0)

    def is_fatal(self, code: int) -> bool:
        """Whether the policy itself does not come back after this code."""
        return code in self._policy.fatal

    def failed(self, *, fatal: bool = False) -> float | None:
        """Milliseconds until the next attempt; None: stop trying, for this outage or (fatal) for good."""
        if fatal:
            self.stopped = True
        if self.stopped or self.attempt >= self._policy.attempts:
            return None
        self.attempt += 1
        return self._wait_ms(self.attempt)

    def _wait_ms(self, failures: int) -> float:
        return self._dice.uniform(*self._policy.bounds_ms(failures))

    def succeeded(self) -> None:
        """Served again: the next outage starts from the base."""
        self.attempt = 0
