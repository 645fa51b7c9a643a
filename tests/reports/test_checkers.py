"""The table of checkers: which there are, what requires each, what exercises it, on histories of every poverty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.contract import Contract, load
from loadtests.findings import KINDS
from loadtests.history import ROW, Window
from loadtests.metrics import CHECKER_IDS
from loadtests.retry import Policy
from reports.checkers import CHECKERS, Case, Checker, Opinion
from reports.clients import MisstepLog
from reports.evidence import Evidence
from reports.judge import judge
from reports.peers import PeerFinding
from reports.placed import PlacedFindings
from reports.steadiness import Comparison
from tests.reports.rundirs import Fault, Frames, Plan, write_run
from tests.reports.stories import START_NS, Story

REFERENCE, NETRA = load("reference"), load("netra")
CUT = Window("w1", "down", "treated", "down", 1, 2, {}, disconnects=True, swallows=True)
SLOW = replace(CUT, id="w2", kind="latency", disconnects=False, swallows=False)
DOWN = Plan(
    phases=(("warm-up", 1.0), ("steady", 3.0), ("down", 1.0), ("recovery", 4.0)),
    faults=(Fault(id="w1", phase="down", start_s=4.0, end_s=5.0),),
)
CLIENT = {"retries", "backoff", "herd", "sockets"}
#: these need more than one cut and half a minute: a message in doubt, a quiet end, a server's view, a large herd
DEMANDING = {"idempotency", "restored", "dead-peers", "backoff", "herd"}
MUST_STREAM = "\nevents: {partial_result: {role: content, demanded: true}}"
NUMBERS = [f.name for f in fields(Evidence) if f.name not in {"contract", "windows"}]


def evidence(contract: Contract, windows: tuple[Window, ...], number: int) -> Evidence:
    return Evidence(
        contract=contract,
        windows=windows,
        **(dict.fromkeys(NUMBERS, number) | {"lasting": False, "compares": frozenset()}),
    )


def ids(checkers: Iterable[Checker]) -> set[str]:
    return {checker.id for checker in checkers}


def test_there_is_one_row_for_each_id_of_the_design() -> None:
    assert sorted(checker.id for checker in CHECKERS) == sorted(CHECKER_IDS)


def test_every_finding_belongs_to_a_checker() -> None:
    assert {kind.checker for kind in KINDS} <= ids(CHECKERS)


def test_whose_fault_a_finding_is() -> None:
    """Law 3: the client's own policies are the client's, the record is the harness's, all else is the backend's."""
    assert {c.id for c in CHECKERS if c.subject == "client"} == CLIENT
    assert {c.id for c in CHECKERS if c.subject == "harness"} == {"self"}


@pytest.mark.parametrize(
    ("contract", "windows", "idle"),
    [
        (REFERENCE, (CUT,), set()),
        (REFERENCE, (SLOW,), {"honesty", "reconnect"}),
        (REFERENCE, (), {"honesty", "reconnect", "restored", "control"}),
        (NETRA, (CUT,), {"honesty", "duplicate", "loss", "idempotency"}),
        (NETRA, (), {"honesty", "duplicate", "loss", "idempotency", "reconnect", "restored", "control"}),
    ],
)
def test_what_is_required_follows_from_contract_and_faults(
    contract: Contract, windows: tuple[Window, ...], idle: set[str]
) -> None:  # fmt: skip
    """Of a history that is rich in all else."""
    needed = [checker for checker in CHECKERS if checker.required(evidence(contract, windows, 99))]
    assert ids(CHECKERS) - ids(needed) == idle | CLIENT


@pytest.mark.parametrize(
    ("changes", "repeats", "gaps"),
    [
        ("", False, False),
        ("events: {agent_started: {role: started, fields: [event_id]}}", True, False),
        ("streams: [{event: partial_result, text: content, index: n}]", False, False),
        ("streams: [{event: partial_result, text: content, index: n}]" + MUST_STREAM, True, True),
        ("streams: [{event: partial_result, text: content}]" + MUST_STREAM, False, False),
        (
            "streams: [{event: partial_result, text: content, final: {event: agent_completed, text: final_response}}]" + MUST_STREAM,
            False,
            True,
        ),
    ],
)  # fmt: skip
def test_what_tells_repeats_and_gaps_requires_who_looks_for_them(
    tmp_path: Path, changes: str, repeats: bool, gaps: bool
) -> None:
    """A cursor is not the only thing that does; what may be absent, as an id on the audited wire, promises nothing."""
    file = tmp_path / "mine.yaml"
    file.write_text(f"contract: 1\nname: mine\nextends: netra\n{changes}\n")
    rich = evidence(load(str(file)), (), 9)
    required = ids(checker for checker in CHECKERS if checker.required(rich))
    assert ("duplicate" in required, "loss" in required) == (repeats, gaps)


@pytest.mark.parametrize(
    ("field", "duplicate", "loss"), [("numbered", 9, 9), ("keyed", 9, 0), ("numbered_chunks", 9, 0), ("chunks", 0, 9)]
)
def test_each_way_to_tell_repeats_and_gaps_exercises_who_looks_for_them(field: str, duplicate: int, loss: int) -> None:
    only = replace(evidence(REFERENCE, (), 0), **{field: 9})
    samples = {checker.id: checker.samples(only) for checker in CHECKERS}
    assert (samples["duplicate"], samples["loss"]) == (duplicate, loss)


def test_another_world_s_streams_require_what_only_a_cursor_did() -> None:
    for name, wanted in (("graphql-transport-ws", {"duplicate", "loss"}), ("ag-ui", set()), ("netra", set())):
        required = ids(checker for checker in CHECKERS if checker.required(evidence(load(name), (), 9)))
        assert required & {"duplicate", "loss"} == wanted


@pytest.mark.parametrize(("name", "required"), [("netra-demo", False), ("netra", True), ("ag-ui", True)])
def test_a_turn_that_nobody_began_is_looked_for_where_frames_can_name_a_turn(name: str, required: bool) -> None:
    phantom = next(checker for checker in CHECKERS if checker.id == "phantom")
    assert phantom.required(evidence(load(name), (), 0)) is required


def test_a_single_session_cannot_leak() -> None:
    leak = next(checker for checker in CHECKERS if checker.id == "leak")
    alone = replace(evidence(REFERENCE, (), 9), users=1, sessions=1)
    assert (leak.required(alone), leak.samples(alone)) == (False, 0)
    assert leak.samples(replace(alone, sessions=2)) == 9


@pytest.mark.parametrize(
    ("id_", "field", "least"),
    [("idempotency", "doubtful", 1), ("restored", "after_meant", 40), ("control", "control_meant", 40), ("dead-peers", "server_views", 1),
     ("leak", "users", 2)],
)  # fmt: skip
def test_so_much_of_a_plan_and_no_less_requires_a_checker(id_: str, field: str, least: int) -> None:
    checker = next(checker for checker in CHECKERS if checker.id == id_)
    rich = evidence(REFERENCE, (CUT,), 99)
    assert not checker.required(replace(rich, **{field: least - 1}))
    assert checker.required(replace(rich, **{field: least}))


@pytest.mark.parametrize(
    ("compares", "windows", "required"),
    [
        (set(), (CUT,), set()), ({"restored"}, (CUT,), {"restored"}), ({"restored", "control"}, (CUT,), {"restored", "control"}),
        ({"restored", "control"}, (), set()),
    ],
)  # fmt: skip
def test_an_experiment_requires_its_comparisons_however_few_turns_it_plans(
    compares: set[str], windows: tuple[Window, ...], required: set[str]
) -> None:
    poor = replace(evidence(REFERENCE, windows, 0), compares=frozenset(compares))
    needed = ids(checker for checker in CHECKERS if checker.required(poor))
    assert needed & {"restored", "control"} == required


def test_an_empty_history_exercises_nothing_but_the_harness_itself() -> None:
    empty = evidence(REFERENCE, (CUT,), 0)
    assert {checker.id for checker in CHECKERS if checker.samples(empty)} == {"self"}


def test_a_rich_history_exercises_everything() -> None:
    assert {checker.id for checker in CHECKERS if checker.samples(evidence(REFERENCE, (CUT,), 9))} == ids(CHECKERS)


# -- with an eye of their own ------------------------------------------------------------------------------------------


def opinion(id_: str, **seen: Any) -> Opinion:
    """What a checker says of a single turn, and of what else was seen: nothing, but for what is named."""
    told = Story()
    told.connect(0, 10)
    told.turn(0, 1, 100)
    facts: dict[str, Any] = {
        "contract": REFERENCE, "windows": (), "recovered": (), "missteps": MisstepLog(), "herds": (), "policy": Policy(), "herd_share": 1.0,
        "control": Comparison(), "restored": Comparison(), "astray": "", "peers": (), "trouble": (), "start_ns": START_NS,
        "placed": PlacedFindings(REFERENCE, told.read(), told.strings, (), (), START_NS, told.replayed()),
    }  # fmt: skip
    (looks,) = (checker.looks for checker in CHECKERS if checker.id == id_)
    assert looks is not None
    return looks(Case(**facts | seen))


@pytest.mark.parametrize("id_", [checker.id for checker in CHECKERS if checker.looks])
def test_who_finds_nothing_says_nothing(id_: str) -> None:
    assert opinion(id_) == Opinion(reason="", violations=0, kinds={}, witnesses=(), scope="", unknown="", astray="")


@pytest.mark.parametrize(
    ("aside", "reason"),
    [(0, ""), (1, "1 turn left out, with findings of their own"), (2, "2 turns left out, with findings of their own")],
)
@pytest.mark.parametrize("id_", ["control", "restored"])
def test_turns_that_were_left_out_of_a_comparison_are_counted(id_: str, aside: int, reason: str) -> None:
    found = Comparison(aside=aside, unknown="too few")
    assert opinion(id_, **{id_: found}) == Opinion(reason=reason, unknown="too few")


@pytest.mark.parametrize(
    ("id_", "kind", "astray"), [("control", "control-suffers", "w1: absent"), ("restored", "not-restored", "")]
)
def test_only_the_control_group_may_have_been_hit_by_mistake(id_: str, kind: str, astray: str) -> None:
    """Who a fault was meant for is not excused by it when it is long over."""
    found = Comparison(broken=True, bad=9, samples=40, aside=2, unknown="never told", rows=(3, 4, 5, 6, 7, 8))
    said = opinion(id_, astray="w1: absent", **{id_: found})
    assert (said.violations, said.kinds, said.scope) == (9, {kind: 9}, found.text)
    assert (said.astray, said.unknown, [one.row for one in said.witnesses]) == (astray, "", [3, 4, 5, 6, 7])
    assert {(one.kind, one.turn, one.text) for one in said.witnesses} == {(kind, "1", said.reason)}


def test_a_peer_s_witness_is_a_connection_and_no_turn_and_there_is_none_where_only_the_backend_saw_it() -> None:
    rows = (-1, 0, 3, 4, 5, 6, 7)
    seen = [PeerFinding("kept-dead" if row < 0 else "dropped-live", 0, f"of row {row}", row) for row in rows]
    said = opinion("dead-peers", peers=seen)
    assert (said.violations, said.kinds) == (7, {"kept-dead": 1, "dropped-live": 6})
    assert (said.reason, said.scope) == ("of row -1", "7 times")
    assert [(one.row, one.turn, one.text) for one in said.witnesses] == [
        (row, "", f"of row {row}") for row in (0, 3, 4, 5, 6)
    ]


# -- judged ------------------------------------------------------------------------------------------------------------


def test_a_whole_run_under_a_cut_exercises_nearly_everything(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run", DOWN))
    assert judged.verdict == "go", judged.sentence
    assert {check.id for check in judged.checks if check.verdict == "valid"} == ids(CHECKERS) - DEMANDING
    assert all(check.samples for check in judged.checks if check.verdict == "valid")


def test_a_run_without_a_single_turn_is_unknown_wherever_something_was_required(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run", replace(DOWN, absent=frozenset(range(DOWN.users)))))
    verdicts = {check.id: check.verdict for check in judged.checks}
    assert judged.verdict == "cannot-say"
    for id_ in ("complete", "order", "pairing", "terminal", "loss", "duplicate", "phantom"):
        assert verdicts[id_] == "unknown"
    assert verdicts["backoff"] == "not-exercised"


def test_a_cut_run_whose_rows_are_gone_is_never_go(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", replace(DOWN, exit=None))
    (rows,) = (path / "rows").glob("*.bin")
    whole = rows.read_bytes()
    for keep in (0, 1, 7, len(whole) // ROW.size // 2):
        rows.write_bytes(whole[: keep * ROW.size])
        assert judge(path).verdict == "cannot-say"


def test_without_faults_continuity_and_recovery_are_outside_the_merge_and_listed(tmp_path: Path) -> None:
    judged = judge(write_run(tmp_path / "run"))
    assert judged.verdict == "go", judged.sentence
    idle = {check.id for check in judged.checks if check.verdict == "not-exercised"}
    assert idle == {"honesty", "reconnect", "control"} | CLIENT | DEMANDING
    assert {line.split(" ")[0] for line in judged.not_checked} == idle


@pytest.mark.parametrize("effect", ["absent", "not-probed"])
def test_a_fault_without_effect_takes_away_what_rests_on_it_and_nothing_else(tmp_path: Path, effect: str) -> None:
    """Law 4."""
    plan = replace(DOWN, faults=(replace(DOWN.faults[0], effect=effect),))
    judged = judge(write_run(tmp_path / "run", plan))
    assert judged.verdict == "cannot-say"
    assert {check.id for check in judged.checks if check.verdict == "unknown"} == {"honesty", "reconnect"}


def test_a_witness_stays_when_the_fault_had_no_effect(tmp_path: Path) -> None:
    """Law 4: a proven violation is one, whatever the faults did."""

    def swapped(_: int, turn: int, frames: Frames) -> Frames:
        return [frames[1], frames[0], *frames[2:]] if turn == 2 else frames

    plan = replace(DOWN, faults=(replace(DOWN.faults[0], effect="absent"),), script=swapped)
    judged = judge(write_run(tmp_path / "run", plan))
    assert (judged.verdict, judged.check("order").verdict) == ("no-go", "invalid")


def test_a_session_that_comes_back_too_late_is_a_finding(tmp_path: Path) -> None:
    late_ns = (REFERENCE.file.turn.recovery_ms + 1_000) * 1_000_000
    plan = replace(DOWN, phases=(*DOWN.phases[:3], ("recovery", 20.0)), back_after_ns=late_ns)
    judged = judge(write_run(tmp_path / "run", plan))
    check = judged.check("reconnect")
    assert (judged.verdict, check.verdict, check.violations) == ("no-go", "invalid", DOWN.users // 2)
    assert "back after 11." in check.witnesses[0].text


def test_connections_that_must_outlive_their_faults_require_the_checker_of_peers() -> None:
    checker = next(checker for checker in CHECKERS if checker.id == "dead-peers")
    lasting = replace(evidence(REFERENCE, (CUT,), 7), server_views=0, lasting=True)
    assert (checker.required(lasting), checker.samples(lasting)) == (True, 7)
    assert checker.samples(replace(lasting, lasting=False)) == 0
