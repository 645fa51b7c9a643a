"""The main job on the real path: real users, real Toxiproxy, a running backend, every event judged, one verdict.

``pytest -m mission_critical --target URL`` runs it against that backend; without faults, unless it is on loopback.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pandas as pd
import pytest

import reports.render
from loadtests.rundir import read_run
from tests.live.gauntlet import Ended, gauntlet, processes_of

pytestmark = [pytest.mark.live, pytest.mark.mission_critical]


def on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@pytest.fixture(scope="module")
def options(pytestconfig: pytest.Config) -> list[str]:
    target = str(pytestconfig.getoption("--target"))
    if not target:
        return []
    words = ["--target", target, "--allow-target", urlsplit(target).hostname or ""]
    for option in ("--contract", "--token-env"):
        if value := str(pytestconfig.getoption(option)):
            words += [option, value]
    return words + ([] if on_loopback(target) else ["--no-chaos"])


@pytest.fixture(scope="module")
def smoke(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return gauntlet("run", "smoke", "--label", "build=under-test", *options, cwd=tmp_path_factory.mktemp("smoke"))


def test_it_is_go(smoke: Ended) -> None:
    assert (smoke.code, smoke.verdict["verdict"], smoke.ids, smoke.failed_gates) == (0, "go", set(), set()), smoke


def test_the_verdict_keeps_its_published_shape(smoke: Ended) -> None:
    schema = next(Path(reports.render.__file__).parent.rglob("*schema*.json"))
    jsonschema.validate(smoke.verdict, json.loads(schema.read_bytes()))


def test_the_books_balance_and_the_planned_load_was_sent(smoke: Ended) -> None:
    books = smoke.verdict["books"]
    assert books["planned"] == books["sent"] + books["dropped"]
    assert books["sent"] == books["ok"] + books["failed"] + books["censored"]
    assert books["sent"] > 0.9 * books["planned"] > 900


def test_every_checker_that_the_plan_requires_was_exercised(smoke: Ended) -> None:
    required = {id_: check for id_, check in smoke.checks.items() if check["verdict"] != "not-exercised"}
    assert {"order", "complete", "pairing", "terminal", "vocabulary", "schema", "silence", "self"} <= set(required)
    assert all(check["samples"] > 0 for check in required.values())


def test_every_fault_bit_and_everybody_came_back(smoke: Ended, options: list[str]) -> None:
    faults = {fault["kind"]: fault for fault in smoke.verdict["faults"]}
    assert set(faults) == (set() if "--no-chaos" in options else {"latency", "down"})
    assert {fault["effect"] for fault in faults.values()} <= {"confirmed"}
    for fault in faults.values():
        assert fault["end_s"] > fault["start_s"]
    if "down" in faults:
        assert faults["down"]["disconnected"] == 30


def test_every_demanded_event_is_in_the_table_of_events(smoke: Ended) -> None:
    data = read_run(smoke.run)
    events = pd.read_parquet(smoke.run / "events.parquet")
    turns = pd.read_parquet(smoke.run / "turns.parquet")
    assert len(events) == len(data.rows)
    assert len(turns) == smoke.verdict["books"]["sent"]
    seen = set(events["event"].unique())
    assert {rule.name for rule in data.contract.demanded} <= seen
    # what its contract has a role for must have come for every turn that ended well
    ok = turns[turns["outcome"] == "ok"]
    assert ok[[f"event:{rule.name}" for rule in data.contract.demanded]].notna().all(axis=None)


def test_machines_and_people_can_read_it(smoke: Ended) -> None:
    suite: Any = ET.parse(smoke.run / "junit.xml").getroot()
    assert suite.findall(".//testcase")
    assert not suite.findall(".//failure")
    assert "GO" in (smoke.run / "summary.md").read_text()
    page = (smoke.run / "report.html").read_text()
    assert page.count("<svg") >= 2
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert smoke.out.splitlines()[-1].endswith("report.html")


def test_nothing_is_left_behind(smoke: Ended) -> None:
    assert not processes_of(smoke.run)
    assert not list(smoke.run.glob("backend.sqlite*"))
    guard = json.loads((smoke.run / "guard.json").read_bytes())
    assert (guard["reason"], guard["left"]) == ("orderly", [])


def test_judged_again_it_says_the_same_and_writes_over_nothing(smoke: Ended) -> None:
    first = (smoke.run / "verdict.json").read_bytes()
    again = gauntlet("report", smoke.run, cwd=smoke.run.parent)
    assert (again.code, (smoke.run / "verdict.json").read_bytes()) == (0, first), again
    assert json.loads((smoke.run / "judged" / "1" / "verdict.json").read_bytes()) == json.loads(first)
