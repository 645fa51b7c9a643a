"""The books of a run: what was meant, sent, dropped, and what came of it. What was meant is counted from the scenario."""

from __future__ import annotations

from collections import Counter, defaultdict

import pandas as pd

from loadtests import arrivals, cohorts
from loadtests.history import COHORTS, RowKind, phase_at
from loadtests.journey import sends
from loadtests.rundir import RunData
from loadtests.workload import kinds_of
from reports.endings import GOOD, LEFT_OUT
from reports.frames import kinds_in
from reports.judgement import Books
from reports.placed import Phases
from reports.replay import Rows

__all__ = ["books", "planned_turns"]

#: a turn that was only meant stands in no fault
NOWHERE = "before"
NS_PER_S = 1e9
#: a message that nobody planned is sent at the very moment that it is meant for
AT_ONCE_S = 0.005


def planned_turns(data: RunData, turns: pd.DataFrame, phases: Phases) -> pd.DataFrame:
    """Every turn that the scenario means to send, counted from seed and pace alone, and whether it was sent; of users with journeys
    every journey, and whether it was begun.
    """
    if data.manifest.get("kind") == "plain-locust" or data.scenario.arrivals.model == "closed":
        return _as_they_came(data, turns)
    scenario, seed = data.scenario, int(data.manifest.get("seed", 0))
    chaos = bool(data.manifest.get("chaos"))
    hit = cohorts.treated(seed, scenario.users, scenario.treated_share) if chaos else frozenset()
    kinds = kinds_of(seed, scenario.users, scenario.mix)
    cohort_of = [("treated" if user in hit else "control") if chaos else "direct" for user in range(scenario.users)]
    # What arrives from outside is taken by any of its group, and else by whom it is meant for.
    taker = list(zip(cohort_of, kinds, strict=True)) if scenario.arrivals.model == "open" else range(scenario.users)
    begun = data.rows[(data.rows["kind"] == RowKind.JOURNEY) & (data.rows["sent"] > 0)]
    single = turns[turns["step"] == 0]
    begun_s = (begun["intended"] - data.start_ns) / NS_PER_S
    sent_at = Counter(
        (taker[session] if 0 <= session < scenario.users else None, round(intended_s * 1e6))
        for session, intended_s in zip(
            [*single["session"], *begun["session"].tolist()], [*single["intended_s"], *begun_s.tolist()], strict=True
        )
    )
    out = []
    for at_ms, user in arrivals.planned(scenario, seed):
        at_ns = data.start_ns + int(at_ms * 1_000_000)
        key = taker[user], round(data.seconds(data.meant_ns(at_ns, user)) * 1e6)
        was_sent = sent_at[key] > 0
        sent_at[key] -= was_sent
        kind = scenario.mix[kinds[user]].name if scenario.mix else ""
        out.append((at_ms / 1000, cohort_of[user], kind, phase_at(at_ns, phases), NOWHERE, was_sent))
    return pd.DataFrame(out, columns=["intended_s", "cohort", "kind", "phase", "place", "sent"])


def _as_they_came(data: RunData, turns: pd.DataFrame) -> pd.DataFrame:
    """Of a run without a plan: what was sent, and what was dropped."""
    drops = data.rows[data.rows["kind"] == RowKind.DROP]
    sent = turns[["intended_s", "cohort", "kind", "phase", "place", "step"]].assign(sent=True)
    lost = pd.DataFrame(
        {
            "intended_s": (drops["intended"] - data.start_ns) / NS_PER_S,
            "cohort": [COHORTS[number] for number in drops["cohort"]],
            "kind": kinds_in(data, drops["session"].tolist()),
            "phase": "",
            "place": NOWHERE,
            "step": drops["code"],
        }
    )
    return pd.concat([sent, lost.assign(sent=False)], ignore_index=True)


