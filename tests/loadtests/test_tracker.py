"""The judge's rules for one session, as small histories: each kind of finding once, beside clean twins without any."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.findings import KINDS
from loadtests.history import OUTCOMES
from loadtests.tracker import KEPT_KEYS, KEPT_TURNS
from tests.loadtests.histories import CLEAN, Story, kinds

R, N, B = "reference", "netra", str(Path(__file__).with_name("busy.yaml"))
CHUNK, EVENTS = "content", "start think open close done"
CANCELLED, REFUSED, DEGRADED = (f"${OUTCOMES.index(name) + 1}" for name in ("cancelled", "refused", "degraded"))
TWO_TOOLS = "send start think open:a.e1 open:b.e2 close:b.e2 close:a.e1 done"

CLEAN_HISTORIES = {
    "one turn": (R, f"{CLEAN} stop"),
    "one turn without cursors": (N, f"{CLEAN} stop"),
    "two turns": (R, f"{CLEAN} {CLEAN} stop"),
    "tools side by side, crossed": (R, f"{TWO_TOOLS} stop"),
    "one tool twice at once, by execution": (R, "send start think open:a.e1 open:a.e2 close:a.e1 close:a.e2 done stop"),
    "tools paired by name": (N, "send start think open:a open:b close:a close:b done stop"),
    "tools paired by count": (N, "send start think open open close close done stop"),
    "a close without ids fits any open tool": (N, "send start think open:a.e1 close done stop"),
    "nested agent with its own start and end": (
        R, "send start/supervisor start/analyst think/analyst done/analyst think/supervisor open close done/supervisor stop",
    ),
    "nested agent before the root is known by name": (
        R, "send start/scout think/scout open close done/supervisor stop",
    ),
    "no root name: the first to start is the root": (
        N, "send start/x start/y think/y done/y open/x close/x done/x stop",
    ),
    "content and other come anywhere in the turn": (R, "send other start content think open other close content done stop"),
    "other after the end": (R, f"{CLEAN} other stop"),
    "failed at once, nothing demanded": (R, "send start fail stop"),
    "failed with a tool open": (R, "send start think open fail stop"),
    "censored by the end of the run": (R, "send start stop"),
    "censored before any event": (R, "send stop"),
    "resumed without a gap": (R, "send start gone1001 back kept>3 think open close done stop"),
    "resume whose head is what was seen": (R, f"{CLEAN} gone1001 back kept>5 stop"),
    "declared loss explains what is missing": (R, "send start gone1001 back lost done stop"),
    "declared loss, then a whole turn": (R, f"send start (think) gone1001 back lost done {CLEAN} stop"),
    "recovered out of order": (N, "send start gone1001 back close+recovered open+recovered think+recovered done+recovered stop"),
    "recovered after the end": (
        N, "send start gone1001 back done think+recovered open+recovered close+recovered stop",
    ),
    "a numbered frame of an earlier run": (R, "send think^?@1+stale start@2 think@3 open@4 close@5 done@6 stop"),
    "an end that alone names its agent": (N, "send start think open close done/triage stop"),
    "a frame of an earlier run": (R, "send start think think^?@9+stale open@3 close@4 done@5 stop"),
    "clean close between turns": (R, f"{CLEAN} gone1000 stop"),
    "going away in a turn is a normal close": (R, "send start gone1001 back kept>1 think open close done stop"),
    "our own close in a turn": (R, "send start bye stop"),
    "going away before ready": (R, "unready gone1001 stop"),
    "chunks and their whole": (B, f"send start think open close {CHUNK}$1 {CHUNK}$2 done stop"),
    "chunks over a resume": (B, f"send start think open close {CHUNK}$1 gone1001 back kept>5 {CHUNK}$2 done stop"),
    "refused: nothing more is demanded": (R, f"send start done{REFUSED} stop"),
    "cancelled: nothing more is demanded": (B, f"send start think cancel fail{CANCELLED} stop"),
    "cancelled too late: it had ended": (B, f"{CLEAN} cancel stop"),
    "cancelled, then cut by the run's end": (B, "send start cancel censored stop"),
    "one turn after the other, both asked for at once": (
        B, "send send start^1 think^1 open^1 close^1 done^1 start^2 think^2 open^2 close^2 done^2 stop",
    ),
    "the second is turned away": (B, "send send start^1 fail^2$7 think^1 open^1 close^1 done^1 stop"),
    "the second before the first, one after the other": (
        B, "send send start^2 think^2 open^2 close^2 done^2 start^1 think^1 open^1 close^1 done^1 stop",
    ),
    "two at once where nothing is promised": (
        N, "send send start^1 start^2 think^1 think^2 open^1.a close^1.a open^2.b close^2.b done^1 done^2 stop",
    ),
    "a nested agent begins before the root": (
        B, "send start/nest start/supervisor think done/nest open close done/supervisor stop",
    ),
    "a nested agent begins before the root, of a message that was sent again": (
        B, "send gone1001 back kept>0 resend start/nest start/supervisor think done/nest open close done/supervisor stop",
    ),
    "a tool tried again under its id": (R, "send start think open:a.1 close:a.1 open:a.1 close:a.1 done stop"),
    "nested agents that begin and complete": (
        B, "send start/supervisor think start/nest start/nest done/nest done/nest open close done/supervisor stop",
    ),
    "sent again and executed once": (R, f"send gone1001 back kept>0 resend {EVENTS} stop"),
    "an ack, then the turn": (R, "send other start think open close done stop"),
    "frames outside of any turn": (R, "none^0 other^0 stop"),
    "an event without a number among numbered ones": (N, f"{CLEAN} none^0 stop"),
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN_HISTORIES)
def test_a_legal_history_gives_no_finding(name: str) -> None:
    contract, story = CLEAN_HISTORIES[name]
    assert kinds(contract, story) == []


#: name -> contract, story, kinds of the findings, sorted
DIRTY_HISTORIES = {
    # vocabulary, schema
    "unapproved": (R, "send start none+unapproved think open close done stop", "unapproved"),
    "legacy": (R, "send start none+legacy think open close done stop", "legacy"),
    "deprecated is told and its role counts": (R, "send start think open close done+deprecated stop", "deprecated"),
    "unapproved outside of any turn": (R, "none^0+unapproved stop", "unapproved"),
    "legacy beats schema": (R, "send start none+legacy!4 think open close done stop", "legacy"),
    "not json": (R, f"none^0!1+unapproved@1 {CLEAN} stop", "not-json"),
    "without a type": (R, f"none^0!2+unapproved {CLEAN} stop", "no-type"),
    "wrong type, its role counts": (R, "send start think!4 open close done stop", "wrong-type"),
    "field missing, its role counts": (R, "send start think!8 open close done stop", "field-missing"),
    "deprecated and a field missing": (R, "send start think open close done+deprecated!8 stop", "deprecated field-missing"),
    "an outcome that nobody declared": (R, "send start think open close done!32768 stop", "undeclared-outcome"),
    "a foreign frame of an earlier run": (R, "send start think think^?@9+stale<7 open@3 close@4 done@5 stop", "foreign"),
    # complete
    "no start": (R, "send think@1 open close done stop", "role-missing"),
    "no thinking": (R, "send start open close done stop", "role-missing"),
    "no tool at all": (R, "send start think done stop", "role-missing"),
    "end alone": (R, "send done stop", "role-missing role-missing role-missing"),
    # order
    "thinking before the start": (R, "send think start open close done stop", "misplaced"),
    "thinking before the start, without cursors": (N, "send think start open close done stop", "misplaced"),
    "late fill went back": (R, "send start@1 open@3 think@2 close@4 done@5 stop", "went-back"),
    "late fill of two": (R, "send start@1 close@4 think@2 open@3 done@5 stop", "close-without-open went-back"),
    "late start is one finding, not two": (R, "send think@2 start@1 open@3 close@4 done@5 stop", "misplaced"),
    # pairing
    "close without open": (R, "send start think open:a.e1 close:a.e1 close:b.e2 done stop", "close-without-open"),
    "close before its open": (R, "send start think close:a.e1 open:a.e1 done stop", "close-without-open"),
    "open without close": (R, "send start think open:a.e1 close:a.e1 open:b.e2 done stop", "open-without-close"),
    "wrong execution": (R, "send start think open:a.e1 close:a.e9 done stop", "wrong-execution"),
    "wrong execution without a tool's name": (N, "send start think open.e1 close.e9 done stop", "wrong-execution"),
    "another tool is no wrong execution": (
        R, "send start think open:a.e1 close:b.e9 done stop", "close-without-open open-without-close",
    ),
    "wrong execution among parallel tools": (
        R, "send start think open:a.e1 open:a.e2 close:a.e2 close:a.e9 done stop", "wrong-execution",
    ),
    # terminal
    "begun and never ended": (R, "send start timeout stop", "never-ended"),
    "a nested end is not the turn's": (
        R, "send start/supervisor think open close start/analyst done/analyst timeout stop", "never-ended",
    ),
    "second end": (R, f"{CLEAN} done stop", "second-end"),
    "failed after done": (R, f"{CLEAN} fail stop", "second-end"),
    "done after failed": (R, "send start fail done stop", "second-end"),
    "event after the end": (R, f"{CLEAN} think stop", "after-end"),
    "a nested end after the turn's end": (R, "send start/supervisor think open close done/supervisor done/x stop", "after-end"),
    "end overtakes a tool": (R, "send start@1 think@2 open@3 done@5 close@4 stop", "after-end"),
    "recovered flag excuses nothing where cut turns are resumed": (R, f"{CLEAN} think+recovered stop", "after-end"),
    "late and not marked recovered": (N, f"{CLEAN} think stop", "after-end"),
    # silence
    "silent": (R, "send timeout stop", "silent"),
    "silent under a cut": (R, "send gone1001 back kept>0 timeout stop", "silent-cut"),
    "silent and in doubt": (R, "send gone1001 back kept>0 doubt stop", "silent-cut"),
    "never ready": (R, "mute stop", "never-ready"),
    "a ping unanswered": (R, f"{CLEAN} deaf stop", "unanswered"),
    # duplicate
    "same number again": (R, "send start think@2 think@2 open close done stop", "redelivered"),
    "same number again after the end is not a second end": (R, f"{CLEAN} done@5 stop", "redelivered"),
    "same event id again": (N, "send start think=a think=a open close done stop", "redelivered"),
    "replayed after a resume": (R, "send start think gone1001 back kept>2 think@2 open@3 close done stop", "redelivered"),
    "filled twice": (R, "send start@1 open@3 think@2 think@2 close@4 done@5 stop", "redelivered went-back"),
    # loss
    "hole": (R, "send start (think) open close done stop", "hole"),
    "hole of many is one finding": (R, "send start (think) (open) (close) done stop", "hole"),
    "two holes are two": (R, "send start (think) open (close) done stop", "hole hole"),
    "hole at the stream's first event": (R, "send (start) think open close done stop", "hole"),
    "the end swallowed, seen by the next turn": (R, f"send start think open close (done) timeout {CLEAN} stop", "hole"),
    "a tool's close swallowed": (R, "send start think open (close) done stop", "hole"),
    "hole partly filled": (R, "send start@1 close@4 think@2 done@5 stop", "hole went-back"),
    "hole over a cut": (R, "send start gone1001 back (think) open close done stop", "hole-at-cut"),
    "without cursors a lost event is an incomplete turn": (N, "send start (think) open close done stop", "role-missing"),
    "loss found before a declared one": (R, "send start (think) open gone1001 back lost done stop", "hole"),
    # honesty
    "claimed over a hole": (R, "send start gone1001 back kept>4 (think) (open) close@4 done@5 stop", "claimed-over-hole"),
    "claimed a head and never delivered it": (R, f"{CLEAN} gone1001 back kept>7 stop", "claimed-over-hole"),
    "claimed hole, then one of its own": (
        R, "send start gone1001 back kept>3 content@6 done@7 stop", "claimed-over-hole hole",
    ),
    "hole after a kept claim": (R, "send start gone1001 back kept>2 think (open) close done stop", "hole"),
    "loss declared and partly replayed": (
        R, "send start gone1001 back lost think@2+other-stream done@1 stop", "partial-replay",
    ),
    # declared loss does not excuse silence about the turn
    "declared loss and never an end": (R, "send start gone1001 back lost timeout stop", "never-ended"),
    # leak, phantom
    "foreign turn": (R, "send start think think^?@2<7 open@3 close done stop", "foreign"),
    "continuity claimed by one who knows less": (R, "send start think open gone1001 back kept>1 stop", "claimed-behind"),
    "silent after it was sent again": (R, "send gone1001 back kept>0 resend timeout stop", "silent"),
    "a tool lost among parallel ones is the hole alone": (R, "send start think open:a.1 (open:a.2) close:a.2 close:a.1 done stop", "hole"),
    "a lost beginning before a nested agent is the hole alone": (R, "send (start) start/nest think/nest open close done stop", "hole"),
    "foreign turn under a number of ours": (R, "send start think think^?<7 open close done stop", "foreign"),
    "foreign text in the frame that fills a hole": (R, "send start open@3 think@2<7 close done stop", "foreign"),
    "foreign text in a frame without a turn": (R, "send start think none<7 open close done stop", "foreign"),
    "foreign text in a frame of our own": (R, "send start think<7 open close done stop", "foreign"),
    "foreign beats what else is wrong": (R, "send start think<7!8 open close done stop", "foreign"),
    "foreign of another stream": (R, "send start think^?@40<7+other-stream think open close done stop", "foreign"),
    "phantom": (R, "send start think other^? open close done stop", "unknown-turn"),
    "phantom beats vocabulary": (R, "send start think none^?+unapproved open close done stop", "unknown-turn"),
    # versions
    "unknown version": (R, "send start think+bad-version open close done stop", "version-unknown"),
    "deprecated version is told": (R, "send start think+old-version open close done stop", "version-deprecated"),
    "legacy beats version": (R, "send start none+legacy think open close done stop", "legacy"),
    # streams
    "chunk lost": (B, f"send start think open close {CHUNK}$1 {CHUNK}$3 done stop", "chunk-missing"),
    "first chunk lost": (B, f"send start think open close {CHUNK}$2 done stop", "chunk-missing"),
    "chunk twice": (B, f"send start think open close {CHUNK}$1 {CHUNK}$1 done stop", "chunk-repeated"),
    "chunks swapped": (B, f"send start think open close {CHUNK}$2 {CHUNK}$1 done stop", "misplaced"),
    "the whole differs": (B, f"send start think open close {CHUNK}$1 done+text-differs stop", "text-differs"),
    "a missing chunk alone makes the whole differ": (
        B, f"send start think open close {CHUNK}$1 {CHUNK}$3 done+text-differs stop", "chunk-missing",
    ),
    "a chunk in a hole is the hole alone": (
        B, f"send start think open close {CHUNK}$1 ({CHUNK}) {CHUNK}$3 done+text-differs stop", "hole",
    ),
    # answers
    "poor answer": (R, "send start think open close done+poor-answer stop", "poor-answer"),
    # cancel
    "cancelled and went on": (B, "send start think cancel timeout stop", "cancel-ignored"),
    "cancelled before anything came, and nothing did": (B, "send cancel timeout stop", "silent"),
    "cancelled and ended much later": (B, "send start think cancel timeout open close done stop", "cancel-ignored"),
    "event after a cancelled end": (B, f"send start think cancel fail{CANCELLED} think stop", "after-end"),
    # several turns
    "second turn begins before the first is over": (
        B, "send send start^1 start^2 think^1 open^1 close^1 done^1 think^2 open^2 close^2 done^2 stop", "overlapped",
    ),
    "the first turn begins while the second is under way": (
        B, "send send start^2 start^1 think^2 think^1 open^2 close^2 done^2 open^1 close^1 done^1 stop", "overlapped",
    ),
    # nested agents
    "nested agent never completes": (
        B, "send start/supervisor think start/nest think/nest open close done/supervisor stop", "agent-unfinished",
    ),
    "nested agent completes twice": (
        B, "send start/supervisor think start/nest done/nest done/nest open close done/supervisor stop", "agent-unbegun",
    ),
    # idempotency
    "executed twice after it was sent again": (
        R, "send gone1001 back kept>0 resend start think open close start think open close done stop", "executed-twice",
    ),
    "executed again after its end": (R, f"send gone1001 back kept>0 resend {EVENTS} {EVENTS} stop", "executed-twice"),
    "acknowledged, sent again, never executed": (R, "send other gone1001 back kept>1 resend timeout stop", "never-executed"),
    "an ack is not acceptance": (R, "send other timeout stop", "silent"),
    # close
    "clean close in a turn": (R, "send start gone1000 stop", "closed-early"),
    "clean close before ready": (R, "unready gone1000 stop", "closed-early"),
    "broken": (R, f"{CLEAN} cut stop", "abnormal-close"),
    "broken in a turn": (R, "send start cut back kept>1 think open close done stop", "abnormal-close"),
    "internal error": (R, f"{CLEAN} gone1011 stop", "abnormal-close"),
}  # fmt: skip


@pytest.mark.parametrize("name", DIRTY_HISTORIES)
def test_a_history_gives_exactly_its_findings(name: str) -> None:
    contract, story, expected = DIRTY_HISTORIES[name]
    assert kinds(contract, story) == sorted(expected.split())


def test_every_kind_of_finding_has_a_history() -> None:
    shown = {kind for _, _, expected in DIRTY_HISTORIES.values() for kind in expected.split()}
    assert shown == {kind.name for kind in KINDS}


def test_a_finding_names_its_witness() -> None:
    (found,) = Story().tell("send start think open close done think").found
    assert (found.session, found.turn, found.row, found.at_ns) == (1, 1, 7, 7000)


def test_the_witness_of_an_inversion_is_what_came_too_early() -> None:
    (found,) = Story().tell("send think start").found
    assert (found.kind.name, found.row) == ("misplaced", 2)


def test_a_hole_is_told_with_its_first_number_and_the_event_that_showed_it() -> None:
    (found,) = Story().tell("send start (think) (open) close done stop").found
    assert (found.row, found.detail) == (5, 2)


def test_one_session_forgets_old_turns_and_still_knows_that_they_are_over() -> None:
    story = Story()
    for _ in range(10 * KEPT_TURNS):
        story.tell(CLEAN)
        assert len(story.tracker.turns) <= KEPT_TURNS + 1
    assert story.kinds == []
    assert story.tell("other^1").kinds == []
    assert story.tell("think^1 stop").kinds == ["after-end"]


def test_turns_that_were_given_up_are_forgotten_too_and_told() -> None:
    story = Story("netra")
    for _ in range(3 * KEPT_TURNS):
        story.tell("send start timeout")
    assert len(story.tracker.turns) <= KEPT_TURNS + 1
    assert story.tell("stop").kinds == ["never-ended"] * 3 * KEPT_TURNS


def test_abandoned_turns_are_forgotten_too() -> None:
    story = Story("netra")
    for _ in range(3 * KEPT_TURNS):
        story.tell("send start abandoned")
    assert len(story.tracker.turns) <= KEPT_TURNS + 1
    assert story.tell("stop").kinds == []


def test_event_ids_are_remembered_for_long_in_bounded_memory() -> None:
    story = Story("netra").tell("send start think=first")
    story.keys = 10
    for _ in range(3 * KEPT_KEYS):
        story.tell("content")
        assert len(story.tracker.keys) + len(story.tracker.old_keys) <= 2 * KEPT_KEYS
    story.tell("content=again")
    for _ in range(KEPT_KEYS):
        story.tell("content")
    assert story.tell("content=again").kinds == ["redelivered"]


# -- one change to a clean history gives exactly its checker -----------------------------------------------------------

TURNS = st.lists(
    st.lists(st.sampled_from(["think", "content", "open:a.e{n} close:a.e{n}", "open:b.e{n} content close:b.e{n}"]), max_size=4),
    min_size=1, max_size=3,
)  # fmt: skip


def history(turns: list[list[str]]) -> list[list[str]]:
    """Whole turns as words; every event numbered by its place in the stream."""
    cursor = 0
    told = []
    for turn in turns:
        middle = " ".join(part.format(n=n + 2) for n, part in enumerate(turn))
        words = f"start think open:a.e1 close:a.e1 {middle} done".split()
        told.append([f"{word}@{cursor + i}" for i, word in enumerate(words, start=1)])
        cursor += len(words)
    return told


def judged(contract: str, turns: list[list[str]]) -> set[str]:
    story = Story(contract)
    for words in turns:
        story.tell("send " + " ".join(words))
        assert story.tracker.current
        if not story.tracker.current.ended:
            story.tell("timeout")
    return story.tell("stop").checkers


@given(TURNS)
def test_any_whole_history_is_clean(turns: list[list[str]]) -> None:
    assert judged("reference", history(turns)) == judged("netra", history(turns)) == set()


@given(TURNS, st.data())
def test_a_dropped_event_is_loss_and_nothing_else(turns: list[list[str]], data: st.DataObject) -> None:
    told = history(turns)
    one = data.draw(st.sampled_from(told))
    at = data.draw(st.integers(0, len(one) - 1))
    last = one is told[-1] and at == len(one) - 1
    del one[at]
    assert judged("reference", told) == ({"terminal"} if last else {"loss"})


@given(TURNS, st.data())
def test_a_repeated_event_is_duplicate_and_nothing_else(turns: list[list[str]], data: st.DataObject) -> None:
    told = history(turns)
    one = data.draw(st.sampled_from(told))
    word = data.draw(st.sampled_from(one))
    one.insert(data.draw(st.integers(one.index(word) + 1, len(one))), word)
    assert judged("reference", told) == {"duplicate"}


@given(TURNS, st.data())
def test_two_neighbours_swapped_are_order_or_after_the_end(turns: list[list[str]], data: st.DataObject) -> None:
    told = history(turns)
    one = data.draw(st.sampled_from(told))
    at = data.draw(st.integers(0, len(one) - 2))
    first, second = (word.split("@")[0] for word in (one[at], one[at + 1]))
    one[at], one[at + 1] = one[at + 1], one[at]
    pair = first.startswith("open") and second == first.replace("open", "close")
    assert judged("reference", told) == ({"terminal"} if second == "done" else {"pairing"} if pair else {"order"})


CONSEQUENCES = {
    "start": {"complete"},
    "think": {"complete"},
    "open": {"complete", "pairing"},
    "close": {"pairing"},
    "done": {"terminal"},
}


@given(TURNS, st.data(), st.sampled_from([("^?", "phantom"), ("^?<9", "leak")]))
def test_a_retargeted_event_is_phantom_or_leak_and_what_its_turn_then_lacks(
    turns: list[list[str]], data: st.DataObject, how: tuple[str, str]
) -> None:
    mark, checker = how
    told = history(turns)
    one = data.draw(st.sampled_from(told))
    at = data.draw(st.integers(0, len(one) - 1))
    role = one[at].partition("@")[0].partition(":")[0]
    only = sum(word.startswith(role) for word in one) == 1
    one[at] += mark
    lacking = CONSEQUENCES.get(role, set())
    if not only:
        lacking = lacking - {"complete"}
    assert judged("netra", told) == {checker} | lacking


# -- what a finding says: (kind, turn, row, time in rows, detail) ------------------------------------------------------

B2 = "send start think open close"


def told(story: Story) -> list[tuple[str, int, int, int, int]]:
    return [(one.kind.name, one.turn, one.row, one.at_ns // 1000, one.detail) for one in story.found]


@pytest.mark.parametrize(
    ("contract", "story", "expected"),
    [
        (R, "send start (think) (open) close done stop", [("hole", 1, 5, 5, 2)]),
        (R, "send start gone1001 back kept>3 content@6 done@7 stop",
         [("claimed-over-hole", 1, 6, 6, 2), ("hole", 1, 6, 6, 4)]),
        (R, "send start gone1001 back kept>4 (think) (open) (close) done stop", [("claimed-over-hole", 1, 9, 9, 2)]),
        (R, "send start gone1001 back kept>2 (think) open close done stop", [("claimed-over-hole", 1, 7, 7, 2)]),
        (R, "send start gone1001 back kept (think) open close done stop", [("claimed-over-hole", 1, 7, 7, 2)]),
        (R, "send gone1001 back kept>0 (start) think open close done stop", [("hole", 1, 6, 6, 1)]),
        (R, f"{CLEAN} gone1001 back kept>7 stop", [("claimed-over-hole", 0, 9, 10, 6)]),
        (R, "send start think gone1001 back kept>1 stop", [("claimed-behind", 0, 6, 6, 1)]),
        (R, "send start@1 close@5 open@3 done@6 stop",
         [("went-back", 1, 4, 4, 2), ("hole", 1, 3, 3, 2), ("hole", 1, 3, 3, 4)]),
        (R, "send start@1 think@3 close@5 content@2 done@6 stop", [("went-back", 1, 5, 5, 8), ("hole", 1, 4, 4, 4)]),
        (R, "send start think@2 think@2 open close done stop", [("redelivered", 1, 4, 4, 2)]),
        (R, "send start think@2 think@2<7 open close done stop", [("foreign", 1, 4, 4, 7)]),
        (R, "send start think<0 open close done stop", [("foreign", 1, 3, 3, 0)]),
        (R, "send start think other^?<7 open close done stop", [("foreign", 0xFFFF_FFFF, 4, 4, 7)]),
        (R, "send start think other^? open close done stop", [("unknown-turn", 0xFFFF_FFFF, 4, 4, 0)]),
        (R, "send start cut stop", [("abnormal-close", 1, 3, 3, 1006)]),
        (R, f"{CLEAN} cut stop", [("abnormal-close", 0, 7, 7, 1006)]),
        (R, "send start gone1000 stop", [("closed-early", 1, 3, 3, 1000)]),
        (R, "unready gone1000 stop", [("closed-early", 0, 2, 2, 1000)]),
        (R, f"{CLEAN} unready gone1000 stop", [("closed-early", 0, 8, 8, 1000)]),
        (R, "mute stop", [("never-ready", 0, 1, 1, 0)]),
        (B, "send send send start^1 start^2 start^3 think^1 stop", [("overlapped", 2, 5, 7, 0)]),
        (B, "send send start^2 start^1 think^2 think^1 stop", [("overlapped", 1, 4, 5, 0)]),
        (N, "send start think=a think=a open close done stop", [("redelivered", 1, 4, 4, 0)]),
    ],
)  # fmt: skip
def test_a_finding_says_where_and_what(
    contract: str, story: str, expected: list[tuple[str, int, int, int, int]]
) -> None:
    found = told(Story(contract).tell(story))
    assert [one[:4] for one in found] == [one[:4] for one in expected]
    for one, must in zip(found, expected, strict=True):
        assert one[4] == must[4] or one[0] == "went-back"


def test_what_is_wrong_with_an_event_names_the_event() -> None:
    story = Story().tell("send start think!8 open close done")
    (found,) = story.found
    assert story.contract.label(found.detail) == "agent_thinking"


def test_what_a_turn_lacks_is_told_when_it_ends_and_not_when_the_session_does() -> None:
    assert Story().tell("send start think done").kinds == ["role-missing"]


def test_what_a_cut_turn_lacks_is_told_when_the_session_ends() -> None:
    """A resume may still bring it."""
    story = Story().tell("send start gone1001 back kept>1 done")
    assert story.kinds == []
    assert story.tell("stop").kinds == ["role-missing", "role-missing"]


def test_of_a_forgotten_turn_the_time_is_not_known() -> None:
    story = Story("netra").tell("send start timeout " + "send start done " * (KEPT_TURNS + 1))
    (one,) = (one for one in story.found if one.kind.name == "never-ended")
    assert (one.turn, one.row, one.at_ns) == (1, 1, 0)


@pytest.mark.parametrize(
    ("contract", "before", "word", "kind"),
    [
        (R, "send start", "think", None),
        (R, "send start", "think!8", "field-missing"),
        (R, "send start", "think@3", None),
        (R, "send start", "start@1", "redelivered"),
        (R, "send start close@4", "think@2", "went-back"),
        (R, "send start", "other^?", "unknown-turn"),
        (R, "send start", "none<7", "foreign"),
        (R, "", "none^0+unapproved", "unapproved"),
        (R, "", "none^0", None),
        (R, "send start", "think+deprecated", None),
        (R, CLEAN, "think", "after-end"),
        (R, CLEAN, "think!8", "field-missing"),
        (R, CLEAN, "done", "second-end"),
        (R, "send start think open:a.1 close:a.1", "close:a.1", "close-without-open"),
        (N, "send start think=a", "think=a", "redelivered"),
        (N, "send start think=a", "think=a<7", "foreign"),
    ],
)
def test_a_row_is_told_the_first_rule_that_it_breaks(contract: str, before: str, word: str, kind: str | None) -> None:
    """The recorder keeps the frames of such rows, so that every witness can be read."""
    returned: list[str | None] = []
    story = Story(contract).tell(before)
    judge = story.tracker.event

    class Telling:
        current = story.tracker.current

        def event(self, *args: int) -> None:
            kind_of = judge(*args)
            returned.append(kind_of.name if kind_of else None)

    story.tracker = Telling()  # type: ignore[assignment]
    story.tell(word)
    assert returned == [kind]


#: contract, story, kinds: what one finding explains, and what it does not
DISJOINT = {
    "another's frame says nothing of an event id of ours": (N, "send start think^?<7=a think=a open close done stop", "foreign"),
    "another stream's frame is no part of our turn": (
        R, "send start think open close done<7+other-stream@9 timeout stop", "foreign never-ended",
    ),
    "foreign text in a turn of ours leaves its event in it": (N, "send start think<7 open close done stop", "foreign"),
    "events without an id are not told apart by it": (R, "send start think other@-1=a other@-1=a open close done stop", ""),
    "foreign beats a forbidden name": (R, "send start none<7+legacy think open close done stop", "foreign"),
    "a forbidden name beats a partial replay": (
        R, "send start gone1001 back lost none+legacy+other-stream@9 done@1 stop", "legacy",
    ),
    "a partial replay may bear the next number": (
        R, "send start gone1001 back lost think@1+other-stream done@1 stop", "partial-replay",
    ),
    "a frame of an earlier run is no event of this turn": (R, "send start think+stale@9 open@2 close@3 done@4 stop", "role-missing"),
    "a frame that is no event acknowledges nothing": (R, "send none gone1001 back kept>1 resend timeout stop", "silent"),
    "nor does one that is not approved": (R, "send none+unapproved gone1001 back kept>1 resend timeout stop", "silent unapproved"),
    "an event without a turn outside of any is nobody's": (N, "think^0 stop", ""),
    "an old turn's bad frame is a bad frame": (
        R, f"{CLEAN} " * (KEPT_TURNS + 2) + "think^1!8 stop", "field-missing",
    ),
    "a hole does not explain what comes after the end": (R, "send start (think) open done close stop", "after-end hole"),
    "a hole explains a second close": (R, "send start think open:a.1 close:a.1 (content) close:a.1 done stop", "hole"),
    "a bad frame after the end is a bad frame": (R, f"{CLEAN} think!8 stop", "field-missing"),
    "a nested agent's poor answer is no answer": (
        B, "send start/supervisor think start/nest done/nest+poor-answer open close done/supervisor stop", "",
    ),
    "an answer in another event than the end": (B, f"{B2} {CHUNK}$1+text-differs done stop", "text-differs"),
    "poor there too": (B, f"{B2} {CHUNK}$1+poor-answer done stop", "poor-answer"),
    "of a repeated chunk only that": (B, f"{B2} {CHUNK}$1 {CHUNK}$1+text-differs done stop", "chunk-repeated"),
    "of a repeated chunk no poor answer": (B, f"{B2} {CHUNK}$1 {CHUNK}$1+poor-answer done stop", "chunk-repeated"),
    "an answer that lacks a chunk is not called poor": (B, f"{B2} {CHUNK}$1 {CHUNK}$3 done+poor-answer stop", "chunk-missing"),
    "a third turn waits for the second as it did for the first": (
        B, "send start think open close done send send start^2 start^3 think^2 stop", "overlapped",
    ),
    "two turns overlap once, whatever begins in them": (
        B, "send start/supervisor send start/supervisor^2 think^1 start/nest^2 think^1 start/nest^1 think^2 stop", "overlapped",
    ),
    "where the first began and the second goes on they have overlapped": (
        B, "send send start^2 start^1 done^2 stop", "overlapped role-missing role-missing",
    ),
    "who begins while the second with a hole may be over": (
        B, "send send start^2 (think^2) open^2 start^1 close^2 stop", "hole",
    ),
    "what is no part of a turn does not show that it goes on": (
        B, "send send start^1 start^2 other^1 think^2 open^2 close^2 done^2 stop", "",
    ),
    "a turn that was over is not overtaken, whatever comes late": (
        B, "send send start^1 think^1 open^1 close^1 done^1 start^2 think^1 stop", "after-end",
    ),
    "the end of a turn with a hole may be what is missing": (
        B, "send send start^1 (think^1) open^1 start^2 close^1 stop", "hole",
    ),
    "a head of which the rest may be on its way": (R, "send start gone1001 back kept>4 stop", ""),
    "also behind a turn that is over": (R, f"{CLEAN} send gone1001 back kept>9 stop", ""),
    "what a claimed head never brought explains an end that never came": (
        R, "send start gone1001 back kept>4 timeout stop", "claimed-over-hole",
    ),
    "a claim from nothing on": (R, "send start think gone1001 back kept>0 stop", "claimed-behind"),
    "who knows less explains what is missing": (R, "send start think gone1001 back kept>1 done@2 stop", "claimed-behind"),
    "and numbers go on where it stands": (
        R, "send start think gone1001 back kept>1 open@2 close@4 done@5 stop", "claimed-behind hole",
    ),
    "a hole before that is no longer filled": (
        R, "send start (think) open gone1001 back kept>1 think@2 open@3 think@2 stop", "claimed-behind hole redelivered",
    ),
    "nor one before a declared loss": (
        R, "send start (think) open gone1001 back lost content@1 content@2 content@2 stop", "hole redelivered",
    ),
    "a declared loss takes an earlier claim back": (
        R, "send gone1001 back kept>3 gone1001 back lost start@1 fail@2 stop", "",
    ),
    "after a declared loss a hole is a plain one": (
        R, "send start gone1001 back lost content@1 content@3 done@4 stop", "hole",
    ),
    "an end before the hole had all its chances": (
        R, f"send start gone1001 back kept>1 think done send (start) {EVENTS} stop", "hole role-missing",
    ),
    "a hole that its late event shows may hold what it lacks": (
        R, "send start gone1001 back kept>1 think done (open) close stop", "after-end hole",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DISJOINT)
def test_what_is_told_explains_its_consequences_and_no_more(name: str) -> None:
    contract, story, expected = DISJOINT[name]
    assert kinds(contract, story) == sorted(expected.split())


def test_what_a_hole_explained_stays_explained_when_its_owner_turns_out_to_know_less() -> None:
    story = "send start gone1001 back kept>3 (think) content done gone1001 back kept>1 stop"
    assert kinds(R, story) == ["claimed-behind", "claimed-over-hole"]


def test_a_declared_loss_is_no_claim_whatever_number_comes_with_it() -> None:
    story = Story().tell("send start think gone1001 back")
    story.tracker.claim(9, 9000, resumed=False, head=0, asked=2)
    assert story.tell("done@1 stop").kinds == []


def test_a_damaged_history_may_end_a_turn_that_it_does_not_hold() -> None:
    story = Story()
    story.tracker.ended(99, 2)
    story.tracker.cancelled(1, 99)
    story.tracker.resent(99)
    assert story.tell(f"{CLEAN} stop").kinds == []


def variant(folder: Path, text: str) -> str:
    file = folder / "variant.yaml"
    file.write_text(f"contract: 1\nname: variant\nextends: reference\n{text}\n")
    return str(file)


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("send start think gone1001 back open@1 close@2 done@3 stop", ""),
        ("send start think gone1001 back open@2 close@3 done@4 stop", "hole"),
        ("send start think open close done stop", ""),
    ],
)
def test_without_a_resume_each_connection_is_numbered_afresh(tmp_path: Path, story: str, expected: str) -> None:
    assert kinds(variant(tmp_path, "resume: {mode: none}\nsend: {resend: false}"), story) == expected.split()


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("send start@0 think@1 open@2 close@3 done@4 stop", ""),
        ("send think@1 open@2 close@3 done@4 stop", "hole"),
        ("send start@0 think!8@1 think@1 open@2 close@3 done@4 stop", "field-missing redelivered"),
        ("send start@0!8 think@1 open@2 close@3 done@4 stop", "field-missing"),
        ("send gone1001 back kept>0 close@3 done@4 stop", "claimed-over-hole hole"),
    ],
)
def test_a_stream_may_begin_at_nought(tmp_path: Path, story: str, expected: str) -> None:
    assert kinds(variant(tmp_path, "cursor: {start: 0}"), story) == sorted(expected.split())


def test_a_session_remembers_its_last_eight_turns() -> None:
    story = Story().tell(f"{CLEAN} " * 7)
    assert story.tell(CLEAN).tracker.turns.keys() == set(range(1, 9))
    assert story.tell(CLEAN).tracker.turns.keys() == set(range(2, 10))


def test_events_without_an_id_are_not_each_other_s_repeats() -> None:
    story = Story("netra").tell("send start")
    thinking = story.contract.by_name["agent_thinking"].index
    for row in (10, 11):
        story.tracker.event(row, row, thinking, 0, 0, 1, -1, 0, 0, 0, -1, 0)
    assert story.kinds == []


@pytest.mark.parametrize(
    ("concurrent", "late", "expected"),
    [
        ("supersede", f"fail{CANCELLED}^1", ""),
        ("supersede", "think^1", "overlapped"),
        ("supersede", f"think^1 fail{CANCELLED}^1", "overlapped"),
        ("queue", f"fail{CANCELLED}^1", "overlapped"),
        ("queue", "think^1", "overlapped"),
        ("reject", "think^1", "overlapped"),
    ],
)
def test_a_turn_that_is_superseded_may_still_say_that_it_is_over(
    tmp_path: Path, concurrent: str, late: str, expected: str
) -> None:
    """And nothing else; a turn that had to be over before the next may not even say that."""
    story = f"send send start^1 start^2 {late} think^2 open^2 close^2 done^2 stop"
    assert kinds(variant(tmp_path, f"turn: {{concurrent: {concurrent}}}"), story) == expected.split()


@pytest.mark.parametrize("concurrent", ["queue", "reject", "supersede"])
@pytest.mark.parametrize("late", ["think^2 open^2 close^2", "open^2 close^2 think^2"])
def test_whoever_begins_second_is_told_also_if_its_message_was_sent_first(
    tmp_path: Path, concurrent: str, late: str
) -> None:
    story = f"send send start^2 start^1 {late} done^2 fail^1 stop"
    assert kinds(variant(tmp_path, f"turn: {{concurrent: {concurrent}}}"), story) == ["overlapped"]


def test_under_supersede_the_later_message_need_not_end_because_the_earlier_begins(tmp_path: Path) -> None:
    story = "send send start^2 think^2 open^2 close^2 start^1 done^2 fail^1 stop"
    assert kinds(variant(tmp_path, "turn: {concurrent: supersede}"), story) == ["overlapped"]


@pytest.mark.parametrize(
    ("interrupted", "story", "expected"),
    [
        ("recovered-or-error", "start^2 start^1+recovered think^2", ""),
        ("recovered-or-error", "start^1 start^2 think^1+recovered think^2", ""),
        ("recovered-or-error", "start^1 start^2 think^1+recovered open^1 think^2", "overlapped"),
        ("recovered-or-error", "start^2 start^1 think^2", "overlapped"),
        ("resumed", "start^2 start^1+recovered think^2", "overlapped"),
    ],
)
def test_what_was_stored_does_not_show_that_its_turn_runs_now(
    tmp_path: Path, interrupted: str, story: str, expected: str
) -> None:
    contract = variant(tmp_path, f"turn: {{concurrent: queue, interrupted: {interrupted}}}")
    assert kinds(contract, f"send send {story} stop") == expected.split()
