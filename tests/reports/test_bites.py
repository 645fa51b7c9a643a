"""Whether a fault bit: the worse of what the nemesis says and what the load processes wrote, and both only inside its window."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.history import Window
from loadtests.rundir import RunData, read_run, windows_of
from reports.bites import bites, strangers, unconfirmed, unproven
from reports.judge import judge
from tests.reports.rundirs import START_NS, Fault, Plan, S, write_run

PLAN = Plan(
    users=8, phases=(("warm-up", 1.0), ("steady", 3.0), ("act", 1.0), ("recovery", 4.0)),
    faults=(Fault(id="w1", phase="act", kind="mass-disconnect", start_s=4.0, end_s=5.0),),
)  # fmt: skip
INSIDE_NS, OUTSIDE_NS = START_NS + 4 * S + S // 20, START_NS + 7 * S


def line(sessions: list[Any], at_ns: int = INSIDE_NS, act: str = "begin", **more: Any) -> dict[str, Any]:
    return {
        "id": "w1", "kind": "mass-disconnect", "cohort": "treated", "act": act, "at_ns": at_ns, "sessions": sessions, "of": 4, **more,
    }  # fmt: skip


@pytest.fixture
def acted(tmp_path: Path) -> Callable[..., Path]:
    """A run whose one fault our own clients made."""

    def make(*lines: dict[str, Any] | str, place: str = "client", effect: str | None = "confirmed") -> Path:
        path = write_run(tmp_path / "run", PLAN)
        manifest = json.loads((path / "manifest.json").read_bytes())
        manifest["windows"][0]["place"] = place
        (path / "manifest.json").write_text(json.dumps(manifest))
        records = [json.loads(one) for one in (path / "history.jsonl").read_text().splitlines()]
        kept = [
            r | ({"effect": effect} if r["type"] == "effect" else {})
            for r in records
            if effect or r["type"] != "effect"
        ]
        (path / "history.jsonl").write_text("".join(json.dumps(one) + "\n" for one in kept))
        text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines)
        (path / "rows" / "worker-0.acts.jsonl").write_text(text)
        return path

    return make


def of(path: Path) -> tuple[RunData, list[Window]]:
    data = read_run(path)
    return data, windows_of(data)


@pytest.mark.parametrize(
    ("lines", "effect", "expected", "value"),
    [
        ([line([1, 2])], None, "confirmed", 2),
        ([line([1, 2]), line([3]), line([1, 2], act="end")], None, "confirmed", 3),
        ([line([])], "confirmed", "absent", 0),
        ([], "confirmed", "not-probed", None),
        ([line([1], act="end")], "confirmed", "not-probed", None),
        ([line([1], OUTSIDE_NS)], "confirmed", "not-probed", None),
        ([line([1], START_NS)], "confirmed", "not-probed", None),
        ([{**line([1]), "id": "w2"}], "confirmed", "not-probed", None),
        ([line([1])], "absent", "absent", 1),
        ([line([1])], "not-probed", "not-probed", 1),
        (["{", "[]", '{"id": "w1", "act": "begin", "at_ns": "x"}', line(["a", -1, True, None, 2])], None, "confirmed", 2),
        ([line({"no": "list"})], None, "absent", 0),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_our_own_clients_did_is_proved_by_their_lines(
    acted: Callable[..., Path], lines: list[Any], effect: str | None, expected: str, value: int | None
) -> None:
    data, windows = of(acted(*lines, effect=effect))
    one = bites(data, windows)["w1"]
    assert one.effect == expected
    if effect is None or expected not in {"confirmed", effect}:
        assert one.measured["value"] == value


def test_a_fault_of_the_network_needs_no_lines(acted: Callable[..., Path]) -> None:
    data, windows = of(acted(place="listener"))
    assert (bites(data, windows)["w1"].effect, unproven(bites(data, windows), windows)) == ("confirmed", "")
    assert unconfirmed(bites(data, windows), windows) == frozenset()


def test_the_faults_that_nobody_has_seen_bite_are_named_by_their_ids(acted: Callable[..., Path]) -> None:
    data, (first,) = of(acted(place="listener"))
    second = replace(first, id="w2")
    found = {"w1": bites(data, [first])["w1"], "w2": bites(data, [second])["w2"]}
    assert unconfirmed(found, [first, second]) == {"w2"}
    assert unproven(found, iter([first, second])) == "fault without proven effect: w2 (mass-disconnect): not-probed"


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [([line([0, 1, 2, 3, 4, 5, 6, 7])], "cannot-say"), ([], "cannot-say"), ([line([])], "cannot-say")],
)
def test_without_its_proof_nothing_is_said_of_recovery(
    acted: Callable[..., Path], lines: list[Any], verdict: str
) -> None:
    """Law 4, for what our own clients do: and whoever hits the control group has none."""
    judged = judge(acted(*lines))
    assert judged.verdict == verdict
    if lines and lines[0]["sessions"]:
        assert "w1 hit 4 sessions that are not of its cohort" in judged.check("self").reason
    else:
        assert judged.check("reconnect").verdict == "unknown"
        assert "fault without proven effect: w1 (mass-disconnect)" in judged.check("reconnect").reason


def test_the_hit_are_named_beside_the_asked_on_the_result(acted: Callable[..., Path]) -> None:
    data, windows = of(acted())
    treated = [n for n, c in ((int(r["session"]), int(r["cohort"])) for r in data.rows) if c == 2][:1]
    path = data.path
    (path / "rows" / "worker-0.acts.jsonl").write_text(json.dumps(line(treated)) + "\n")
    judged = judge(path)
    (fault,) = judged.faults
    assert (fault.place, fault.effect, judged.check("reconnect").verdict) == ("client", "confirmed", "valid")
    assert not strangers(replace(data, path=path), windows, {treated[0]: "treated"})
