"""A planted defect spares the first turns, then hits one for sure, then its share; who comes back is always served."""

from __future__ import annotations

import pytest

from loadtests.backend.defects import DEFECTS
from loadtests.backend.eventlog import Claim, Entry
from loadtests.backend.planting import EARLY_S, QUIET_S, REFUSED_S, SPARED_CONNECTIONS, Planter, defect_named
from loadtests.backend.script import Script, Step
from loadtests.backend.spoilt_turns import Site
from loadtests.errors import ConfigError

STEPS: Script = tuple(
    Step(delay_ms=1.0, role=role, agent="root", body={})
    for role in ("started", "thinking", "tool-open", "tool-close", "done")
)


def hits(planter: Planter, turns: int, site: Site | None = None) -> list[int]:
    site = site or Site(root="root", legacy_kind="old", nonce="0")
    return [n for n in range(turns) if planter.turn(f"run{n}", lambda wants: STEPS, lambda: site) != STEPS]


def test_the_first_turns_are_spared_the_next_is_hit_and_then_a_tenth() -> None:
    found = hits(Planter(DEFECTS["never-ends"], seed=1), 1000)
    assert found[0] == 10
    assert 60 <= len(found) <= 140


def test_the_same_seed_hits_the_same_turns() -> None:
    one, two, other = (hits(Planter(DEFECTS["silent"], seed), 500) for seed in (1, 1, 2))
    assert one == two != other


def test_a_turn_without_occasion_is_left_alone_and_the_next_with_one_is_hit() -> None:
    planter = Planter(DEFECTS["leaked-content"], seed=1)
    assert hits(planter, 20) == []
    assert planter.planted == 0
    site = Site(root="root", legacy_kind="", nonce="0", foreign_content="secret")
    assert hits(planter, 1, site) == [0]


def test_without_a_defect_nothing_is_hit() -> None:
    planter = Planter(None, seed=1)
    claim = Claim(resumed=True, stream="s", after=0)
    assert hits(planter, 100) == []
    assert planter.replay(claim) == ()
    assert not any(planter.refuses_welcome(0.0, known_user=False) for _ in range(50))


def test_a_defect_of_turns_leaves_resumes_and_connections_alone() -> None:
    planter = Planter(DEFECTS["never-ends"], seed=1, spared_turns=0)
    assert planter.replay(Claim(resumed=True, stream="s", after=0)) == ()
    assert not any(planter.refuses_welcome(0.0, known_user=False) for _ in range(50))


def entries(count: int) -> tuple[Entry, ...]:
    return tuple(
        Entry(stream="s", seq=n, user="u", thread="t", kind="k", at_s=0.0, frame=b"") for n in range(1, count + 1)
    )


@pytest.mark.parametrize(
    ("defect", "missed", "sent"),
    [
        ("replay-repeats", 2, [1, 2, 3]),
        ("replay-repeats", 0, []),
        ("replay-skips", 1, []),
        ("replay-skips", 2, [3]),
        ("replay-skips", 3, [2, 4]),
        ("replay-skips", 0, []),
        ("claims-over-gap", 3, []),
        ("replay-overflowed", 3, [4]),
        ("replay-overflowed", 1, [2]),
    ],
)
def test_every_resume_that_missed_something_is_spoilt(defect: str, missed: int, sent: list[int]) -> None:
    had, *rest = entries(missed + 1)
    claim = Claim(resumed=True, stream="s", after=1, head=missed + 1, missed=tuple(rest), had=(had,))
    planter = Planter(DEFECTS[defect], seed=1)
    for _ in range(10):
        assert [e.seq for e in planter.replay(claim)] == sent
    honest = list(range(2, missed + 2))
    assert planter.planted == (0 if sent == honest else 10)


def never_ready() -> Planter:
    planter = Planter(DEFECTS["never-ready"], seed=1)
    for _ in range(SPARED_CONNECTIONS):
        assert not planter.refuses_welcome(0.0, known_user=False)
    return planter


