"""Our own client against its policy: each mistake is found by its kind alone, and full jitter never is one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from loadtests.retry import Backoff, Policy
from reports import policies
from reports.judgement import Check
from tests.reports.stories import Story, window

POLICY = Policy(base_ms=100, cap_ms=3_000)
USERS, CUT_MS, HEAL_MS = 40, 5_000.0, 11_000.0
DOWN = window(CUT_MS, HEAL_MS)
CLIENT = ("retries", "backoff", "herd", "sockets")
Waits = Callable[[random.Random], Iterator[float]]


def full_jitter(dice: random.Random) -> Iterator[float]:
    backoff = Backoff(POLICY, dice)
    while (wait_ms := backoff.failed()) is not None:
        yield wait_ms
    yield from iter(lambda: float(POLICY.cap_ms), None)


def fixed(_: random.Random) -> Iterator[float]:
    yield from iter(lambda: 1_000.0, None)


def flat_jitter(dice: random.Random) -> Iterator[float]:
    yield from iter(lambda: dice.uniform(200, 1_000), None)


def in_step(_: random.Random) -> Iterator[float]:
    attempt = 0
    while True:
        yield float(min(POLICY.cap_ms, POLICY.base_ms * 2**attempt))
        attempt += 1


def frantic(dice: random.Random) -> Iterator[float]:
    yield from iter(lambda: dice.uniform(5, 15), None)


def cut(waits: Waits, seed: int = 1, times: int = 1, users: int = USERS) -> Story:
    """Everybody is cut at one moment, and comes back as the waits say."""
    story = Story()
    for user in range(users):
        dice = random.Random(f"{seed}:{user}")
        story.connect(user, 100, "treated")
        kept = waits(dice)
        for again in range(times):
            plenty = [next(kept) for _ in range(800)] if waits is frantic else [next(kept) for _ in range(60)]
            story.back_off(user, CUT_MS + again * 20_000, HEAL_MS + again * 20_000, plenty)
        story.leave(user, CUT_MS + times * 20_000)
    return story


def client_checks(story: Story, policy: Policy = POLICY) -> dict[str, Check]:
    checks = {check.id: check for check in story.assess(DOWN, policy=policy).checks}
    others = {id_ for id_, check in checks.items() if check.verdict == "invalid"} - {*CLIENT, "self"}
    assert others <= {"close"}  # later cuts stand clear of the fault
    return {id_: checks[id_] for id_ in (*CLIENT, "self")}


def kinds(story: Story) -> set[str]:
    return {kind for check in client_checks(story).values() for kind in check.kinds}


@pytest.mark.parametrize("seed", range(12))
def test_full_jitter_is_never_a_finding_and_always_a_sample(seed: int) -> None:
    found = client_checks(cut(full_jitter, seed))
    assert {id_: check.verdict for id_, check in found.items()} == dict.fromkeys((*CLIENT, "self"), "valid")


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        (fixed, {"no-growth", "no-jitter", "in-step"}),
        (flat_jitter, {"no-growth"}),
        (in_step, {"no-jitter", "in-step"}),
        (frantic, {"unbounded", "no-growth"}),
    ],
)
def test_each_mistake_is_its_own_kind(waits: Waits, expected: set[str]) -> None:
    assert kinds(cut(waits)) == expected


def test_a_mistake_of_ours_is_the_harness_s_and_caps_the_run() -> None:
    """Law 3: no contract declares this client, so its mistakes are ours."""
    found = client_checks(cut(in_step))
    assert (found["backoff"].verdict, found["backoff"].subject) == ("invalid", "client")
    assert found["self"].verdict == "invalid"
    assert "our own client: backoff: all clients wait for the same time" in found["self"].reason


def test_waits_that_are_not_reset_are_found_in_later_outages() -> None:
    def resentful(dice: random.Random) -> Iterator[float]:
        kept = list(zip(range(8), full_jitter(dice), strict=False))
        yield from (wait_ms for _, wait_ms in kept)
        yield from iter(lambda: dice.uniform(0, POLICY.cap_ms), None)

    story = Story()
    for user in range(USERS):
        waits = resentful(random.Random(user))
        story.connect(user, 100, "treated")
        back_ms = story.back_off(user, CUT_MS, HEAL_MS, [next(waits) for _ in range(40)])
        story.back_off(user, back_ms + 100, back_ms + 4_000, [next(waits) for _ in range(40)])
        story.leave(user, 60_000)
    assert "no-reset" in kinds(story)


def test_waits_that_are_reset_are_fine_in_every_later_outage() -> None:
    def afresh(dice: random.Random) -> Iterator[float]:
        while True:
            yield from (wait_ms for _, wait_ms in zip(range(60), full_jitter(dice), strict=False))

    assert not kinds(cut(afresh, times=3))


def test_who_never_tries_again_is_no_backend_s_fault() -> None:
    story = Story()
    for user in range(4):
        story.connect(user, 100, "treated")
        story.close(user, CUT_MS)
        story.row(13, user, 60_000)  # type: ignore[arg-type]  # STOP
    found = client_checks(story)
    assert (found["retries"].kinds, found["retries"].violations) == ({"never-retried": 4}, 4)
    assert story.check("reconnect", DOWN).verdict == "valid"


def test_who_tries_in_vain_is() -> None:
    story = Story()
    story.connect(0, 100, "treated")
    story.back_off(0, CUT_MS, 9e9, [400.0] * 20)
    story.row(13, 0, 60_000)  # type: ignore[arg-type]  # STOP
    assert story.check("reconnect", DOWN).kinds == {"not-back": 1}
    assert not story.check("retries", DOWN).violations


@pytest.mark.parametrize(("users", "outages"), [(9, 0), (10, 10)])
def test_few_outages_show_no_policy(users: int, outages: int) -> None:
    check = cut(fixed, users=users).check("backoff", DOWN, policy=POLICY)
    assert (check.samples, check.verdict) == (outages, "invalid" if outages else "not-exercised")


@pytest.mark.parametrize(("users", "herded"), [(19, 0), (20, 20)])
def test_a_few_are_no_herd(users: int, herded: int) -> None:
    check = cut(in_step, users=users).check("herd", DOWN, policy=POLICY)
    assert (check.samples, check.verdict) == (herded, "invalid" if herded else "not-exercised")


def test_a_herd_that_was_cut_at_different_times_is_one_by_its_heal() -> None:
    story = Story()
    for user in range(USERS):
        story.connect(user, 100, "treated")
        story.back_off(user, CUT_MS + user, HEAL_MS, [float(HEAL_MS - CUT_MS) / 2 - user / 2] * 3)
        story.leave(user, 60_000)
    (one,) = policies.herds(story.assess(DOWN).recovered, POLICY)
    assert len(one.came_ms) == USERS


def test_attempts_that_messages_called_for_are_not_held_against_the_policy() -> None:
    """A user who writes each second makes the page dial each second, whatever its backoff says."""
    story = Story()
    for user in range(USERS):
        story.connect(user, 100, "treated")
        story.close(user, CUT_MS)
        for at_ms in range(int(CUT_MS), int(HEAL_MS), 1_000):
            story.refused(user, at_ms)
            story.drop(user, at_ms)
        story.connect(user, HEAL_MS + user)
        story.turn(user, 1, HEAL_MS + user + 3)
        story.leave(user, 60_000)
    assert not kinds(story)


def test_a_declared_share_bounds_a_second_s_peak() -> None:
    herds = policies.herds(cut(full_jitter).assess(DOWN).recovered, POLICY)
    assert list(policies.herd(herds, 1.0).texts) == []
    assert list(policies.herd(herds, 0.25).texts) == ["peak"]


def test_two_live_sockets_are_a_finding_of_their_own_checker_alone() -> None:
    story = Story()
    story.connect(0, 100)
    story.connect(0, 5_000)
    story.leave(0, 60_000)
    story.connect(1, 100)
    story.close(1, 200, 1000, 32)  # ours
    story.refused(1, 300, 401)
    story.connect(1, 400)
    story.leave(1, 60_000)
    found = client_checks(story)
    assert (found["sockets"].kinds, found["retries"].kinds) == ({"two-sockets": 1}, {"after-fatal": 1})
    assert [witness.session for witness in found["sockets"].witnesses] == ["0"]
