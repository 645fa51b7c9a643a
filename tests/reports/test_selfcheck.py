"""The harness doubts itself: one thing broken in a good run directory is one problem, and the run cannot say GO."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import to_builtins
from msgspec.structs import replace as replace_reading

from loadtests.clocks import Alignment, Reading
from loadtests.history import DTYPE, ROW, RowKind
from loadtests.rundir import read_run
from reports.judge import judge
from tests.reports.rundirs import Fault, Frames, Plan, write_run

PLAN = Plan(
    phases=(("warm-up", 1.0), ("steady", 3.0), ("down", 1.0), ("recovery", 4.0)),
    faults=(Fault(id="w1", phase="down", start_s=4.0, end_s=5.0),),
)


def rows_of(path: Path) -> Path:
    return path / "rows" / "worker-0.bin"


def edit_json(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(file.read_bytes())
    change(data)
    file.write_text(json.dumps(data))


def edit_journal(path: Path, keep: Callable[[dict[str, Any]], bool], **changes: Any) -> None:
    file = path / "history.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    kept = [{**r, **(changes if r["type"] == "cleanup" else {})} for r in records if keep(r)]
    file.write_text("".join(json.dumps(r) + "\n" for r in kept))


def without_account(path: Path) -> None:
    (path / "rows" / "worker-0.json").unlink()


def with_cut_rows(path: Path) -> None:
    rows_of(path).write_bytes(rows_of(path).read_bytes()[:-5])


def with_a_lost_row(path: Path) -> None:
    data = rows_of(path).read_bytes()
    rows_of(path).write_bytes(data[: 50 * ROW.size] + data[51 * ROW.size :])


def with_a_lost_event(path: Path) -> None:
    def change(account: dict[str, Any]) -> None:
        account["frames_received"] += 1

    edit_json(path / "rows" / "worker-0.json", change)


def with_a_row_of_no_kind(path: Path) -> None:
    rows = np.frombuffer(rows_of(path).read_bytes(), DTYPE).copy()
    rows["kind"][7] = 99
    rows_of(path).write_bytes(rows.tobytes())


def with_unbalanced_books(path: Path) -> None:
    """One turn's rows are taken out, and the account agrees: only the plan still knows of it."""
    rows = np.frombuffer(rows_of(path).read_bytes(), DTYPE)
    gone = (rows["session"] == 3) & (rows["turn"] == 2) & np.isin(rows["kind"], [RowKind.SEND, RowKind.END])
    rows_of(path).write_bytes(rows[~gone].tobytes())

    def change(account: dict[str, Any]) -> None:
        account["rows"] -= int(gone.sum())

    edit_json(path / "rows" / "worker-0.json", change)


def with_our_own_error(path: Path) -> None:
    edit_json(path / "rows" / "worker-0.json", lambda account: account.update(errors={"KeyError": 2}))


def with_other_findings_live(path: Path) -> None:
    edit_json(path / "rows" / "worker-0.json", lambda account: account.update(provisional={"misplaced": 1}))


def with_a_worker_missing(path: Path) -> None:
    edit_json(path / "manifest.json", lambda manifest: manifest.update(workers=2))


def without_heal(path: Path) -> None:
    edit_journal(path, lambda r: r.get("step") != "healed")


def without_cleanup(path: Path) -> None:
    edit_journal(path, lambda r: r["type"] != "cleanup")


def with_a_toxic_left(path: Path) -> None:
    edit_journal(path, lambda _: True, ok=False, left=["gauntlet-x-treated: toxic jam"])


def with_a_fault_that_never_began(path: Path) -> None:
    edit_json(path / "manifest.json", lambda manifest: manifest["windows"].append({"id": "w2", "kind": "jam"}))


def with_a_clock_jump(path: Path) -> None:
    edit_json(
        path / "manifest.json", lambda m: m["clock_end"].update(wall_ns=m["clock_end"]["wall_ns"] + 3_000_000_000)
    )


def without_an_end(path: Path) -> None:
    edit_json(path / "manifest.json", lambda manifest: manifest.update(exit=None))


def with_a_bad_end(path: Path) -> None:
    edit_json(path / "manifest.json", lambda manifest: manifest.update(exit="the guard is gone"))