def test_early_connections_are_hit_the_first_for_sure_and_never_many_in_a_row() -> None:
    planter = never_ready()
    found = [planter.refuses_welcome(1.0, known_user=False) for _ in range(200)]
    assert found[0] is True
    assert 20 <= sum(found) <= 60
    assert "1111" not in "".join(str(int(hit)) for hit in found)
    assert not any(planter.refuses_welcome(1.1 + EARLY_S, known_user=False) for _ in range(100))


def test_who_is_known_or_may_be_coming_back_is_served() -> None:
    planter = never_ready()
    assert not any(planter.refuses_welcome(1.0, known_user=True) for _ in range(20))
    planter.cut(1.0)
    assert not any(planter.refuses_welcome(QUIET_S, known_user=False) for _ in range(20))
    assert planter.refuses_welcome(1.0 + QUIET_S, known_user=False)


def test_a_misspelt_defect_names_the_nearest() -> None:
    assert defect_named("silent").name == "silent"
    with pytest.raises(ConfigError, match="never-ready"):
        defect_named("never-redy")


def test_a_place_is_struck_only_by_its_own_defect_and_after_the_spared_turns() -> None:
    planter = Planter(DEFECTS["resend-ignored"], seed=1)
    assert not planter.strikes("resend", "r0")
    assert hits(planter, 10) == []
    assert not planter.strikes("cut", "r1")
    assert planter.strikes("resend", "r1")
    found = [planter.strikes("resend", f"r{n}") for n in range(200)]
    assert 5 <= sum(found) <= 40
    assert planter.planted == 1 + sum(found)
    assert planter.forgets


def test_a_stop_is_spoilt_where_there_is_something_left_to_go_on_with() -> None:
    ending: Script = (Step(delay_ms=0.0, role="failed", agent="root"),)
    planter = Planter(DEFECTS["cancel-ignored"], seed=1)
    assert planter.stop("r1", (), ending) == (ending, False)
    spoilt, wedged = planter.stop("r2", STEPS, ending)
    assert [step.role for step in spoilt] == [step.role for step in STEPS]
    assert not wedged
    assert Planter(DEFECTS["stuck-after-cancel"], seed=1).stop("r1", STEPS, ending) == (ending, True)
    assert Planter(None, seed=1).stop("r1", STEPS, ending) == (ending, False)


@pytest.mark.parametrize(("defect", "after", "upto"), [("claims-behind", 3, 2), ("claims-behind", 1, None)])
def test_a_log_is_rewound_behind_what_the_client_has(defect: str, after: int, upto: int | None) -> None:
    planter = Planter(DEFECTS[defect], seed=1)
    assert planter.rewind(Claim(resumed=True, stream="s", after=after, head=after)) == upto
    assert planter.planted == (upto is not None)
    assert Planter(DEFECTS["stream-reset-ignored"], seed=1).rewind(Claim(resumed=True, stream="s", after=after)) == 0


def test_who_was_cut_is_remembered_for_a_defect_alone() -> None:
    planters = Planter(DEFECTS["throttles-after-cut"], seed=1), Planter(None, seed=1)
    for planter in planters:
        for _ in range(SPARED_CONNECTIONS + 1):
            planter.refuses_welcome(0.0, known_user=False)
        planter.cut(1.0, "st_1", "")
    assert [(planter.cuts, planter.cut_off) for planter in planters] == [(1, {"st_1"}), (1, set())]


def test_nobody_is_let_in_for_a_while_after_the_first_cut_and_then_everybody() -> None:
    planter = Planter(DEFECTS["refuses-return"], seed=1)
    assert planter.admits(0.0)
    for _ in range(SPARED_CONNECTIONS + 1):
        planter.refuses_welcome(0.0, known_user=False)
    planter.cut(1.0)
    planter.cut(20.0)
    assert planter.cuts == 2
    assert not planter.admits(1.0 + REFUSED_S - 0.1)
    assert planter.admits(1.0 + REFUSED_S)