def books(data: RunData, turns: pd.DataFrame, planned: pd.DataFrame) -> Books:
    """What was meant is what was sent or dropped, and what was sent ended well, badly or neither; whether it adds up, is said."""
    drops = data.rows[data.rows["kind"] == RowKind.DROP]
    why: dict[str, int] = defaultdict(int)
    for text in drops["text"]:
        why[data.strings[text]] += 1
    outcomes = {str(name): int(count) for name, count in turns["outcome"].value_counts().items()}
    ok = sum(outcomes.get(name, 0) for name in GOOD)
    censored = sum(outcomes.get(name, 0) for name in LEFT_OUT)
    sent = len(turns)
    whole = data.manifest.get("exit") == "ended"
    # A run that was interrupted could not send all that it meant to; then only what was sent is accounted for.
    single = turns[turns["step"] == 0]
    own = len(single) - _beside(single)
    ours, on_journeys = _split(data, planned)
    balanced = len(ours) == own + int((drops["code"] == 0).sum()) and int(ours["sent"].sum()) == own
    steps, even = _steps(data, turns, drops, on_journeys)
    return Books(
        planned=len(ours) + steps, dropped=len(drops), sent=sent, ok=ok, failed=sent - ok - censored, censored=censored,
        balanced=not whole or (balanced and even),
        dropped_why=dict(sorted(why.items())), outcomes=dict(sorted(outcomes.items())),
    )  # fmt: skip


def _split(data: RunData, planned: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is planned as single turns, and as journeys."""
    if "step" in planned:  # as it came
        return planned[planned["step"] == 0], planned[planned["step"] > 0]
    scenario = data.scenario
    travel = {scenario.mix[i].name if scenario.mix else "" for i in _kinds(data) if scenario.journey_of(i)}
    mine = planned["kind"].isin(travel)
    return planned[~mine], planned[mine]


def _kinds(data: RunData) -> range:
    return range(max(1, len(data.scenario.mix)))


def _steps(data: RunData, turns: pd.DataFrame, drops: Rows, planned: pd.DataFrame) -> tuple[int, bool]:
    """How many turns journeys planned, and whether each step that sends has sent or dropped one in every journey, and every journey
    that was meant is accounted for.
    """
    scenario, even, count = data.scenario, True, 0
    journeys = data.rows[data.rows["kind"] == RowKind.JOURNEY]
    went = Counter(kinds_in(data, journeys["session"].tolist()))
    begun = Counter(kinds_in(data, journeys["session"][journeys["sent"] > 0].tolist()))
    sent = Counter(zip(turns["kind"], turns["step"], strict=True))
    dropped = Counter(zip(kinds_in(data, drops["session"].tolist()), drops["code"].tolist(), strict=True))
    # Locust ends the users of a plain run wherever they are, and nothing is planned there.
    plain = data.manifest.get("kind") == "plain-locust"
    for i in _kinds(data):
        steps, kind = scenario.journey_of(i), scenario.mix[i].name if scenario.mix else ""
        own = {place for (name, place) in (*sent, *dropped) if name == kind and place > 0}
        count += sum(sent[kind, place] + dropped[kind, place] for place in own)
        # What a function sends, nobody has planned beforehand.
        even = even and (plain or all(sent[kind, place] + dropped[kind, place] == went[kind] for place in sends(steps)))
        if "step" not in planned:
            meant = planned[planned["kind"] == kind]
            even = even and len(meant) == went[kind] and int(meant["sent"].sum()) == begun[kind]
    return count, even


def _beside(turns: pd.DataFrame) -> int:
    """Messages said while another turn of their session was under way: they belong to that turn's plan."""
    ordered = turns.sort_values(["session", "sent_s"])
    busy_until_s = ordered.groupby("session")["end_s"].shift().groupby(ordered["session"]).cummax()
    at_once = ordered["sent_s"] - ordered["intended_s"] < AT_ONCE_S
    return int(((ordered["sent_s"] < busy_until_s) & at_once).sum())
