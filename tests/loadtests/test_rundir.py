"""Reading a run directory: whole, cut, or under another contract than it was recorded with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtests.errors import ConfigError
from loadtests.history import DTYPE, Flag, RowKind
from loadtests.journal import Journal
from loadtests.rundir import frames, read_run, windows_of
from reports.replay import replay
from tests.loadtests.histories import Bench

WHOLE = ("start", "think", "open", "close", "done")


def recorded(folder: Path, *more: str, name: str = "reference") -> Bench:
    bench = Bench(folder, name)
    talk = bench.session().ready()
    talk.begin()
    talk.say(*more, *WHOLE).stop()
    bench.recorder.close()
    return bench


def contract_file(folder: Path, text: str) -> str:
    path = folder / "other.yaml"
    path.write_text(f"contract: 1\nname: other\nextends: reference\n{text}\n")
    return str(path)


@pytest.mark.parametrize("lacking", ["scenario.yaml", "contract.yaml"])
def test_a_folder_that_is_no_run_directory(tmp_path: Path, lacking: str) -> None:
    recorded(tmp_path)
    (tmp_path / lacking).unlink()
    with pytest.raises(ConfigError, match="is no run directory"):
        read_run(tmp_path)


def test_a_run_without_a_row_or_a_manifest_is_still_a_run(tmp_path: Path) -> None:
    Bench(tmp_path)
    (tmp_path / "manifest.json").unlink()
    for file in (tmp_path / "rows").iterdir():
        file.unlink()
    data = read_run(tmp_path)
    assert (len(data.rows), data.rows.dtype, data.manifest, data.workers, data.journal) == (0, DTYPE, {}, [], [])
    assert (list(frames(tmp_path)), replay(data).findings) == ([], [])


@pytest.mark.parametrize(("wedged", "may"), [("w1", True), ("w2", False)])
def test_a_window_in_which_toxiproxy_hung_may_have_cut_connections(tmp_path: Path, wedged: str, *, may: bool) -> None:
    Bench(tmp_path)
    journal = Journal(tmp_path / "history.jsonl")
    journal.append("window", id="w1", step="applying", at_ns=5, kind="jam", cohort="treated", phase="p", asked={})
    journal.append("wedge", id=wedged, text="no answer")
    journal.close()
    (window,) = windows_of(read_run(tmp_path))
    assert (window.disconnects, window.may_disconnect) == (False, may)


@pytest.mark.parametrize(("start", "expected"), [('{"start_ns": 5}', 5), ("", 1_001_000_000), ("[]", 1_001_000_000)])
def test_time_counts_from_the_common_start_or_from_the_first_row(tmp_path: Path, start: str, expected: int) -> None:
    recorded(tmp_path)
    (tmp_path / "start.json").write_text(start)
    data = read_run(tmp_path)
    assert data.start_ns == expected
    assert data.seconds(expected + 1_500_000_000) == 1.5


def test_workers_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    recorded(tmp_path)
    whole = (tmp_path / "rows" / "worker-0.bin").read_bytes()
    for number in (10, 2):
        (tmp_path / "rows" / f"worker-{number}.bin").write_bytes(whole[:96])
    data = read_run(tmp_path)
    assert data.workers == ["worker-0", "worker-2", "worker-10"]
    assert data.first_row == [0, len(whole) // 96, len(whole) // 96 + 1]
    assert data.accounts["worker-2"] is None


def test_rows_of_an_unknown_kind_are_left_out_and_told(tmp_path: Path) -> None:
    recorded(tmp_path)
    path = tmp_path / "rows" / "worker-0.bin"
    path.write_bytes(path.read_bytes() + b"\xee" + bytes(95))
    data = read_run(tmp_path)
    (problem,) = data.problems
    assert "worker-0.bin holds rows of an unknown kind" in problem
    assert set(data.rows["kind"].tolist()) <= {int(kind) for kind in RowKind}


def test_lines_that_are_no_frames_are_left_out(tmp_path: Path) -> None:
    recorded(tmp_path)
    (tmp_path / "rows" / "worker-0.frames").write_text('{"row": 1}\n[]\nhalf {\n{"row": 2}')
    assert [frame["row"] for frame in frames(tmp_path)] == [1, 2]


# -- another contract over old rows ------------------------------------------------------------------------------------


def findings(folder: Path, name: str | None) -> list[str]:
    return sorted(finding.kind.name for finding in replay(read_run(folder, name)).findings)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("title: the same", []),
        ("events: {partial_result: {demanded: true}}", ["role-missing"]),
        ("events: {agent_thinking: {demanded: false}}", []),
        ("order: {start: asked, states: {asked: {agent_thinking: asked}, running: {}}}", []),
    ],
)
def test_an_old_run_can_be_judged_by_other_rules(tmp_path: Path, change: str, expected: list[str]) -> None:
    recorded(tmp_path)
    assert findings(tmp_path, contract_file(tmp_path, change)) == expected


@pytest.mark.parametrize(
    ("event", "change", "flag", "expected"),
    [
        ("chat_message", "legacy: [other_old]", Flag.UNAPPROVED, ["unapproved"]),
        ("no_such_type", "legacy: [no_such_type]", Flag.LEGACY, ["legacy"]),
        ("no_such_type", "events: {no_such_type: {}}", 0, []),
        ("no_such_type", "aliases: {no_such_type: agent_log}", Flag.DEPRECATED, ["deprecated"]),
    ],
)
def test_another_vocabulary_gives_recorded_types_another_standing(
    tmp_path: Path, event: str, change: str, flag: int, expected: list[str]
) -> None:
    bench = Bench(tmp_path)
    talk = bench.session().ready()
    talk.raw({"type": event})
    bench.recorder.close()
    data = read_run(tmp_path, contract_file(tmp_path, change))
    assert data.rows["flags"][-1] == flag
    assert findings(tmp_path, data.contract.source) == expected
    assert len(findings(tmp_path, None)) == 1


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ('{accepted: ["1", "2"], deprecated: []}', []),
        ('{accepted: ["2"], deprecated: ["1"]}', ["version-deprecated"]),
        ('{accepted: ["2"], deprecated: []}', ["version-unknown"]),
        ("{path: null, accepted: null, deprecated: null}", []),
    ],
)
def test_recorded_versions_are_held_to_the_contract_that_judges(
    tmp_path: Path, versions: str, expected: list[str]
) -> None:
    bench = Bench(tmp_path)
    talk = bench.session().ready()
    talk.begin()
    talk.say("start", event_version="1").say("think", "open", "close", "done").stop()
    bench.recorder.close()
    assert findings(tmp_path, None) == []
    assert findings(tmp_path, contract_file(tmp_path, f"versions: {versions}")) == expected


def test_absent_fields_are_forgotten_where_another_contract_asks_for_others(tmp_path: Path) -> None:
    """Rows do not hold what was in a frame, so a bit for another list of fields would be a guess."""
    bench = Bench(tmp_path)
    talk = bench.session().ready()
    talk.begin()
    talk.say("start").say("think", reasoning=None).say("open", "close").say("done", agent_name=None).stop()
    bench.recorder.close()
    assert findings(tmp_path, None) == ["field-missing", "field-missing"]
    other = contract_file(tmp_path, "events: {agent_thinking: {fields: [turn, reasoning]}}")
    assert findings(tmp_path, other) == ["field-missing"]


def test_roots_are_those_of_the_contract_that_judges(tmp_path: Path) -> None:
    recorded(tmp_path)
    data = read_run(tmp_path, contract_file(tmp_path, "agents: {root: [nobody]}"))
    assert replay(data).findings == []


# -- fault windows -----------------------------------------------------------------------------------------------------


def test_windows_are_paired_by_id_and_keep_an_open_end(tmp_path: Path) -> None:
    recorded(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["windows"] = [{"id": "w1", "disconnects": True, "swallows": True}]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    journal = Journal(tmp_path / "history.jsonl")
    journal.append("window", id="w1", step="applying", at_ns=10, kind="down", cohort="treated", asked={"a": 1})
    journal.append("window", id="w1", step="applied", at_ns=12)
    journal.append("window", id="w2", step="applying", at_ns=15, kind="jam", cohort="treated", phase="jam")
    journal.append("window", id="w1", step="healing", at_ns=20)
    journal.append("window", id="w1", step="healed", at_ns=22)
    journal.close()
    first, second = windows_of(read_run(tmp_path))
    assert (first.id, first.start_ns, first.end_ns, first.asked, first.disconnects) == ("w1", 10, 22, {"a": 1}, True)
    assert (second.kind, second.phase, second.end_ns, second.swallows) == ("jam", "jam", None, False)
