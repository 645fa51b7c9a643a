"""Our own client against its policy: each mistake is found by its kind alone, and full jitter never is one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from loadtests.retry import Backoff, Policy, policy_of
from reports import policies
from reports.clients import Misstep, Outage
from reports.judgement import Check
from reports.recovery import Recovery
from reports.replay import replay_rows
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
    assert (story.check("reconnect", DOWN).verdict, story.check("reconnect", DOWN).violations) == ("unknown", 0)


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


def test_a_checker_counts_more_missteps_than_the_log_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.clients.KEPT_MISSTEPS", 1)
    story = Story()
    for session in range(3):
        story.connect(session, 100)
        story.connect(session, 5_000)
        story.leave(session, 60_000)
    sockets = client_checks(story)["sockets"]
    assert (sockets.violations, sockets.kinds, len(sockets.witnesses)) == (3, {"two-sockets": 3}, 1)


# -- limits, from just inside to just outside --------------------------------------------------------------------------

STEP_MS, SINCE_NS = 1_000_000, 5_000_000_000


def outage(
    delays_ms: Sequence[float] = (), *, session: int = 0, attempts: int = 0, lasted_ms: float = 1_000.0, **about: Any
) -> Recovery:
    """A recovery with these waits; ``row`` of its close is the session's number."""
    one = Outage(
        session, "treated", about.pop("before", 0), SINCE_NS, session, 1006, attempts=attempts or len(delays_ms),
        delays_ns=[round(delay * STEP_MS) for delay in delays_ms], **about,
    )  # fmt: skip
    if one.ready_ns is None:
        one.end_ns = SINCE_NS + round(lasted_ms * STEP_MS)
    return Recovery(one, "w1", SINCE_NS, 0, censored=False, late=False)


BOUND = Policy(base_ms=100, cap_ms=800, attempts=10)


@pytest.mark.parametrize(
    ("attempts", "about", "unbounded"),
    [
        (34, {}, False),
        (35, {}, True),
        (34, {"ready_ns": SINCE_NS + 1_000 * STEP_MS}, False),
        (35, {"ready_ns": SINCE_NS + 1_000 * STEP_MS}, True),
        (38, {"dropped": 1, "prompted": {0}}, False),
        (39, {"dropped": 1, "prompted": {0}}, True),
        (18, {"lasted_ms": 200.0}, False),
        (19, {"lasted_ms": 200.0}, True),
    ],
)
def test_attempts_are_bounded_by_time_rounds_and_what_messages_call_for(
    attempts: int, about: dict[str, Any], unbounded: bool
) -> None:
    """Four steps to the cap in each round of ten, one more each eighth of a cap, eight by chance, two for a message."""
    found = policies.retries([outage(attempts=attempts, **about)], [], BOUND)
    assert list(found.texts) == ["unbounded"] * unbounded
    assert [(one.kind, one.session, one.row, one.at_ns) for one in found.found] == [
        ("unbounded", 0, 0, SINCE_NS)
    ] * unbounded


@pytest.mark.parametrize("policy", [Policy(attempts=1), Policy(base_ms=100, cap_ms=800, factor=1.0, attempts=5)])
def test_where_no_round_reaches_the_cap_there_is_no_backoff_to_hold_it_to(policy: Policy) -> None:
    assert not policies.retries([outage(attempts=60, lasted_ms=1.0)], [], policy).texts


@pytest.mark.parametrize("cap_ms", [0, 1])
@pytest.mark.parametrize(("attempts", "unbounded"), [(809, False), (810, True)])
def test_the_shortest_cap_is_a_millisecond(cap_ms: int, attempts: int, unbounded: bool) -> None:
    policy = Policy(base_ms=cap_ms, cap_ms=cap_ms, attempts=1_000)
    found = policies.retries([outage(attempts=attempts, lasted_ms=100.0)], [], policy)
    assert list(found.texts) == ["unbounded"] * unbounded


