"""The judge is a pure function of a run directory, under any rules, and survives whatever lies in one."""

from __future__ import annotations

import contextlib
import json
import math
import random
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from loadtests.contract import load
from loadtests.errors import ConfigError
from loadtests.history import DTYPE, ROW, RowKind
from loadtests.rundir import read_run, windows_of
from reports.assessment import Setting, assess
from reports.frames import connections_frame, outages_frame, phases_of
from reports.judge import judge
from reports.judgement import Judgement
from reports.replay import replay
from tests.reports.rundirs import Fault, Frames, Plan, write_run

DOWN = Plan(
    phases=(("warm-up", 1.0), ("steady", 3.0), ("down", 1.0), ("recovery", 4.0)),
    faults=(Fault(id="w1", phase="down", start_s=4.0, end_s=5.0),),
)
SHORT = Plan(
    phases=(("steady", 1.0), ("down", 0.5), ("recovery", 1.5)),
    faults=(Fault(id="w1", phase="down", start_s=1.0, end_s=1.5),),
)
REFERENCE = load("reference")


def plain(judgement: Judgement) -> dict[str, Any]:
    """Everything, comparable by ``==``; not-a-number equals itself."""

    def value(one: Any) -> Any:
        return one.to_json(orient="split") if isinstance(one, pd.DataFrame) else repr(one)

    return {field.name: value(getattr(judgement, field.name)) for field in fields(judgement)}


def at(session: int, turn: int, change: Callable[[Frames], Frames]) -> Callable[[int, int, Frames], Frames]:
    return lambda s, t, frames: change(frames) if (s, t) == (session, turn) else frames


# -- a good run --------------------------------------------------------------------------------------------------------


def test_a_good_run_is_go_with_balanced_books_and_every_demanded_event(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run", DOWN))
    books = judged.books
    assert judged.verdict == "go"
    assert (books.planned, books.sent) == (books.sent + books.dropped, books.ok + books.failed + books.censored)
    assert books.balanced
    assert [line.name for line in judged.events] == [rule.name for rule in REFERENCE.demanded]
    assert {(line.seen, line.missing) for line in judged.events} == {(books.sent, 0)}
    steps = [step.turns for step in judged.analytics.funnel if step.demanded]
    assert steps == [books.sent] * (1 + len(judged.events))
    (fault,) = judged.faults
    assert (fault.effect, fault.disconnected, fault.unrecovered) == ("confirmed", 15, 0)
    assert fault.recovery_s == pytest.approx(0.22)
    assert judged.cleanup == "nothing left behind"


def test_judged_twice_it_is_identical(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", replace(DOWN, spoil=at(3, 2, lambda f: [f[0], f[1], f[1], *f[2:]])))
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert plain(judge(path)) == plain(judge(path))
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_the_same_run_elsewhere_is_judged_the_same(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", DOWN)
    shutil.copytree(path, tmp_path / "elsewhere" / "run")
    assert plain(judge(path)) == plain(judge(tmp_path / "elsewhere" / "run"))


def test_a_run_of_plain_locust_is_one_phase_and_its_books_are_those_of_its_rows(tmp_path: Path) -> None:
    """Without a barrier nobody knows beforehand who comes when: only what was sent or dropped is accounted for."""
    path = write_run(tmp_path / "run", Plan(phases=(("steady", 1.0), ("cool-down", 1.0))))
    file = path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "kind": "plain-locust"}))
    judged = judge(path)
    assert (judged.verdict, judged.books.planned, judged.books.balanced) == ("go", judged.books.sent, True)
    assert set(judged.turns["phase"]) == {"steady"}


# -- findings ----------------------------------------------------------------------------------------------------------


def of_type(frames: Frames, kind: str) -> tuple[float, dict[str, Any]]:
    return 1.0, {"type": kind, "run_id": frames[0][1]["run_id"]}


