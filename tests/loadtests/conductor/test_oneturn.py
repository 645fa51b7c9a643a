"""One turn as people see it: frames, faults around it, and the rule that judged each row."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.conductor.oneturn import list_turns, show_turn
from loadtests.errors import ConfigError
from loadtests.history import COHORTS, OUTCOMES, Flag, RowKind
from loadtests.journal import Journal
from loadtests.session import Identity, Session
from tests.loadtests.histories import NONCE, Bench, Talk

WHOLE = ("start", "think", "open", "close", "done")


def shown(run: Path, name: str = "") -> str:
    console = Console(file=io.StringIO(), width=900, color_system=None)
    show_turn(run, name, console) if name else list_turns(run, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    bench = Bench(tmp_path / "run")
    talk = bench.session().ready()
    talk.begin()
    talk.say(*WHOLE)
    talk.begin("\x1b[31mred[bold]")
    talk.say("start").close(1006).connect().welcome().answer(resumed=True)
    talk.say("think", "open", "close", "done", "think").stop()
    bench.recorder.close()
    return bench.path


def test_a_turn_with_a_cut_is_told_from_send_to_end(run: Path) -> None:
    said = shown(run, "1.2")
    words = [
        "send",
        "agent_started #6",
        "close 1006",
        "by the other side",
        "dial",
        "resume asked after #6",
        "claim: resumed",
        "agent_completed #10",
        "end: ok",
    ]
    at = [said.find(word) for word in words]
    assert -1 not in at
    assert at == sorted(at)
    assert "terminal: an event after the turn's end" in said


def test_what_a_server_or_a_user_said_is_no_markup_and_moves_no_cursor(run: Path) -> None:
    said = shown(run, "1.2")
    assert "red[bold]" in said
    assert "\x1b" not in said


def test_frames_that_were_not_kept_are_said_to_be(run: Path) -> None:
    assert "frames were not kept" in shown(run, "1.1")
    assert "frames were not kept" not in shown(run, "1.2")


def test_a_whole_session_can_be_shown(run: Path) -> None:
    assert len(re.findall(r"end: ok", shown(run, "1"))) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1.9", "has no turn 1.9; expected a turn of session 1: [1, 2]"),
        ("8", "has no session 8; one of its users: 1"),
        ("8.1", "has no session 8; one of its users: 1"),
        ("99999999999999.1", "has no session"),
        ("²", "SESSION.TURN"),
        ("x.1", "SESSION.TURN"),
        ("1.x", "SESSION.TURN"),
        (".", "SESSION.TURN"),
    ],
)
def test_what_is_not_there_is_told(run: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        shown(run, name)
    assert words in str(caught.value)


def test_what_a_row_says_of_a_chunk_an_outcome_and_a_text_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run")
    talk = bench.session().ready()
    talk.begin()
    for role, code, flags in (("content", 4, 0), ("done", 1 + OUTCOMES.index("throttled"), Flag.TEXT_DIFFERS)):
        name = bench.contract.name_of(role)  # type: ignore[arg-type]
        index, raw = bench.contract.by_name[name].index, bench.recorder.intern(name)
        at_ns = bench.tick()
        bench.recorder.row(
            int(RowKind.EVENT),
            0,
            int(flags),
            index,
            0,
            1,
            1,
            1,
            raw,
            0,
            0,
            0,
            -1,
            code,
            9,
            0,
            0,
            at_ns,
            at_ns,
            at_ns,
            -1,
            0,
        )
    talk.stop()
    bench.recorder.close()
    said = shown(bench.path, "1.1")
    assert "(chunk 3)" in said
    assert "(throttled, text differs)" in said


def test_the_list_names_turns_with_findings_and_the_slowest(run: Path) -> None:
    said = shown(run)
    assert "1.2" in said
    assert "close: the connection broke" in said
    assert "slow:" in said


def test_the_faults_around_a_turn_are_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "run")
    talk = Talk(bench, 1)
    identity = Identity(NONCE, 1, COHORTS.index("treated"))
    talk.session = Session(bench.contract, bench.rules, identity, bench.recorder, bench.found.append, lambda: "now")
    talk.ready()
    talk.begin()
    talk.say(*WHOLE).stop()
    bench.recorder.close()
    journal = Journal(bench.path / "history.jsonl")
    journal.append("window", id="w1", step="applying", at_ns=bench.now_ns - 3_000_000, kind="down", cohort="treated")
    journal.close()
    said = shown(bench.path, "1.1")
    assert "cohort treated" in said
    assert "faults: during w1" in said
    assert "never healed" in said


def test_what_a_fault_explains_is_not_worth_a_look_and_is_told_as_such(tmp_path: Path) -> None:
    """A slow network lies over both turns and breaks no connection; the cut that does lies over the first alone."""
    bench = Bench(tmp_path / "run")
    talk = Talk(bench, 1)
    identity = Identity(NONCE, 1, COHORTS.index("treated"))
    talk.session = Session(bench.contract, bench.rules, identity, bench.recorder, bench.found.append, lambda: "now")
    talk.ready()
    begun_ns = bench.now_ns
    talk.begin()
    talk.say("start").close(1006)
    cut_ns = bench.now_ns
    bench.now_ns += 60_000_000_000
    talk.connect().welcome().answer(resumed=True)
    talk.say("think", "open", "close", "done")
    talk.begin()
    talk.say("start").close(1006)
    ended_ns = bench.now_ns
    talk.stop()
    bench.recorder.close()
    journal, windows = Journal(bench.path / "history.jsonl"), []
    for number, (kind, end_ns, breaks) in enumerate((("down", cut_ns, True), ("latency", ended_ns, False)), 1):
        about = {"id": f"w{number}", "kind": kind, "cohort": "treated"}
        windows.append({**about, "disconnects": breaks, "swallows": breaks})
        journal.append("window", step="applying", at_ns=begun_ns, **about)
        journal.append("window", step="healed", at_ns=end_ns, **about)
    journal.close()
    file = bench.path / "manifest.json"
    manifest = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**manifest, "windows": windows}))
    listed = shown(bench.path)
    assert tuple(re.findall(r"(1\.\d).*(close: the connection broke)", listed)[0]) == (
        "1.2",
        "close: the connection broke",
    )
    assert not re.search(r"1\.1.*close:", listed)
    assert "○ close: the connection broke" in shown(bench.path, "1.1")
    assert "a fault explains it" in shown(bench.path, "1.1")
    assert "✗ close: the connection broke" in shown(bench.path, "1.2")