def test_only_missteps_of_its_kind_are_a_checker_s() -> None:
    twice, fatal = Misstep("two-sockets", 1, 2, 3), Misstep("after-fatal", 4, 5, 6)
    assert policies.retries([], [twice, fatal], BOUND).found == [fatal]
    assert policies.sockets([twice, fatal]).found == [twice]


def tried(*waits: Sequence[float]) -> list[Recovery]:
    """One outage each; the first wait is that before the attempt made at once."""
    return [outage((0.0, *some), session=i) for i, some in enumerate(waits)]


def spread(mean_ms: float, share: float, count: int = 10) -> list[float]:
    """Half below and half above, so that the deviation is exactly this share of the mean."""
    return [mean_ms * (1 - share), mean_ms * (1 + share)] * (count // 2)


def kinds_of(found: policies.Missteps) -> list[str]:
    return sorted(found.texts)


@pytest.mark.parametrize(
    ("share", "mean_ms", "expected"),
    [(0.0, 1_000, ["no-jitter"]), (0.02, 1_000, ["no-jitter"]), (0.05, 1_000, []), (0.2, 1_000, []), (0.0, 1.5, ["no-jitter"]),
     (0.0, 1.0, [])],
)  # fmt: skip
def test_waits_that_deviate_by_less_than_a_twentieth_have_no_jitter(
    share: float, mean_ms: float, expected: list[str]
) -> None:
    """Of a millisecond or less nothing can be said."""
    waits = spread(mean_ms, share)
    assert kinds_of(policies.backoff(tried(*((one, one) for one in waits)), POLICY)) == expected


def test_nine_outages_show_nothing_and_two_attempts_no_policy() -> None:
    assert kinds_of(policies.backoff(tried(*[(100.0, 200.0)] * 9), POLICY)) == []
    assert kinds_of(policies.backoff(tried(*[(100.0,)] * 20), POLICY)) == []


def test_the_witness_against_a_policy_is_who_tried_most_often() -> None:
    some = [*tried(*[(100.0, 200.0)] * 10), outage((0.0, 100.0, 200.0, 400.0), session=77)]
    found = policies.backoff([*some, *tried(*[(100.0, 200.0)] * 2)], POLICY)
    assert [(one.kind, one.session) for one in found.found] == [("no-jitter", 77)]


@pytest.mark.parametrize(
    ("steps", "last", "expected"),
    [
        (4, 1.0, ["no-growth"]),
        (4, 1.49, ["no-growth"]),
        (4, 1.5, []),
        (4, 2.0, []),
        (3, 1.0, []),
        (5, 1.0, ["no-growth"]),
    ],
)
def test_waits_must_grow_where_the_policy_makes_them_eight_times_as_long(
    steps: int, last: float, expected: list[str]
) -> None:
    """The policy doubles: after four attempts the ceiling has grown eightfold, and half as much again would do."""
    waits = [[one] * (steps - 1) + [one * last] for one in spread(100.0, 0.2)]
    assert kinds_of(policies.backoff(tried(*waits), POLICY)) == expected


def test_growth_is_looked_for_as_far_as_ten_outages_go() -> None:
    """Shorter ones beside them hide nothing."""
    waits = [[one] * 5 for one in spread(100.0, 0.2)]
    assert kinds_of(policies.backoff(tried(*waits, (100.0, 200.0)), POLICY)) == ["no-growth"]


def test_after_the_last_attempt_of_a_round_waits_begin_from_the_base() -> None:
    waits = [[one, 2 * one, one, one, one] for one in spread(100.0, 0.2)]
    assert kinds_of(policies.backoff(tried(*waits), Policy(base_ms=100, attempts=3))) == []
    assert kinds_of(policies.backoff(tried(*waits), POLICY)) == ["no-growth"]


def test_a_policy_of_one_attempt_has_no_waits_that_could_grow() -> None:
    """However long the one before it is."""
    some = tried(*[(100.0, 100.0)] * 10)
    assert kinds_of(policies.backoff(some, Policy(base_ms=100, first_ms=3_000, attempts=1))) == []


def again(*firsts_ms: float | None) -> list[Recovery]:
    """Later outages with these first waits; None: it came back with its first attempt."""
    return [
        outage((0.0,) if first is None else (0.0, first), session=i, before=1) for i, first in enumerate(firsts_ms, 40)
    ]


@pytest.mark.parametrize(
    ("firsts", "reset"),
    [
        ((310,) * 5, False),
        ((310,) * 4, True),
        ((300,) * 5, True),
        ((0, 375, 375, 375, 375), True),
        ((400,) * 5 + (None,) * 5, False),
        ((None,) * 20, True),
    ],
)
def test_a_first_wait_of_twice_the_base_and_a_bit_was_not_reset(firsts: tuple[float | None, ...], reset: bool) -> None:
    found = policies.backoff(again(*firsts), POLICY)
    assert kinds_of(found) == ([] if reset else ["no-reset"])
    assert [one.session for one in found.found] == ([] if reset else [40])


def test_a_first_outage_has_nothing_to_reset() -> None:
    assert kinds_of(policies.backoff(tried(*[(5_000.0,)] * 9), POLICY)) == []


def late(session: int, *dials_ms: float, window: str = "w1", **about: Any) -> Recovery:
    """Tried at these times, counted from the heal."""
    one = outage(session=session, dials_ns=[SINCE_NS + round(at * STEP_MS) for at in dials_ms], **about)
    return replace(one, window=window)


def test_who_backed_off_before_the_heal_is_of_the_herd() -> None:
    """Two attempts before it, and the third at the heal or after: what it could have waited is twice the base."""
    some = [late(i, -300, -200, 100 if i else 0, 500) for i in range(20)]
    (one,) = policies.herds(some, POLICY)
    assert (one.window, one.came_ms, set(one.spread_ms)) == ("w1", (0.0, *[100.0] * 19), {200.0})
    assert one.first.outage.session == 0


@pytest.mark.parametrize(
    "stray",
    [late(19, -300, 100), late(19, -300, -200), late(19, -300, -200, 100, window=""), late(19, -300, -200, 100, prompted={2}),
     late(18, -300, -200, 100)],
)  # fmt: skip
def test_who_shows_no_backoff_does_not_make_a_herd(stray: Recovery) -> None:
    """Nor who belongs to no fault, came for a message, or was there before."""
    some = [late(i, -300, -200, 100) for i in range(19)]
    assert policies.herds([*some, stray], POLICY) == []
    assert policies.herds([late(i, -300, -200, 100, window="") for i in range(30)], POLICY) == []


def herd_of(*came_ms: float, ceiling_ms: float = 1_000.0) -> policies.Herd:
    return policies.Herd("w1", came_ms, (ceiling_ms,) * len(came_ms), outage(session=7))


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ([0.0] * 17 + [200.0, 700.0, 900.0], ["in-step"]),
        ([0.0] * 17 + [200.1, 700.0, 900.0], []),
        ([700.0] * 17 + [0.0, 500.0, 900.0], ["in-step"]),
        ([0.0, 250.0] + [50.0 + i for i in range(18)], ["in-step"]),
        ([50.0 * i for i in range(20)], []),
    ],
)
def test_nine_in_ten_within_a_fifth_of_the_ceiling_are_in_step(came: list[float], expected: list[str]) -> None:
    found = policies.herd([herd_of(*came)], 1.0)
    assert (list(found.texts), [one.session for one in found.found]) == (expected, [7] * len(expected))