def stopped(path: Path) -> None:
    edit_json(path / "manifest.json", lambda manifest: manifest.update(exit="stopped: limits.turns: 9 turns of 9"))


def without_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def with_another_contract(path: Path) -> None:
    file = path / "contract.yaml"
    file.write_text(file.read_text().replace("rate>0.95", "rate>0.05"))


BREAKAGES = [
    (with_another_contract, "not the contract that ran"),
    (without_account, "did not end in order"),
    (with_cut_rows, "ends in the middle of a row"),
    (with_a_lost_row, "rows, "),
    (with_a_lost_event, "event rows"),
    (with_a_row_of_no_kind, "unknown kind"),
    (with_unbalanced_books, "books do not balance"),
    (with_our_own_error, "our own KeyError, 2 times"),
    (with_other_findings_live, "judged live"),
    (with_a_worker_missing, "1 of 2 load processes"),
    (without_heal, "fault window w1 (down) has no end"),
    (without_cleanup, "no record of cleaning up"),
    (with_a_toxic_left, "toxic jam"),
    (with_a_fault_that_never_began, "never began: w2"),
    (with_a_clock_jump, "wall clock jumped by 3"),
    (without_an_end, "its manifest has no end"),
    (with_a_bad_end, "ended in disorder: the guard is gone"),
    (stopped, "was stopped before its time: limits.turns: 9 turns of 9"),
    (without_manifest, "manifest.json is missing"),
]


def twice(session: int, turn: int, frames: Frames) -> Frames:
    return [*frames, frames[-1]] if (session, turn) == (5, 3) else frames


def lost(session: int, turn: int, frames: Frames) -> Frames:
    return [*frames[:1], *frames[2:]] if (session, turn) == (5, 3) else frames


