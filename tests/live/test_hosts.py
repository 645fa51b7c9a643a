"""One run on several hosts: all rows that were sent are judged, and what is missing is missed by number."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.journal import read_journal
from loadtests.rundir import frames, read_run, windows_of
from tests.live.gauntlet import QUIET, Ended, backend, gauntlet, processes_of, scenario, until
from tests.live.hosts import FAULTS, TOKEN, party

pytestmark = pytest.mark.live

#: no number of load processes deals them out evenly
USERS = 31
SECRET = TOKEN["GAUNTLET_HOSTS_TOKEN"].encode()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with backend() as one:
        yield one


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, url: str) -> tuple[Ended, list[Ended]]:
    folder = tmp_path_factory.mktemp("whole")
    short = scenario(folder / "short.yaml", users=USERS)
    with party(folder, short, "--target", url, "--contract", "reference", workers=(("--processes", "2"), ())) as all_:
        return all_.ended()


def test_several_hosts_make_one_verdict(whole: tuple[Ended, list[Ended]]) -> None:
    ended, parts = whole
    assert (ended.code, ended.ids) == (0, set()), (ended, parts)
    assert [part.code for part in parts] == [0, 0], parts
    books = ended.verdict["books"]
    assert books["planned"] == books["sent"] + books["dropped"]


def test_every_user_lives_on_exactly_one_host(whole: tuple[Ended, list[Ended]]) -> None:
    ended, _ = whole
    data = read_run(ended.run)
    assert data.workers == ["worker-0", "worker-1", "worker-2"]
    ends = [*data.first_row[1:], len(data.rows)]
    users = [set(data.rows["session"][first:last].tolist()) for first, last in zip(data.first_row, ends, strict=True)]
    assert sum(map(len, users)) == len(set().union(*users)) == USERS
    assert {record["worker"] for record in data.health} == set(data.workers)


def test_rows_that_were_written_are_rows_that_are_judged(whole: tuple[Ended, list[Ended]]) -> None:
    ended, parts = whole
    hosts = read_run(ended.run).manifest["hosts"]
    assert [host["delivered"] for host in hosts] == [True, True]
    wrote = sum(sum(kinds.values()) for host in hosts for kinds in host["wrote"].values())
    assert wrote == ended.rows_bytes // 96 == sum(part.rows_bytes for part in parts) // 96
    assert list(frames(ended.run))


def test_the_clocks_are_told_with_their_bound(whole: tuple[Ended, list[Ended]]) -> None:
    ended, _ = whole
    told = re.findall(r"host-\d \(127\.0\.0\.1\): \d+ rows; its clock ([+-][\d.]+) s to ours, ± ([\d.]+) ms", ended.err)
    assert len(told) == 2, ended.err
    assert all(abs(float(ahead_s)) * 1000 <= float(bound_ms) for ahead_s, bound_ms in told), told


def test_the_token_is_nowhere(whole: tuple[Ended, list[Ended]]) -> None:
    ended, parts = whole
    files = [path for one in (ended, *parts) for path in one.run.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET in path.read_bytes()]
    assert not [one for one in (ended, *parts) if SECRET.decode() in one.out + one.err]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, url: str) -> tuple[Ended, list[Ended]]:
    folder = tmp_path_factory.mktemp("broken")
    acted = {"left": (2.0, {"kind": "mass-disconnect", "share": 0.1}), "recovery-left": 6.0}
    short = scenario(folder / "short.yaml", {**FAULTS, **acted}, users=USERS)
    with party(folder, short, "--target", url, "--contract", "reference", chaos=True) as all_:
        return all_.ended()


def test_faults_are_made_on_every_host_and_judged_as_one(broken: tuple[Ended, list[Ended]]) -> None:
    ended, parts = broken
    assert (ended.code, ended.ids, [part.code for part in parts]) == (0, set(), [0, 0]), (ended, parts)
    found = ended.verdict["faults"]
    assert [(fault["kind"], fault["effect"]) for fault in found] == [
        ("latency", "confirmed"), ("drop", "confirmed"), ("mass-disconnect", "confirmed"),
    ]  # fmt: skip
    assert {len(fault["measured"]["hosts"]) for fault in found} == {2}
    assert all(one["effect"] == "confirmed" for fault in found[:2] for one in fault["measured"]["hosts"].values())
    assert found[2]["disconnected"] == found[2]["measured"]["value"] == found[2]["measured"]["of"] > 0


def test_a_window_holds_those_of_all_hosts(broken: tuple[Ended, list[Ended]]) -> None:
    ended, parts = broken
    windows = {window.id: window for window in windows_of(read_run(ended.run))}
    # On one machine all have one clock, so what the parts wrote can be compared as it stands.
    slack_ns = max(host["clock"]["before"]["bound_ns"] for host in read_run(ended.run).manifest["hosts"]) + 10_000_000
    for part in parts:
        for record in read_journal(part.run / "history.jsonl"):
            if record["type"] == "window":
                one = windows[record["id"]]
                assert one.start_ns - slack_ns <= record["at_ns"] <= (one.end_ns or 0) + slack_ns


def test_every_host_has_its_own_listeners_and_the_master_none(broken: tuple[Ended, list[Ended]]) -> None:
    ended, parts = broken
    kinds = {record["type"] for record in read_journal(ended.run / "history.jsonl")}
    assert kinds.isdisjoint({"listeners", "window", "effect", "cleanup"})
    cleanups = [record for record in read_run(ended.run).journal if record["type"] == "cleanup"]
    assert sorted((one["host"], one["ok"]) for one in cleanups) == [(f"host-{n} (127.0.0.1)", True) for n in (1, 2)]
    assert not [pid for one in (ended, *parts) for pid in processes_of(one.run)]


def test_a_worker_host_that_was_killed_is_missing_by_number(tmp_path: Path, url: str) -> None:
    short = scenario(tmp_path / "short.yaml", {**QUIET, "steady": 12.0}, users=USERS)
    with party(tmp_path, short, "--target", url, "--contract", "reference") as all_:
        rows = tmp_path / "part-2" / "rows"
        until(
            lambda: any(file.stat().st_size > 96 * 300 for file in rows.glob("*.bin")),
            90,
            "the load of the second host",
        )
        all_.workers[1].send_signal(signal.SIGKILL)
        ended, parts = all_.ended()
    assert (ended.code, parts[0].code, parts[1].code) == (3, 0, -signal.SIGKILL), (ended, parts)
    until(lambda: not processes_of(tmp_path / "part-2"), 10, "the end of its load")
    lost = next(host for host in read_run(ended.run).manifest["hosts"] if not host["delivered"])
    reason = ended.checks["self"]["reason"]
    assert f"{lost['name']} (127.0.0.1) did not deliver its part" in reason
    assert f"it had written {lost['heard_rows']} rows and sent {lost['heard_turns']} turns; 0 rows are here" in reason
    assert lost["heard_rows"] > 0
    assert "1 of 2 load processes" in reason


def test_another_command_on_a_worker_host_is_refused_before_any_traffic(tmp_path: Path, url: str) -> None:
    short = scenario(tmp_path / "short.yaml", users=USERS)
    with party(tmp_path, short, "--target", url, "--contract", "reference", workers=(("--seed", "2"),)) as all_:
        _, said = all_.workers[0].communicate(timeout=90)
        assert all_.workers[0].returncode == 2
        all_.master.send_signal(signal.SIGINT)
        all_.master.communicate(timeout=60)
    assert "--seed: 2 there, 1 at the master" in said
    assert not (tmp_path / "part-1").exists()


def test_another_token_is_refused_before_any_traffic(tmp_path: Path, url: str) -> None:
    short = scenario(tmp_path / "short.yaml", users=USERS)
    other = {"GAUNTLET_HOSTS_TOKEN": "another-of-as-many-characters"}
    with party(tmp_path, short, "--target", url, "--contract", "reference", workers=((),), env=other) as all_:
        _, said = all_.workers[0].communicate(timeout=90)
        assert all_.workers[0].returncode == 2
    assert "has another GAUNTLET_HOSTS_TOKEN" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--master", "--workers", "2", "--no-chaos"), "the embedded backend is on one host's loopback"),
        (("--worker", "127.0.0.1"), "the embedded backend is on one host's loopback"),
        (("--master", "--workers", "2", "--target", "ws://127.0.0.1:1", "--no-chaos"), "the environment has no GAUNTLET_HOSTS_TOKEN"),
    ],
)  # fmt: skip
def test_what_several_hosts_cannot_do_is_said_and_nothing_stays(
    tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    ended = gauntlet("run", "smoke", *words, cwd=tmp_path)
    assert ended.code == 2, ended
    assert expected in ended.err
    assert not ended.run.exists()