@pytest.mark.parametrize(
    ("within", "share", "expected"), [(5, 0.25, []), (6, 0.25, ["peak"]), (20, 1.0, []), (5, 0.24, ["peak"])]
)
def test_a_second_s_peak_may_be_as_large_as_declared(within: int, share: float, expected: list[str]) -> None:
    came = [*(1_000.0 * i / (within - 1) for i in range(within)), *(2_500.0 + 1_600 * i for i in range(20 - within))]
    assert list(policies.herd([herd_of(*came, ceiling_ms=300.0)], share).texts) == expected


@pytest.mark.parametrize(("attempts", "unbounded"), [(21, False), (22, True)])
def test_where_the_base_is_the_cap_a_round_has_one_step(attempts: int, unbounded: bool) -> None:
    found = policies.retries([outage(attempts=attempts)], [], Policy(base_ms=800, cap_ms=800, attempts=10))
    assert list(found.texts) == ["unbounded"] * unbounded


def test_a_policy_that_is_broken_by_many_has_one_witness_a_kind() -> None:
    found = policies.backoff(tried(*[(100.0,) * 5] * 12), POLICY)
    assert sorted(one.kind for one in found.found) == ["no-growth", "no-jitter"]


# -- a product's own policy --------------------------------------------------------------------------------------------