def test_the_unbroken_run_is_go_and_has_no_problem(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run", PLAN))
    assert (judged.verdict, judged.check("self").verdict) == ("go", "valid"), judged.sentence


@pytest.mark.parametrize(("broken", "text"), BREAKAGES, ids=[broken.__name__ for broken, _ in BREAKAGES])
def test_one_broken_thing_caps_the_run_and_is_named(
    tmp_path: Path, broken: Callable[[Path], None], text: str
) -> None:  # fmt: skip
    path = write_run(tmp_path / "run", PLAN)
    broken(path)
    judged = judge(path)
    assert judged.verdict == "cannot-say"
    assert text in judged.check("self").reason
    assert judged.causes[0].title.startswith("self")


@pytest.mark.parametrize(("broken", "text"), BREAKAGES, ids=[broken.__name__ for broken, _ in BREAKAGES])
def test_what_the_backend_did_wrong_is_still_shown(tmp_path: Path, broken: Callable[[Path], None], text: str) -> None:
    """Law 4: the run is capped, its findings are not hidden."""
    path = write_run(tmp_path / "run", replace(PLAN, spoil=lost))
    assert judge(path).verdict == "no-go"
    broken(path)
    judged = judge(path)
    assert (judged.verdict, judged.check("loss").verdict) == ("cannot-say", "invalid")
    assert judged.check("loss").witnesses
    assert text in judged.check("self").reason


def test_an_interrupted_run_is_no_disorder(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run", replace(PLAN, exit="interrupted")))
    assert judged.check("self").verdict == "valid"


def test_live_findings_are_not_held_against_another_contract(tmp_path: Path) -> None:
    """Under another contract other things are findings, and that is no fault of ours."""
    path = write_run(tmp_path / "run", replace(PLAN, spoil=twice))
    assert judge(path).check("self").verdict == "valid"
    assert judge(path, "netra").check("self").verdict == "valid"


# -- several hosts -----------------------------------------------------------------------------------------------------

#: a million seconds ahead, and 60 µs more each second
FAST = Alignment(Reading(10**15, 10**15 - 10**9, 40_000), Reading(10**15 + 10**10, 10**15 - 10**9 + 600_000, 50_000))


def on_a_host(path: Path, clock: Alignment = FAST, /, **changes: Any) -> Path:
    """The same run as another host has recorded it, by its own clock."""
    data = read_run(path)
    rows, start_ns = data.rows.copy(), data.start_ns
    ours = Alignment(
        replace_reading(clock.before, at_ns=start_ns + clock.before.ahead_ns),
        replace_reading(clock.after, at_ns=start_ns + clock.before.ahead_ns + 10**10),
    )
    for column in ("sent", "received"):
        rows[column] = [shown(at_ns, ours) if at_ns > 0 else 0 for at_ns in rows[column].tolist()]
    rows["intended"] = np.where(rows["intended"] > 0, rows["intended"] + ours.before.ahead_ns, 0)
    rows_of(path).write_bytes(rows.tobytes())
    counts = np.bincount(rows["kind"]).tolist()
    host = {
        "name": "host-1", "address": "10.0.0.9", "workers": ["worker-0"], "delivered": True, "late_ms": 0, "clock": to_builtins(ours),
        "wrote": {"worker-0": {RowKind(kind).name: count for kind, count in enumerate(counts) if count}}, **changes,
    }  # fmt: skip
    edit_json(path / "manifest.json", lambda manifest: manifest.update(hosts=[host]))
    faults = [record for record in data.journal if record["type"] in {"window", "effect", "cleanup"}]
    edit_journal(path, lambda record: record["type"] not in {"window", "effect", "cleanup"})
    write_journal(path, "host-1", [{**record, "at_ns": shown(record["at_ns"], ours)} for record in faults])
    return path


def shown(at_ns: int, clock: Alignment) -> int:
    """What a host's clock shows when the master's shows that."""
    there = at_ns + clock.before.ahead_ns
    for _ in range(3):
        there = at_ns + clock.ahead_at(there)
    return there


def write_journal(path: Path, host: str, records: Iterable[dict[str, Any]]) -> None:
    folder = path / "hosts" / host
    folder.mkdir(parents=True)
    (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def beside_it(path: Path, *records: dict[str, Any], **changes: Any) -> Path:
    """A run on a host, and on another one that had no user and the master's own clock."""
    on_a_host(path)
    host = {
        "name": "host-2", "address": "10.0.0.8", "workers": [], "delivered": True, "late_ms": 0, "wrote": {},
        "clock": to_builtins(Alignment(Reading(0, 0, 9), Reading(10**9, 0, 9))), **changes,
    }  # fmt: skip
    edit_json(path / "manifest.json", lambda manifest: manifest["hosts"].append(host))
    write_journal(path, "host-2", records)
    return path


def test_a_run_on_a_host_with_another_clock_is_judged_as_on_the_masters(tmp_path: Path) -> None:
    here, there = write_run(tmp_path / "here", PLAN), on_a_host(write_run(tmp_path / "there", PLAN))
    assert np.abs(read_run(there).rows["received"] - read_run(here).rows["received"]).max() <= 1
    one, other = judge(here), judge(there)
    assert (other.verdict, other.check("self").reason) == ("go", one.check("self").reason), other.sentence
    assert other.books == one.books


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"late_ms": 40}, "host-1 (10.0.0.9) learned of the start 40 ms after it"),
        ({"clock": None}, "its clock was not read"),
        (
            {"delivered": False, "heard_rows": 700, "heard_turns": 9, "heard_s": 12.34},
            "did not deliver its part: when last heard of, at 12.3 s, it had written 700 rows and sent 9 turns",
        ),
        ({"wrote": {"worker-0": {"SEND": 1000}}}, "not all rows of worker-0 are judged: "),
        ({"wrote": {"worker-0": {"SEND": 1000}}}, "SEND 1000 there and "),
        ({"workers": ["worker-0", "worker-1"], "wrote": {"worker-1": {"END": 3}}}, "worker-1 are judged: END 3 there and 0 here"),
    ],
)  # fmt: skip
def test_what_a_host_did_not_bring_is_named_with_its_numbers(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    judged = judge(on_a_host(write_run(tmp_path / "run", PLAN), **changes))
    assert judged.verdict == "cannot-say"
    assert text in judged.check("self").reason


def test_a_host_whose_clock_jumped_is_named(tmp_path: Path) -> None:
    jumped = Alignment(FAST.before, replace_reading(FAST.after, ahead_ns=FAST.before.ahead_ns - 3 * 10**9))
    judged = judge(on_a_host(write_run(tmp_path / "run", PLAN), jumped))
    assert judged.verdict == "cannot-say"
    assert "host-1 (10.0.0.9): its clock jumped by 2989.9 ms against the master's" in judged.check("self").reason


CLEAN = {"type": "cleanup", "at_ns": 1, "ok": True, "left": []}


def window(path: Path, late_ns: int = 0, without: str = "") -> list[dict[str, Any]]:
    """What another host would have written of the run's window and its effect."""
    records = [record for record in read_run(path).journal if record["type"] in {"window", "effect"}]
    return [{**one, "at_ns": one["at_ns"] + late_ns} for one in records if one.get("step") != without]


def test_a_window_on_two_hosts_is_judged_as_one(tmp_path: Path) -> None:
    alone = write_run(tmp_path / "alone", PLAN)
    both = beside_it(write_run(tmp_path / "both", PLAN), CLEAN, *window(alone, late_ns=40_000_000))
    one, other = judge(alone), judge(both)
    assert (other.verdict, other.check("self").verdict) == ("go", "valid"), other.check("self").reason
    (fault,) = other.faults
    assert (fault.id, fault.effect) == ("w1", "confirmed")
    assert sorted(fault.measured["hosts"]) == ["host-1 (10.0.0.9)", "host-2 (10.0.0.8)"]
    assert (fault.start_s, fault.end_s) == (one.faults[0].start_s, round((one.faults[0].end_s or 0) + 0.04, 3))


def test_a_host_that_missed_a_window_is_named_by_the_effect_and_by_self(tmp_path: Path) -> None:
    judged = judge(beside_it(write_run(tmp_path / "run", PLAN), CLEAN))
    assert judged.verdict == "cannot-say"
    assert "host-2 (10.0.0.8): fault window w1: it has no record of it" in judged.check("self").reason
    (fault,) = judged.faults
    assert (fault.effect, fault.measured["reason"]) == ("not-probed", "host-2 (10.0.0.8): it has no record of it")


def test_a_host_that_came_late_to_a_window_is_named_with_its_lateness(tmp_path: Path) -> None:
    late = window(write_run(tmp_path / "alone", PLAN), late_ns=700_000_000)
    judged = judge(beside_it(write_run(tmp_path / "run", PLAN), CLEAN, *late))
    words = "host-2 (10.0.0.8): fault window w1: it began it 700 ms after host-1 (10.0.0.9)"
    assert (judged.verdict, words in judged.check("self").reason) == ("cannot-say", True), judged.check("self").reason


def test_a_window_that_one_host_never_healed_has_no_end(tmp_path: Path) -> None:
    unhealed = window(write_run(tmp_path / "alone", PLAN), without="healed")
    reason = judge(beside_it(write_run(tmp_path / "run", PLAN), CLEAN, *unhealed)).check("self").reason
    assert "fault window w1 (down) has no end" in reason
    assert "host-2 (10.0.0.8): fault window w1: it never healed it" in reason


@pytest.mark.parametrize(
    ("cleanup", "text"),
    [
        ([], "host-2 (10.0.0.8): no record of cleaning up after the faults"),
        ([{**CLEAN, "ok": False, "left": ["toxic jam"]}], "left behind after the faults: host-2 (10.0.0.8): toxic jam"),
    ],
)
def test_every_host_cleans_up_after_itself(tmp_path: Path, cleanup: list[dict[str, Any]], text: str) -> None:
    there = window(write_run(tmp_path / "alone", PLAN))
    judged = judge(beside_it(write_run(tmp_path / "run", PLAN), *cleanup, *there))
    assert (judged.verdict, judged.check("self").reason) == ("cannot-say", text)


def test_records_of_a_host_that_cannot_be_believed_are_left_out_and_named(tmp_path: Path) -> None:
    there = window(write_run(tmp_path / "alone", PLAN))
    strange = {"type": "window", "id": "w1", "step": "healed", "at_ns": "soon"}
    reason = judge(beside_it(write_run(tmp_path / "run", PLAN), CLEAN, strange, *there)).check("self").reason
    assert "hosts/host-2/history.jsonl holds 1 records that cannot be believed" in reason
