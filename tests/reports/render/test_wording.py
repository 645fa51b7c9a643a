"""Numbers, states and foreign text, as they are put into words."""

from __future__ import annotations

import shlex
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.judgement import Moved
from reports.render import wording
from tests.reports.judgements import ANSI, BROKEN, HOSTILE, HUGE, RTL, back, cannot_say, go, hostile, witness


@given(st.text(max_size=40) | st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=40))
def test_nothing_unseen_is_left_in_a_shown_text(text: str) -> None:
    seen = wording.shown(text)
    assert not [char for char in seen if unicodedata.category(char) in wording.UNSHOWN]
    seen.encode()


@pytest.mark.parametrize("text", ["plain", "späße 漢字 שלום", "a | b", ""])
def test_what_can_be_seen_is_shown_as_it_is(text: str) -> None:
    assert wording.shown(text) == text


@pytest.mark.parametrize("text", [ANSI, RTL, BROKEN, "line\nline"])
def test_what_cannot_be_seen_is_written_as_an_escape(text: str) -> None:
    assert "\\" in wording.shown(text)


def test_a_huge_text_is_cut_and_its_size_told() -> None:
    seen = wording.shown(HUGE)
    assert len(seen) < wording.LIMIT + 50
    assert "5\u202f000\u202f000 characters" in seen


def test_escapes_count_towards_the_limit() -> None:
    assert len(wording.shown("\x1b" * 1000, 40)) == 41


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ws://user:secret@h/p?token=secret", "ws://h/p?…"),
        ("run --target wss://h:1/p#secret now", "run --target wss://h:1/p?… now"),
        ("ws://127.0.0.1:8000/ws", "ws://127.0.0.1:8000/ws"),
        ("no address", "no address"),
    ],
)
def test_addresses_lose_what_may_be_a_credential(text: str, left: str) -> None:
    assert wording.without_credentials(text) == left


def test_a_fault_says_what_was_asked_and_what_was_measured_in_few_words() -> None:
    latency, down = go().faults
    assert (wording.asked(latency), wording.measured(latency)) == ("150 ms, jitter 20 ms, down", "151 ms")
    assert (wording.asked(down), wording.measured(down)) == ("down", "new connections refused 6 of 6")


def test_a_fault_without_a_reading_says_why() -> None:
    fault = replace(go().faults[0], measured={"value": None, "reason": "too few pings"}, end_s=None)
    assert wording.measured(fault) == "too few pings"
    assert wording.when(fault) == "16–never healed"


@pytest.mark.parametrize(("unrecovered", "disconnected", "state"), [(1, 30, "lost"), (0, 30, "back"), (0, 0, "uncut")])
def test_a_faults_state_is_whether_its_users_came_back(unrecovered: int, disconnected: int, state: str) -> None:
    assert wording.fault_state(replace(go().faults[0], unrecovered=unrecovered, disconnected=disconnected)) == state


def test_an_events_budget_is_measured_by_what_its_gate_judged() -> None:
    event = replace(go().events[0], p95_ms=5_000.0, judged_ms=900.0, budget_ms=1000.0, budget_percent=95.0)
    assert wording.budget_used(event) == pytest.approx(0.9)
    assert wording.budget_used(replace(event, judged_ms=None)) is None
    assert wording.budget_used(replace(event, budget_ms=None)) is None


def test_a_command_with_hostile_ids_is_three_words_to_a_shell() -> None:
    command = wording.show_command(hostile(), witness("x", session="$(reboot)`x`;'", turn=HOSTILE))
    assert len(shlex.split(command)) == 4
    assert shlex.split(command)[:2] == ["gauntlet", "show"]


def test_running_again_takes_the_seed_that_was_drawn() -> None:
    assert wording.again_command(go()) == "gauntlet run smoke --label build=3f9c2d1 --seed 20261124"
    assert wording.again_command(replace(go(), manifest={})) is None
    assert "s3cret" not in (wording.again_command(hostile()) or "")