CASES: list[tuple[str, Callable[[Frames], Frames], set[str]]] = [
    ("an event is lost", lambda f: [f[0], *f[2:]], {"loss"}),
    ("an event comes twice", lambda f: [f[0], f[1], f[1], *f[2:]], {"duplicate"}),
    ("the end comes twice", lambda f: [*f, f[-1]], {"duplicate"}),
    ("an event without its reasoning", lambda f: [f[0], (1.0, {**f[1][1], "reasoning": ""}), *f[2:]], {"schema"}),
    ("another session's mark", lambda f: [*f[:4], (1.0, {**f[4][1], "final_response": "gx0badcafes00000b"})], {"leak"}),
    ("a type that nobody approved", lambda f: [f[0], of_type(f, "agent_pondering"), *f[1:]], {"vocabulary"}),
    ("a legacy type", lambda f: [f[0], of_type(f, REFERENCE.file.legacy[0]), *f[1:]], {"vocabulary"}),
    ("a run that nobody began", lambda f: [f[0], (1.0, {**f[1][1], "run_id": "run_x", "seq": None}), *f[1:]], {"phantom"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "ids"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_one_broken_turn_is_found_by_its_checkers_and_no_other(
    tmp_path: Path, change: Callable[[Frames], Frames], ids: set[str]
) -> None:  # fmt: skip
    judged = judge(write_run(tmp_path / "run", replace(DOWN, spoil=at(3, 2, change))))
    found = {check.id: check for check in judged.checks if check.verdict == "invalid"}
    assert set(found) == ids
    assert judged.verdict == "no-go"
    for check in found.values():
        assert (check.violations, {w.session for w in check.witnesses}) == (1, {"3"}), check
        assert {w.turn for w in check.witnesses} <= {"2", ""}
    assert judged.causes[0].title.split(":")[0] in ids


def test_a_witness_points_into_the_rows(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", replace(DOWN, spoil=at(3, 2, CASES[0][1])))
    (witness,) = judge(path).check("loss").witnesses
    rows = np.frombuffer((path / "rows" / "worker-0.bin").read_bytes(), DTYPE)
    assert (str(rows["session"][witness.row]), str(rows["turn"][witness.row])) == (witness.session, witness.turn)
    assert witness.phase in {name for name, _ in DOWN.phases}


def test_at_most_five_witnesses_a_kind_and_every_violation_counted(tmp_path: Path) -> None:
    def all_twice(_: int, __: int, frames: Frames) -> Frames:
        return [frames[0], frames[0], *frames[1:]]

    check = judge(write_run(tmp_path / "run", replace(DOWN, spoil=all_twice))).check("duplicate")
    assert (len(check.witnesses), check.kinds["redelivered"]) == (5, check.violations)
    assert check.violations > 400


def test_every_event_out_of_order_is_counted_beside_its_name_and_not_only_the_witnesses(tmp_path: Path) -> None:
    def early(_: int, turn: int, frames: Frames) -> Frames:
        return [frames[1], frames[0], *frames[2:]] if turn == 2 else frames

    judged = judge(write_run(tmp_path / "run", replace(DOWN, script=early)))
    check = judged.check("order")
    assert check.violations > len(check.witnesses)
    assert sum(line.misplaced for line in judged.events) == check.violations
    thinking = REFERENCE.name_of("thinking")
    assert {line.name for line in judged.events if line.misplaced} == {thinking}


def test_a_session_that_is_served_again_too_late_has_its_close_as_witness(tmp_path: Path) -> None:
    phases = (*DOWN.phases[:3], ("recovery", 30.0))
    path = write_run(tmp_path / "run", replace(DOWN, phases=phases, back_after_ns=20_000_000_000))
    check = judge(path).check("reconnect")
    rows = np.frombuffer((path / "rows" / "worker-0.bin").read_bytes(), DTYPE)
    assert check.violations == 15
    for witness in check.witnesses:
        row = rows[witness.row]
        assert (row["kind"], str(row["session"])) == (RowKind.CLOSE, witness.session)


def test_a_gate_may_name_a_fault_that_this_run_left_out(tmp_path: Path) -> None:
    gates: dict[str, list[Any]] = {"turn.total{fault:down}": ["med<9000"], "turn.total{fault:w1}": ["med<9000"]}
    for plan, verdicts in ((DOWN, {"pass"}), (Plan(users=2), {"not-checked"})):
        judged = judge(write_run(tmp_path / plan.phases[-1][0], replace(plan, gates=gates)))
        assert {gate.verdict for gate in judged.gates if gate.metric in gates} == verdicts
    with pytest.raises(ConfigError, match="unknown fault 'w9'"):
        judge(tmp_path / "recovery", gates_file=gates_file(tmp_path / "g.yaml", {"turn.total{fault:w9}": ["med<1"]}))


def test_a_deprecated_name_is_a_warning_and_moves_nothing(tmp_path: Path) -> None:
    alias, name = next((a, n) for a, n in REFERENCE.file.aliases.items() if n == REFERENCE.name_of("done"))
    spoil = at(3, 2, lambda f: [(ms, {**x, "type": alias} if x["type"] == name else x) for ms, x in f])
    judged = judge(write_run(tmp_path / "run", replace(DOWN, spoil=spoil)))
    check = judged.check("vocabulary")
    assert (judged.verdict, check.verdict, check.warnings, check.violations) == ("go", "valid", 1, 0)


def test_a_turn_that_never_ends_is_terminal_and_its_books_still_balance(tmp_path: Path) -> None:
    plan = replace(DOWN, phases=(*DOWN.phases[:3], ("recovery", 15.0)), script=at(3, 2, lambda f: f[:-1]))
    judged = judge(write_run(tmp_path / "run", plan))
    assert {check.id for check in judged.checks if check.verdict == "invalid"} == {"terminal"}
    assert (judged.books.failed, judged.books.balanced) == (1, True)
    assert judged.books.dropped_why.keys() == {"late by more than a pace"}


def test_a_failed_turn_is_no_finding_and_counts_against_success(tmp_path: Path) -> None:
    """Law 5: failure is not silence."""

    def fails(_: int, turn: int, frames: Frames) -> Frames:
        failed = {**frames[-1][1], "type": REFERENCE.name_of("failed")}
        return [*frames[:-1], (1.0, failed)] if turn % 4 == 0 else frames

    judged = judge(write_run(tmp_path / "run", replace(Plan(), spoil=fails)))
    assert not {check.id for check in judged.checks if check.verdict == "invalid"}
    assert "turn.success{fault:none}" in {gate.metric for gate in judged.gates if gate.verdict == "fail"}
    assert judged.books.failed > 50


def ends_as(status: str, every: int) -> Callable[[int, int, Frames], Frames]:
    def script(_: int, turn: int, frames: Frames) -> Frames:
        last = (frames[-1][0], {**frames[-1][1], "status": status})
        return [*frames[:1], last] if turn % every == 0 else frames

    return script


@pytest.mark.parametrize("status", ["refused", "throttled", "degraded"])
def test_a_turn_that_was_answered_otherwise_is_no_failure(tmp_path: Path, status: str) -> None:
    script = ends_as(status, 3)
    if status == "degraded":  # it has done what was asked, and so must have shown it
        script = lambda _, turn, f: [*f[:-1], (f[-1][0], {**f[-1][1], "status": status})] if turn % 3 == 0 else f  # noqa: E731
    judged = judge(write_run(tmp_path / "run", replace(Plan(), script=script)))
    assert judged.verdict == "go", judged.sentence
    assert judged.books.outcomes[status] > 50
    assert judged.books.failed == 0
    assert judged.books.balanced


def test_a_run_that_was_mostly_throttled_measured_the_quota(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run", replace(Plan(), script=ends_as("throttled", 1))))
    assert judged.verdict == "cannot-say"
    assert judged.sentence.startswith("You measured the quota: ")
    assert judged.causes[0].consequences
    assert {gate.verdict for gate in judged.gates if gate.metric.startswith(("turn.", "event."))} == {"unknown"}


def test_a_finding_in_a_throttled_run_is_a_finding(tmp_path: Path) -> None:
    plan = replace(Plan(), script=ends_as("throttled", 1), spoil=at(3, 2, lambda f: [*f, f[-1]]))
    judged = judge(write_run(tmp_path / "run", plan))
    assert (judged.verdict, judged.causes[0].id) == ("no-go", "duplicate")


def test_a_quota_that_answered_less_than_half_is_left_out_and_no_more(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run", replace(Plan(), script=ends_as("throttled", 3))))
    assert judged.verdict == "go"
    (gate,) = [gate for gate in judged.gates if gate.metric == "turn.success{fault:none}"]
    assert gate.samples == judged.books.ok


def test_what_one_cause_made_stands_beneath_it(tmp_path: Path) -> None:
    """An event of no approved type in place of one that was demanded."""

    def renamed(frames: Frames) -> Frames:
        return [frames[0], (10.0, {**frames[1][1], "type": "agent_pondering"}), *frames[2:]]

    judged = judge(write_run(tmp_path / "run", replace(DOWN, spoil=at(3, 2, renamed))))
    (cause,) = judged.causes
    assert (cause.id, cause.kind, cause.turns) == ("vocabulary", "unapproved", 1)
    assert ("complete", "role-missing", 1) in cause.counted
    assert any("complete: " in line for line in cause.consequences)
    assert judged.check("complete").verdict == "invalid"


def test_outages_are_the_same_to_gates_and_checkers(tmp_path: Path) -> None:
    """Gates look at a table, made from what the checkers look at."""
    data = read_run(write_run(tmp_path / "run", replace(DOWN, phases=(*DOWN.phases[:3], ("recovery", 20.0)))))
    windows, phases = windows_of(data), phases_of(data)
    found = assess(
        data.contract, data.rows, data.strings, Setting(windows=tuple(windows)), replay(data, windows)
    ).recovered
    frame = outages_frame(found, connections_frame(data, windows, phases), data)
    mine = sorted(
        (one.outage.session, one.window, round((one.took_ns or 0) / 1e9, 6), one.outage.close_row) for one in found
    )
    theirs = zip(frame["session"], frame["fault"], frame["recovery_s"].round(6), frame["close_row"], strict=True)
    assert mine == sorted(theirs)
    assert len(mine) == 15


# -- other rules -------------------------------------------------------------------------------------------------------


def gates_file(path: Path, body: dict[str, Any]) -> Path:
    path.write_text(json.dumps(body))
    return path


@pytest.mark.parametrize("wrap", [lambda gates: gates, lambda gates: {"gates": gates}])
def test_another_gates_file_judges_instead_of_the_scenario_s_gates(tmp_path: Path, wrap: Any) -> None:
    """The contract's budgets stay; a promise does not go away because a run has rules of its own."""
    path = write_run(tmp_path / "run", replace(DOWN, gates={"turn.total": ["p(95)<4000"]}))
    strict = gates_file(tmp_path / "g.yaml", wrap({"turn.total{phase:steady}": ["p(95)<1"]}))
    judged = judge(path, gates_file=strict)
    assert judged.verdict == "no-go"
    assert [(g.metric, g.verdict) for g in judged.gates if g.verdict == "fail"] == [
        ("turn.total{phase:steady}", "fail")
    ]
    assert {g.metric for g in judged.gates} > {"turn.success{fault:none}"}
    assert "turn.total" not in {g.metric for g in judged.gates}


def test_a_warning_in_a_gates_file_moves_nothing(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", DOWN)
    mild = gates_file(tmp_path / "g.yaml", {"turn.total": [{"rule": "p(95)<1", "severity": "warn"}]})
    assert judge(path, gates_file=mild).verdict == "go"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"turn.totl": ["p(95)<1"]}, "gates.turn.totl"),
        ({"turn.total{phase:stedy}": ["p(95)<1"]}, "gates.turn.total{phase:stedy}"),
        ({"turn.total": ["p95<1"]}, "gates.turn.total"),
        ({"turn.total": "p(95)<1"}, "gates[...]"),
        ({"turn.total": [{"rule": "p(95)<1", "severty": "warn"}]}, "gates[...][0].severty"),
        ({"turn.total": [{"rule": "p(95)<1", "severity": "mild"}]}, "gates[...][0].severity"),
        ({"turn.total": [7]}, "gates[...][0]"),
        ({"gates": ["turn.total"]}, "gates"),
        ({"gates": {"turn.total": None}}, "gates[...]"),
        ({"gates": {}, "gatez": {}}, "gatez"),
    ],
)
def test_a_mistake_in_a_gates_file_is_told_with_file_and_place(tmp_path: Path, body: Any, place: str) -> None:
    path = write_run(tmp_path / "run", Plan(users=2))
    file = gates_file(tmp_path / "wrong.yaml", body)
    with pytest.raises(ConfigError) as told:
        judge(path, gates_file=file)
    assert told.value.where == str(file)
    assert told.value.place.startswith(place)


def without_resume(path: Path) -> str:
    """The audited wire, which numbers nothing; the answer to a resume is approved and means nothing."""
    answer = REFERENCE.file.resume.answer
    path.write_text(json.dumps({"contract": 1, "name": "lenient", "extends": "netra", "events": {answer: {}}}))
    return str(path)


def test_another_contract_judges_by_its_own_vocabulary(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", replace(DOWN, spoil=at(3, 2, CASES[0][1])))
    judged = judge(path, without_resume(tmp_path / "lenient.yaml"))
    idle = {id_ for id_ in ("loss", "duplicate", "honesty") if judged.check(id_).verdict == "not-exercised"}
    assert idle == {"loss", "duplicate", "honesty"}
    assert {check.id for check in judged.checks if check.verdict == "invalid"} == {"complete"}
    assert judged.verdict == "no-go"


def test_a_run_with_resumes_is_good_under_a_contract_that_knows_no_resume(tmp_path: Path) -> None:
    """Promises that nobody made cannot be broken."""
    judged = judge(write_run(tmp_path / "run", DOWN), without_resume(tmp_path / "lenient.yaml"))
    assert not {check.id for check in judged.checks if check.verdict == "invalid"}, judged.sentence


def test_an_unknown_contract_is_an_error(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", Plan(users=2))
    with pytest.raises(ConfigError, match="no contract 'netrra'"):
        judge(path, "netrra")


# -- damage ------------------------------------------------------------------------------------------------------------


def deleted(name: str) -> Callable[[Path, random.Random], None]:
    def certain(path: Path, _: random.Random) -> None:
        (path / name).unlink()

    return certain


def holding(name: str, data: bytes) -> Callable[[Path, random.Random], None]:
    def certain(path: Path, _: random.Random) -> None:
        (path / name).write_bytes(data)

    return certain


def truncated(name: str) -> Callable[[Path, random.Random], None]:
    def damage(path: Path, dice: random.Random) -> None:
        data = (path / name).read_bytes()
        # the last two bytes may be no more than a bracket's line end, and nothing would be lost with them
        (path / name).write_bytes(data[: dice.randrange(len(data) - 2)])

    return damage


def scrambled(name: str, times: int = 200) -> Callable[[Path, random.Random], None]:
    def damage(path: Path, dice: random.Random) -> None:
        data = bytearray((path / name).read_bytes())
        for _ in range(times):
            data[dice.randrange(len(data))] = dice.randrange(256)
        (path / name).write_bytes(data)

    return damage


def shuffled_rows(path: Path, dice: random.Random) -> None:
    file = path / "rows" / "worker-0.bin"
    data = file.read_bytes()
    rows = [data[at : at + ROW.size] for at in range(0, len(data), ROW.size)]
    dice.shuffle(rows)
    file.write_bytes(b"".join(rows))


def random_rows(path: Path, dice: random.Random) -> None:
    (path / "rows" / "worker-0.bin").write_bytes(dice.randbytes(ROW.size * 300))


def random_rows_of_known_kinds(path: Path, dice: random.Random) -> None:
    rows = np.frombuffer(dice.randbytes(ROW.size * 300), DTYPE).copy()
    rows["kind"] = [dice.randrange(1, 15) for _ in rows]
    (path / "rows" / "worker-0.bin").write_bytes(rows.tobytes())


def a_folder_for_a_file(path: Path, _: random.Random) -> None:
    (path / "health.jsonl").unlink()
    (path / "health.jsonl").mkdir()


def json_of_other_shapes(name: str) -> list[tuple[str, Callable[[Path, random.Random], None]]]:
    texts = [b"", b"[]", b"7", b"null", b'"x"', b"{}", b'{"a":', b"\xff\xfe", b"[" * 20_000, b'{"schema":1e400}']
    return [(f"{name} holds {text[:12]!r}", holding(name, text)) for text in texts]


def records(name: str, *lines: dict[str, Any] | list[Any] | str) -> Callable[[Path, random.Random], None]:
    return holding(name, "".join(json.dumps(line) + "\n" for line in lines).encode())


def with_manifest(**changes: Any) -> Callable[[Path, random.Random], None]:
    def certain(path: Path, _: random.Random) -> None:
        manifest = json.loads((path / "manifest.json").read_bytes())
        (path / "manifest.json").write_text(json.dumps({**manifest, **changes}))

    return certain


def with_account(**changes: Any) -> Callable[[Path, random.Random], None]:
    def certain(path: Path, _: random.Random) -> None:
        file = path / "rows" / "worker-0.json"
        file.write_text(json.dumps({**json.loads(file.read_bytes()), **changes}))

    return certain


ROWS, STRINGS, ACCOUNT = "rows/worker-0.bin", "rows/worker-0.strings", "rows/worker-0.json"
WINDOW = {"type": "window", "step": "applying", "id": "w1", "at_ns": 1}
DAMAGES: list[tuple[str, Callable[[Path, random.Random], None]]] = [
    *((f"{name} deleted", deleted(name)) for name in
      ("manifest.json", "contract.yaml", "scenario.yaml", "start.json", "history.jsonl", "health.jsonl", ROWS, STRINGS, ACCOUNT)),
    *((f"{name} truncated", truncated(name)) for name in
      ("manifest.json", "contract.yaml", "scenario.yaml", "start.json", "history.jsonl", ROWS, STRINGS, ACCOUNT)),
    *((f"{name} scrambled", scrambled(name)) for name in
      ("manifest.json", "contract.yaml", "scenario.yaml", "history.jsonl", "health.jsonl", STRINGS, ACCOUNT)),
    ("rows scrambled", scrambled(ROWS, 2000)),
    ("rows emptied", holding(ROWS, b"")),
    ("rows shuffled", shuffled_rows),
    ("rows random", random_rows),
    ("rows random of known kinds", random_rows_of_known_kinds),
    ("rows of text", holding(ROWS, b"not rows at all\n" * 500)),
    ("a folder for a file", a_folder_for_a_file),
    *json_of_other_shapes("manifest.json"),
    *json_of_other_shapes(ACCOUNT),
    *json_of_other_shapes("start.json"),
    *json_of_other_shapes("contract.yaml"),
    *json_of_other_shapes("scenario.yaml"),
    *json_of_other_shapes("history.jsonl"),
    *json_of_other_shapes("health.jsonl"),
    ("a start that is no number", holding("start.json", b'{"start_ns": "soon"}')),
    ("a start beyond all time", holding("start.json", b'{"start_ns": 1e300}')),
    ("a start that is a list", holding("start.json", b'{"start_ns": [1]}')),
    ("a window without an id", records("history.jsonl", {"type": "window", "step": "applying", "at_ns": 5})),
    ("a window without a time", records("history.jsonl", {"type": "window", "step": "applying", "id": "w1"})),
    ("a window at no number", records("history.jsonl", {**WINDOW, "at_ns": "now"})),
    ("a window that asks a word", records("history.jsonl", {**WINDOW, "asked": "much"})),
    ("an effect that measured a word", records("history.jsonl", WINDOW, {"type": "effect", "id": "w1", "measured": "x"})),
    ("an effect of a strange kind", records("history.jsonl", WINDOW, {"type": "effect", "id": "w1", "effect": ["x"]})),
    ("a cleanup that left a word", records("history.jsonl", {"type": "cleanup", "ok": False, "left": "much"})),
    ("a cleanup that left a number", records("history.jsonl", {"type": "cleanup", "ok": False, "left": 3})),
    ("records of no shape", records("history.jsonl", [], "window", {"type": ["window"]}, {"type": "window", "step": {}})),
    ("health without numbers", records("health.jsonl", *[{"at_ns": "x", "loop_lag_p99_ms": "y", "cpu": []}] * 5)),
    ("health of nothing", records("health.jsonl", *[{}] * 5)),
    ("a seed that is a word", with_manifest(seed="lucky")),
    ("windows that are a word", with_manifest(windows="w1")),
    ("windows that are numbers", with_manifest(windows=[1, None, {"id": ["w1"]}])),
    ("workers that are a word", with_manifest(workers="many")),
    ("clocks that are words", with_manifest(clock="noon", clock_end={"monotonic_ns": "x"})),
    ("clocks without numbers", with_manifest(clock={}, clock_end={})),
    ("phases declared as numbers", with_manifest(declared_phases=7)),
    ("an exit that is a list", with_manifest(exit=["ended"])),
    ("an account of words", with_account(rows="many", frames_received="many")),
    ("an account whose findings are words", with_account(provisional="none", errors="none")),
    ("an account whose findings are no numbers", with_account(provisional={"misplaced": "x"}, errors={"x": []})),
]  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("good") / "run", SHORT)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("damage", [row[1] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_a_damaged_run_directory_is_an_error_or_a_verdict_and_never_go(
    good: Path, tmp_path: Path, damage: Callable[[Path, random.Random], None]
) -> None:  # fmt: skip
    for seed in range(1 if damage.__name__ == "certain" else 3):
        path = tmp_path / str(seed)
        shutil.copytree(good, path)
        damage(path, random.Random(seed))
        verdict = "refused"
        with contextlib.suppress(ConfigError):
            verdict = judge(path).verdict
        assert verdict in {"refused", "no-go", "cannot-say"}


def test_undamaged_it_is_go(good: Path) -> None:
    assert judge(good).verdict == "go"


def test_no_run_directory_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(ConfigError, match="is no run directory"):
            judge(path)


def test_an_unfit_generator_takes_timing_away_and_leaves_findings(tmp_path: Path) -> None:
    """Law 4: its late clock says nothing about an event that came twice."""
    path = write_run(tmp_path / "run", replace(DOWN, spoil=at(3, 2, CASES[1][1])))
    lines = [json.loads(line) for line in (path / "health.jsonl").read_text().splitlines()]
    (path / "health.jsonl").write_text("".join(json.dumps({**x, "loop_lag_p99_ms": 900.0}) + "\n" for x in lines))
    judged = judge(path)
    assert (judged.generator.fit, judged.verdict) == (False, "no-go")
    assert {g.verdict for g in judged.gates if g.unit == "ms"} == {"unknown"}
    assert {g.verdict for g in judged.gates if g.unit == "share"} == {"pass"}


def test_no_number_of_a_verdict_is_infinite_or_none_at_all(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", replace(DOWN, spoil=lambda _, __, frames: frames[:2]))
    for gate in judge(path).gates:
        assert gate.observed is None or math.isfinite(gate.observed)
