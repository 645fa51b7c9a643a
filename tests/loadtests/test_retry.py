"""Coming back: growing, jittered, capped, bounded, and never after a fatal failure."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.contract.schema import Client
from loadtests.errors import ConfigError
from loadtests.retry import Backoff, Policy, declared, names, policy_of


class Most(random.Random):
    """Draws the upper end, so that the ceiling can be seen."""

    def uniform(self, a: float, b: float) -> float:
        return b


def ceilings(policy: Policy, tries: int) -> list[float | None]:
    one = Backoff(policy, Most())
    return [one.failed() for _ in range(tries)]


def test_the_ceiling_doubles_up_to_the_cap_and_ends() -> None:
    assert ceilings(Policy(base_ms=100, cap_ms=500, attempts=5), 7) == [100, 200, 400, 500, 500, None, None]


def test_success_begins_anew() -> None:
    one = Backoff(Policy(base_ms=100, attempts=2), Most())
    assert [one.failed(), one.failed(), one.failed()] == [100, 200, None]
    one.succeeded()
    assert one.failed() == 100


def test_a_fatal_failure_is_for_good() -> None:
    one = Backoff(Policy(), Most())
    assert one.failed(fatal=True) is None
    one.succeeded()
    assert (one.stopped, one.failed()) == (True, None)


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(1, 100), st.integers(1, 2000), st.integers())
def test_no_wait_is_negative_or_over_the_cap(base: int, cap: int, factor: float, attempts: int, seed: int) -> None:
    one = Backoff(Policy(base_ms=base, cap_ms=cap, factor=factor, attempts=attempts), random.Random(seed))
    waits = [one.failed() for _ in range(min(attempts, 100))]
    assert all(wait is not None and 0 <= wait <= cap for wait in waits)


def test_a_herd_does_not_come_back_at_one_moment() -> None:
    waits = sorted(Backoff(Policy(base_ms=1000), random.Random(seed)).failed() or 0.0 for seed in range(200))
    assert waits[0] < 50
    assert waits[-1] > 950
    assert waits[100] == pytest.approx(500, abs=120)


def test_the_products_own_policy_comes_before_the_scenarios() -> None:
    ours = Policy(base_ms=1)
    assert declared(None, ours) is ours
    assert declared(Client(base_ms=7, cap_ms=70, factor=3.0, attempts=5), ours) == Policy(7, 70, 3.0, 5)


Whole = msgspec.defstruct(
    "Whole",
    [("policy", str, ""), ("base_ms", int, 100), ("jitter", str, "full"), ("jitter_ms", tuple, (0, 0)), ("herd_share", float, 1.0)],
)  # fmt: skip


def test_a_contract_may_name_a_policy_that_ships_or_say_each_of_its_keys() -> None:
    assert declared(Whole(policy="web-client", herd_share=0.25), Policy()) == policy_of("web-client", "here")
    assert declared(Whole(base_ms=7, jitter="added", jitter_ms=(1, 2)), Policy()) == Policy(
        base_ms=7, jitter="added", jitter_ms=(1, 2)
    )
    with pytest.raises(
        ConfigError, match=r"contract at client.policy: no policy 'web-clint'; did you mean 'web-client'"
    ):
        declared(Whole(policy="web-clint"), Policy())


def test_what_ships_is_ours_and_the_audited_web_client_s() -> None:
    assert names() == ["default", "web-client"]
    assert msgspec.structs.replace(policy_of("default", "here"), name="") == Policy() == policy_of(None, "here")


def test_the_audited_web_client_comes_back_at_once_and_then_after_seconds_that_double() -> None:
    policy = policy_of("web-client", "here")
    one = Backoff(policy, Most())
    assert (one.lost(), [one.failed() for _ in range(10)]) == (
        0.0, [1_100.0, 2_100.0, 4_100.0, 8_100.0, 16_100.0, 30_000.0, 30_000.0, 30_000.0, 30_000.0, None],
    )  # fmt: skip
    waits = [Backoff(policy, random.Random(seed)).failed() or 0.0 for seed in range(200)]
    assert 1_000 <= min(waits) < 1_005
    assert 1_095 < max(waits) <= 1_100


def test_a_herd_of_web_clients_stays_one_and_ours_does_not() -> None:
    """After three failures in a row: what lies between the first and the last of a hundred to come back."""

    def width_ms(policy: Policy) -> float:
        backoffs = [Backoff(policy, random.Random(seed)) for seed in range(100)]
        came = [sum(one.failed() or 0.0 for _ in range(3)) for one in backoffs]
        return max(came) - min(came)

    assert width_ms(policy_of("web-client", "here")) < 300
    assert width_ms(Policy(base_ms=1_000, cap_ms=30_000)) > 3_000


@pytest.mark.parametrize(
    ("policy", "failures", "bounds"),
    [
        (Policy(base_ms=100, cap_ms=300), 0, (0, 0)),
        (Policy(base_ms=100, cap_ms=300, first_ms=40), 0, (0, 40)),
        (Policy(base_ms=100, cap_ms=300), 2, (0, 200)),
        (Policy(base_ms=100, cap_ms=300, jitter="none"), 3, (300, 300)),
        (Policy(base_ms=100, cap_ms=300, jitter="none", first_ms=40), 0, (40, 40)),
        (Policy(base_ms=100, cap_ms=300, jitter="added", jitter_ms=(10, 50)), 1, (110, 150)),
        (Policy(base_ms=100, cap_ms=120, jitter="added", jitter_ms=(10, 50)), 1, (110, 120)),
        (Policy(base_ms=100, cap_ms=100, jitter="added", jitter_ms=(10, 50)), 9, (100, 100)),
        (Policy(base_ms=100, cap_ms=300, jitter="added", jitter_ms=(10, 50)), 0, (0, 0)),
    ],
)
def test_each_jitter_has_its_bounds(policy: Policy, failures: int, bounds: tuple[float, float]) -> None:
    assert policy.bounds_ms(failures) == bounds
    low, high = bounds
    assert policy.spread(failures) == pytest.approx((high - low) / 12**0.5 / ((high + low) / 2) if high else 0.0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("web-clent", ["my.yaml at retry: no policy 'web-clent'", "did you mean 'web-client'?"]),
        ("", ["no policy ''", "one of default, web-client"]),
        ("../policies/default", ["no policy"]),
        (7, ["my.yaml at retry: is int", "a policy's name or a mapping"]),
        ({"capp_ms": 1}, ["my.yaml at retry.capp_ms: unknown key", "did you mean 'cap_ms'?"]),
        ({"jitter": "fulll"}, ["my.yaml at retry.jitter"]),
        ({"base_ms": -1}, ["my.yaml at retry.base_ms"]),
        ({"cap_ms": 1}, ["my.yaml at retry.cap_ms: is less than base_ms, 100"]),
        ({"jitter": "added", "jitter_ms": [5, 1]}, ["my.yaml at retry.jitter_ms: 5 is more than 1"]),
        ({"jitter_ms": [0, 5]}, ["my.yaml at retry.jitter_ms: has no meaning for jitter full"]),
    ],
)
def test_a_mistake_names_file_key_and_nearest_word(value: object, words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        policy_of(value, "my.yaml")  # type: ignore[arg-type]
    assert all(word in str(raised.value) for word in words), raised.value


def test_a_mapping_is_a_policy_and_survives_being_written_down() -> None:
    policy = policy_of({"base_ms": 1, "jitter": "added", "jitter_ms": [0, 9], "fatal": [4001]}, "my.yaml")
    assert policy == Policy(base_ms=1, jitter="added", jitter_ms=(0, 9), fatal=(4001,))
    assert policy_of(msgspec.yaml.decode(msgspec.yaml.encode(policy)), "again") == policy
    assert [Backoff(policy, Most()).is_fatal(code) for code in (4001, 1006)] == [True, False]