def test_the_control_users_are_counted_apart() -> None:
    assert wording.about_control(go()).startswith("30 control users: ")
    alone = replace(go(), turns=go().turns.assign(cohort="treated"))
    assert wording.about_control(alone) == "no control users"


def test_a_list_says_how_many_more_there_are() -> None:
    assert wording.listed(("a: why", "b (why)", "c"), 2) == "a, b and 1 more"
    assert wording.listed((), 2) == "nothing"


def test_a_gate_on_a_rate_says_a_second() -> None:
    one = replace(go().gates[0], unit="per_s", observed=24.75)
    assert wording.gate_observed(one) == "24.8/s"
    assert wording.gate_observed(replace(one, observed=None)) == "—"


def test_behind_a_word_of_the_books_stand_its_endings() -> None:
    books = replace(
        go().books,
        outcomes={"ok": 90, "refused": 4, "degraded": 1, "timeout": 2, "failed": 1, "throttled": 3, "cut": 2},
    )
    assert wording.behind(books, "ok") == " (degraded 1, refused 4)"
    assert wording.behind(books, "failed") == " (timeout 2)"
    assert wording.behind(books, "censored") == " (cut 2, throttled 3)"
    assert wording.behind(replace(books, outcomes={"ok": 3, "failed": 1}), "failed") == ""


def test_a_recovery_says_by_how_many_a_percentile_was_not_reached() -> None:
    fault = replace(go().faults[1], back=back(30, 4))
    assert (wording.reached(fault.back, "p50"), wording.reached(fault.back, "p95")) == ("0.6", "not reached by 4 of 30")
    assert wording.back(fault) == "0.6 / not reached by 4 of 30"
    assert wording.back(go().faults[1]) == "0.6 / 2.4"
    assert wording.back(go().faults[0]) == wording.reached(None, "p50") == "—"


def test_how_an_effect_is_known_says_which_way_was_only_read_back() -> None:
    fault = replace(go().faults[0], by="pings", measured={"direction": "read back, not measured"})
    assert wording.certain(fault) == "by pings; direction: read back, not measured"
    healed = replace(fault, measured={"direction": "both", "after_heal": "refused"})
    assert wording.certain(healed) == "by pings; new connection after the heal: refused"
    assert wording.certain(replace(fault, measured={"direction": "both"})) == "by pings"
    assert wording.certain(replace(fault, by="", measured={"direction": ["x"]})) == ""


def test_sessions_that_acted_are_counted_of_those_there_were() -> None:
    fault = replace(go().faults[1], measured={"what": "sessions that did it", "value": 9, "of": 15, "unit": "sessions"})
    assert wording.measured(fault) == "sessions that did it 9 of 15"


def test_faults_of_our_own_clients_are_said_to_touch_nobody_else() -> None:
    assert wording.on_our_side(go()) == ""
    said = wording.on_our_side(cannot_say())
    assert "mass-disconnect" in said
    assert "only the sessions of this run" in said


def test_an_experiment_is_told_with_what_speaks_against_it() -> None:
    result = cannot_say().experiment
    assert result is not None
    assert wording.about_experiment(result) == (
        "jam-heal-short (short): Nobody reconnects. [3 reconnects where none was expected; CANNOT SAY: self]"
    )


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (None, ""),
        (Moved(elsewhere=0, of=0, nodes=1), "resumed on another node: unknown, only one node was seen"),
        (Moved(elsewhere=0, of=9, nodes=2), "resumed on another node: 0 of 9, so whether a session can be is unknown"),
        (Moved(elsewhere=4, of=9, nodes=2), "resumed on another node: 4 of 9"),
    ],
)
def test_none_that_resumed_elsewhere_is_no_proof_that_one_can(moved: Moved | None, said: str) -> None:
    assert wording.about_nodes(replace(go(), moved=moved)) == said


def test_where_everybody_meets_the_fault_there_is_no_control_to_miss() -> None:
    judgement = replace(go(), turns=go().turns.assign(cohort="treated"))
    assert wording.about_control(judgement) == "no control users"
    told = replace(judgement, manifest={**judgement.manifest, "scope": "backend"})
    assert "faults on the backend itself touch everybody" in wording.about_control(told)