WEB = policy_of("web-client", "here")


def web_client(dice: random.Random) -> Iterator[float]:
    backoff = Backoff(WEB, dice)
    while (wait_ms := backoff.failed()) is not None:
        yield wait_ms
    yield from iter(lambda: float(WEB.cap_ms), None)


def web_client_in_step(_: random.Random) -> Iterator[float]:
    yield from (1_000.0 * 2**attempt for attempt in range(5))
    yield from iter(lambda: float(WEB.cap_ms), None)


@pytest.mark.parametrize("seed", range(6))
def test_the_web_client_that_does_as_it_is_meant_to_is_never_a_finding(seed: int) -> None:
    """Its herd is its policy's, which no checker holds against it unless the contract limits it."""
    found = client_checks(cut(web_client, seed), WEB)
    assert {id_: check.verdict for id_, check in found.items()} == dict.fromkeys((*CLIENT, "self"), "valid")


@pytest.mark.parametrize(
    ("waits", "expected"),
    [(web_client_in_step, {"no-jitter", "in-step"}), (fixed, {"no-growth", "no-jitter"}), (frantic, {"unbounded", "no-growth"})],
)  # fmt: skip
def test_mistakes_are_told_from_its_own_little_jitter(waits: Waits, expected: set[str]) -> None:
    found = client_checks(cut(waits), WEB)
    assert expected <= {kind for check in found.values() for kind in check.kinds}


@pytest.mark.parametrize("seed", range(6))
def test_its_herd_breaks_a_declared_limit_and_full_jitter_over_as_long_does_not(seed: int) -> None:
    herds = policies.herds(cut(web_client, seed).assess(DOWN).recovered, WEB)
    assert (len(herds), list(policies.herd(herds, 0.25).texts)) == (1, ["peak"])
    assert list(policies.herd(herds, 1.0).texts) == []


def test_a_policy_without_jitter_is_held_to_none_and_its_herd_to_the_limit() -> None:
    policy = Policy(base_ms=1_000, cap_ms=30_000, jitter="none")
    story = cut(web_client_in_step)
    assert not {kind for check in client_checks(story, policy).values() for kind in check.kinds}
    assert list(policies.herd(policies.herds(story.assess(DOWN).recovered, policy), 0.25).texts) == ["peak"]


def test_a_code_that_the_policy_itself_does_not_come_back_after_is_fatal() -> None:
    story = Story()
    story.connect(0, 100)
    story.close(0, 500, 4001)
    story.connect(0, 900)
    story.refused(1, 100, 4001)
    story.dial(1, 200)
    rows = story.read()
    found = replay_rows(story.contract, rows, story.strings, fatal=(4001,)).missteps
    assert (found.counts, [one.session for one in found.kept]) == ({"after-fatal": 2}, [1, 0])
    assert not replay_rows(story.contract, rows, story.strings).missteps.counts


@pytest.mark.parametrize(("share", "expected"), [(0.0044, ["no-jitter"]), (0.005, [])])
def test_a_third_of_what_the_product_s_own_jitter_spreads_waits_by_is_jitter(share: float, expected: list[str]) -> None:
    """The second wait deviates by 1.4 % of its mean."""
    waits = spread(1_050.0, share)
    assert kinds_of(policies.backoff(tried(*((one, one, one) for one in waits)), WEB)) == expected
