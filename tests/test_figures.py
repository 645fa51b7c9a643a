"""The README's figures are those that were measured: they are made from the result files, and this holds them to it."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from loadtests.backend.defects import DEFECTS  # noqa: E402  # the path above leads there, when this is run as a script
from loadtests.conductor.selftest import CONTRACTS, possible  # noqa: E402
from loadtests.simulation.mistakes import MISTAKES  # noqa: E402
from reports.checkers import CHECKERS  # noqa: E402

RESULTS = {
    "smoke": ROOT / "tests" / "proofs" / "results" / "smoke.json",
    "foreign": ROOT / "tests" / "proofs" / "results" / "foreign.json",
    "simulation": ROOT / "tests" / "proofs" / "results" / "simulation.json",
    "live": ROOT / "tests" / "proofs" / "results" / "live.json",
    "mutants": ROOT / "tests" / "proofs" / "results" / "mutants.json",
    "kills": ROOT / "tests" / "proofs" / "results" / "kills.json",
    "experiments": ROOT / "tests" / "proofs" / "results" / "experiments.json",
    "soak": ROOT / "tests" / "proofs" / "results" / "soak.json",
    "shrink": ROOT / "tests" / "proofs" / "results" / "shrink.json",
    "capacity": ROOT / "tests" / "proofs" / "results" / "capacity.json",
    "hosts": ROOT / "tests" / "proofs" / "results" / "hosts.json",
    "memory": ROOT / "tests" / "proofs" / "results" / "memory.json",
    "worlds": ROOT / "tests" / "proofs" / "results" / "worlds.json",
    "judge": ROOT / "tests" / "benchmarks" / "results" / "judge.json",
    "peers": ROOT / "tests" / "benchmarks" / "results" / "peers.json",
    "sessions": ROOT / "tests" / "benchmarks" / "results" / "sessions.json",
    "truth": ROOT / "tests" / "benchmarks" / "results" / "truth.json",
}
CHECKED = {"cmd": "every checker, every event recorded", "gatling": "type", "artillery": "nothing", "k6": "nothing"}
PEER_MODES = {
    "burst": "µs an event", "paced": "µs an event paced", "memory": "KB a session", "tls": "µs an event over TLS",
    "deflate": "µs an event compressed", "chunks": "µs a chunk",
}  # fmt: skip
HAPPENED = {
    "whole": "nothing", "killed": "a worker host was killed", "cut-worker": "a worker host's link was cut for 5 s under load",
    "cut-master": "the master's link was cut for 5 s under load", "cut-collecting": "a link was cut for 5 s while rows were collected",
    "faults": "faults on both",
}  # fmt: skip
NAMES = {"cmd": "**Gauntlet**", "gatling": "Gatling 3.14.3", "artillery": "Artillery 2.0.34", "k6": "k6 1.8.1"}


def smoke_figures(record: dict) -> str:
    """The paragraph about ``make prove PART=smoke``."""
    found = sum(row["found"] for row in record["defects"].values())
    runs = sum(row["of"] for row in record["defects"].values())
    kills = record["kills"]
    clean = f"{record['clean_go']} of {len(record['clean_seeds'])}"
    return (
        f"`make prove PART=smoke` at commit `{record['commit']}` ({record['date']}):\n"
        f"{found} of {runs} runs with a planted defect ended in exit 99 with exactly these ids,\n"
        f"{clean} clean seeds in GO without a finding; the conductor killed with SIGKILL at\n"
        f"{kills['runs']} random moments left nothing {kills['clean']} times, after {kills['longest_s']:.2f} s at the longest."
    )


def foreign_figures(record: dict) -> str:
    """The paragraph about ``make prove PART=foreign``."""
    return (
        f"`make prove PART=foreign` at commit `{record['commit']}` ({record['date']}):\n"
        f"{record['shapes_go']} of 4 shapes GO without faults; in {len(record['seeds'])} smoke runs with faults and tokens "
        f"{record['turns_that_lost']} turns lost\n"
        f"something on the way: {record['findings']} findings, {record['untrue']} of them untrue, {record['unfound']} losses not found."
    )


def simulation_figures(record: dict) -> str:
    """The paragraph and the two tables about ``make prove PART=simulation``."""
    cells = record["matrix"].values()
    found, ran = (sum(one[key] for one in cells if one["must"]) for key in ("detected", "seeds"))
    nothing = sum(not one["must"] for one in cells)
    wrong, alarms = sum(sum(one["wrong"].values()) for one in cells), sum(one["false_alarms"] for one in cells)
    lines = [
        f"`make prove PART=simulation` at commit `{record['commit']}` ({record['date']}). Storms without a defect:",
        "",
        "| contract | storms | sessions | turns | events | storms with a reconnect | CPU s | false alarms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for contract, row in record["storms"].items():
        counts = " | ".join(f"{row[key]:,}" for key in ("runs", "sessions", "turns", "events"))
        share = f"{row['reconnecting'] / row['runs']:.0%}"
        lines.append(f"| `{contract}` | {counts} | {share} | {row['cpu_s']:.0f} | {len(row['false_alarms'])} |")
    did = {contract: row["effective"] for contract, row in record["storms"].items()}
    kinds = sorted(set().union(*did.values()))
    lines += ["", f"| fault that bit, times | {' | '.join(f'`{one}`' for one in did)} |", f"|---|{'---|' * len(did)}"]
    lines += [f"| {kind} | {' | '.join(f'{one.get(kind, 0):,}' for one in did.values())} |" for kind in kinds]
    return "\n".join(
        [
            *lines,
            "",
            f"Planted: {len(cells) - nothing} cells (defect × contract), {record['seeds']} seeds each that gave an occasion:",
            f"{found:,} of {ran:,} runs found with the ids of the table; {nothing} cells more in which the contract expects no id;",
            f"in all of them {wrong} wrong ids, {alarms} alarms on clean twins.",
        ]
    )


def live_figures(record: dict) -> str:
    """The paragraph about ``make prove PART=live``."""
    found, ran = (sum(row[key] for row in record["defects"].values()) for key in ("found", "of"))
    return (
        f"`make prove PART=live` at commit `{record['commit']}` ({record['date']}): over real sockets {found} of {ran} whole runs,\n"
        f"{len(record['defects'])} defects that show without a fault in {len(record['seeds'])} seeds each, ended in exit 99 with "
        f"exactly the ids of\nthe table, and {record['clean_go']} of {record['clean_of']} without a defect in GO."
    )


def mutant_figures(record: dict) -> str:
    """The table of ``make prove PART=mutants``."""
    lines = ["| module | mutants | killed | as good as the original | killed of all |", "|---|---|---|---|---|"]
    for name, row in sorted(record["modules"].items()):
        lines.append(f"| `{name}` | {row['mutants']} | {row['killed']} | {row['equivalent']} | {row['share']:.1%} |")
    whole = f"{record['mutants']:,} | {record['killed']:,} | {record['equivalent']} | {record['share']:.1%}"
    lines.append(f"| all | {whole} |")
    told = "each of the rest stands in `tests/proofs/mutants.yaml` with the reason why nobody can tell it from the original."
    return "\n".join(
        [*lines, "", f"`make prove PART=mutants` at commit `{record['commit']}` ({record['date']}); {told}"]
    )


def kill_figures(record: dict) -> str:
    """The paragraph about ``make prove PART=kills``."""
    kills, loaded, wedges = record["kills"], record["under_load"], record["wedges"]
    left = sum(sum(one["left"].values()) for one in (kills, loaded))
    longest_s = max(kills["longest_s"], loaded["longest_s"])
    return (
        f"`make prove PART=kills` at commit `{record['commit']}` ({record['date']}): a conductor killed by SIGKILL at\n"
        f"{kills['runs']} random moments ({kills['under_fault']} of them under a fault) and {loaded['runs']} times under "
        f"{loaded['users']} users left {left} toxics,\nproxies and processes, clean after {longest_s:.2f} s at the longest; "
        f"{wedges['recovered']} of {wedges['trials']} wedges of Toxiproxy were noticed and cured,\nin {wedges['longest_s']:.1f} s at the "
        f"longest; what was a stranger's stayed as it was."
    )


def experiment_figures(record: dict) -> str:
    """The tables of ``make prove PART=experiments``."""
    lines = [
        "| experiment | GO | fault: asked → measured | effect | cut | back after the heal, s: p50 / p95 | most back in a second |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, of in sorted(record["sound"].items()):
        run = of["runs"][0]
        faults = {fault["kind"]: fault for fault in run["faults"]}
        asked = "; ".join(f"{kind}: {_asked(fault)} → {_measured(fault)}" for kind, fault in sorted(faults.items()))
        effects = Counter(fault["effect"] for one in of["runs"] for fault in one["faults"])
        back = (
            f"{run['recovery_p50_s']:.2f} / {run['recovery_p95_s']:.2f}" if run["recovery_p50_s"] is not None else "–"
        )
        effect = ", ".join(f"{count} {word}" for word, count in sorted(effects.items())) or "–"
        cells = [f"`{name}`", f"{of['go']} of {of['of']}", asked or "–", effect, str(run["reconnects"]), back]
        lines.append(f"| {' | '.join([*cells, str(run['herd_peak_per_s'] or '–')])} |")
    lines += ["", "| planted | experiment | found, with exactly these ids |", "|---|---|---|"]
    for ref, row in sorted(record["defects"].items()):
        ids = ", ".join(f"`{one}`" for one in row["ids"])
        lines.append(f"| {ref} `{row['defect']}` | `{row['experiment']}` | {row['found']} of {row['of']}: {ids} |")
    found, of = (sum(row[key] for row in record["mistakes"].values()) for key in ("found", "of"))
    commits = " and ".join(f"`{at}` ({count} cases)" for at, count in sorted(record["cases"].items()))
    told = f"mistakes of a client, {', '.join(sorted(record['mistakes']))}, were judged rightly {found} of {of} times in virtual time."
    return "\n".join(
        [
            *lines,
            "",
            f"`make prove PART=experiments` at commit {commits}, {record['date']}; one run of each is shown. The {told}",
        ]
    )


def _asked(fault: dict) -> str:
    return (
        ", ".join(f"{key} {_short(value)}" for key, value in sorted(fault["asked"].items()) if value != {})
        or "as it is"
    )


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _measured(fault: dict) -> str:
    what = fault["measured"]
    return f"{_short(what['value'])} {what['unit']} ({what['what']})" if what.get("value") is not None else "–"


def soak_figures(record: dict) -> str:
    """The table of ``make prove PART=soak``."""
    lines = [
        "| process | RSS MB at the end | MB an hour, last half | sockets more | threads more |",
        "|---|---|---|---|---|",
    ]
    for role, one in sorted(record["held"].items()):
        lines.append(f"| {role} | {one['rss_mb']:.0f} | {one['mb_per_h']:.1f} | {one['sockets']} | {one['threads']} |")
    told = (
        f"`make prove PART=soak` at commit `{record['commit']}` ({record['date']}): {record['soak_s'] / 60:.0f} minutes under "
        f"{record['users']} users,\n{record['windows']} windows ({record['windows_per_h']} an hour), {record['healed']} healed, "
        f"{record['confirmed']} confirmed; left over: {len(record['left'])} toxics and\nproxies, {record['processes']} processes; "
        f'{record["wedges"]} wedges. "More" is the last quiet phase against the first.'
    )
    return "\n".join([*lines, "", told])


def shrink_figures(record: dict) -> str:
    """The table of ``make prove PART=shrink``."""
    lines = [
        "| planted cause | windows | re-runs | seen again in virtual time | live | left |",
        "|---|---|---|---|---|---|",
    ]
    for cause, one in sorted(record["causes"].items()):
        again, live = (f"{hits} of {of}" if of else "–" for hits, of in (one["simulated"], one["live"]))
        cells = [
            f"`{cause}`",
            f"{one['windows']} → {one['left']}",
            str(one["re_runs"]),
            again,
            live,
            ", ".join(one["kinds"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    at, median = f"`{record['commit']}` ({record['date']})", f"{record['median_re_runs']:g}"
    return "\n".join([*lines, "", f"`make prove PART=shrink` at commit {at}: {median} re-runs in the median."])


def world_figures(record: dict) -> str:
    """The table of ``make prove PART=worlds``."""
    lines = ["| protocol and planted fault | exit | found |", "|---|---|---|"]
    for name, run in sorted(record["runs"].items()):
        lines.append(f"| `{name}` | {run['exit']} | {', '.join(f'`{one}`' for one in run['ids']) or '–'} |")
    return "\n".join([*lines, "", f"`make prove PART=worlds` at commit `{record['commit']}` ({record['date']})."])


def judge_figures(record: dict) -> str:
    """The table of ``make bench PART=judge``."""
    lines = ["| what | events | wall s | CPU s | peak MB | of it no mapped file |", "|---|---|---|---|---|---|"]
    for part in ("checkers", "report"):
        for row in sorted(record[part].values(), key=lambda row: row["events"]):
            cells = f"{row['wall_s']:.1f} | {row['cpu_s']:.1f} | {row['peak_mb']} | {row['own_mb']}"
            lines.append(f"| {part} | {row['events']:,} | {cells} |")
    return "\n".join(
        [*lines, "", f"`make bench PART=judge` at commit `{record['commit']}`, {record['host']['cores']} cores."]
    )


def peer_figures(record: dict) -> str:
    """The table of ``make bench PART=peers``: what was measured of all peers, and below it what was of ours alone."""
    shared = [mode for mode in PEER_MODES if len(record.get(mode, ())) > 1]
    heads = [f"{PEER_MODES[mode]}, minimum (median) of 3" for mode in shared]
    lines = [f"| client | {' | '.join(heads)} | peak MB in burst | what it checks |", "|---" * (len(heads) + 3) + "|"]
    for peer, burst in sorted(record["burst"].items(), key=lambda item: item[1]["min"]):
        cells = [_least(record[mode][peer]) for mode in shared]
        lines.append(f"| {NAMES[peer]} | {' | '.join(cells)} | {burst['peak_rss_mb']:.0f} | {CHECKED[peer]} |")
    alone = [f"{PEER_MODES[m]} {_least(record[m]['cmd'])}" for m in PEER_MODES if m in record and m not in shared]
    told = f"Measured at commit `{record['commit']}`, {record['host']['cores']} cores shared with other work."
    return "\n".join([*lines, "", " ".join([told, *([f"Gauntlet alone: {', '.join(alone)}."] if alone else [])])])


def _least(one: dict) -> str:
    return f"{one['min']:.1f} ({one['median']:.1f})"


def truth_figures(record: dict) -> str:
    """The tables of ``make bench PART=truth``."""
    lines = [
        "| load, of what one core bears | turns a second | events | later than sent, ms: p50 / p99 / max | verdict |",
        "|---|---|---|---|---|",
    ]
    rows = sorted(record["levels"].items(), key=lambda item: int(item[0].rstrip("%")))
    for share, one in rows:
        late = " / ".join(f"{one[key]:,.2f}" for key in ("p50_ms", "p99_ms", "max_ms"))
        cells = [share, f"{one['rate_per_s']:,}", f"{one['events']:,}", late, one["verdict"].upper().replace("-", " ")]
        lines.append(f"| {' | '.join(cells)} |")
    opened, closed = record["stall"]["open"], record["stall"]["closed"]
    told = (
        f"A server that stands still for two seconds in a run of thirty: with open arrivals the 99th percentile is "
        f"{opened['p99_ms']:,.0f} ms, on paper {opened['paper_p99_ms']:,.0f}; users who wait for answers before they ask again see "
        f"{closed['p99_ms']:,.0f} ms.\n`make bench PART=truth` at commit `{record['commit']}`."
    )
    return "\n".join([*lines, "", told])


def session_figures(record: dict) -> str:
    """The table of ``make bench PART=sessions``."""
    lines = [
        "| way | turns | events | findings | verdict | peak MB | connects a second | CPU p95 | loop lag p99 ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for way, one in ((way, record[way]) for way in ("direct", "toxiproxy")):
        cells = [
            way, f"{one['turns']:,}", f"{one['events']:,}", str(one["findings"]), one["verdict"].upper(), f"{one['peak_rss_mb']:.0f}",
            f"{one['connects_per_s']:,}", f"{one['cpu_p95']:.0%}", f"{one['loop_lag_p99_ms']:.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    told = f"{record['sessions']:,} sessions, {record['turns_each']} turns each, at commit `{record['commit']}`."
    return "\n".join([*lines, "", told])


def memory_figures(record: dict) -> str:
    """The sentence about ``make prove PART=memory``."""
    held = ", ".join(
        f"{role} {one['rss_mb']:.0f} MB and {one['mb_per_10_min']:+.2f}" for role, one in sorted(record["held"].items())
    )
    return (
        f"`make prove PART=memory` at commit `{record['commit']}` ({record['date']}): {record['run_s'] / 60:.0f} minutes under "
        f"{record['users']} users; resident\nat the end, and MB more in ten minutes over all but the first ten: {held}."
    )


def host_figures(record: dict) -> str:
    """The table of ``make prove PART=hosts``."""
    lines = [
        "| what happened | exit | rows written | rows judged | clock of the second host, off by / bound |",
        "|---|---|---|---|---|",
    ]
    for name, one in record["runs"].items():
        clock = one["clocks"].get("two")
        told = f"{clock['off_ns'] / 1e6:.3f} / {clock['bound_ns'] / 1e6:.3f} ms" if clock else "–"
        lines.append(
            f"| {HAPPENED[name]} | {one['exit']} | {sum(one['on_disk'].values()):,} | {one['judged']:,} | {told} |"
        )
    told = (
        f"`make prove PART=hosts` at commit `{record['commit']}` ({record['date']}): a master and two worker hosts in network namespaces, "
        f"the clock of\nthe second {record['ahead_s']:,} s ahead."
    )
    return "\n".join([*lines, "", told])


def capacity_figures(record: dict) -> str:
    """The sentence about ``make prove PART=capacity``."""
    found = ", ".join(
        f"{one['limit']} in [{one['low']}, {one['high']})" for one in record["searches"] if "limit" in one
    )
    right = sum(one["ok"] for one in record["searches"])
    return (
        f"`make prove PART=capacity` at commit `{record['commit']}` ({record['date']}): a backend that bears so many turns at once, "
        f"found in {right} of\n{len(record['searches'])} seeds: {found}."
    )


def defect_table() -> str:
    """What is planted, and what must be found: the tables of backend and simulation, for people."""

    def quoted(ids: Iterable[str]) -> str:
        return ", ".join(f"`{one}`" for one in sorted(ids))

    def cell(ids: Iterable[str], may: Iterable[str], *, gate: bool) -> str:
        besides = f" (may: {quoted(may)})" if may else ""
        return f"{quoted(ids)}{besides}" or ("a gate fails, no id" if gate else "–")

    lines = ["| defect of the backend | what it does | `reference` | `netra` |", "|---|---|---|---|"]
    for name, row in DEFECTS.items():
        gate = not any(row.ids.values())
        cells = [cell(row.ids[contract], possible(name, contract), gate=gate) for contract in CONTRACTS]
        lines.append(f"| `{name}` | {row.sentence} | {' | '.join(cells)} |")
    lines += ["", "| mistake of a client | what it does | `reference` | `netra` |", "|---|---|---|---|"]
    for name, mistake in MISTAKES.items():
        cells = [cell(mistake.ids[contract], possible(name, contract), gate=False) for contract in CONTRACTS]
        lines.append(f"| `{name}` | {mistake.sentence} | {' | '.join(cells)} |")
    return "\n".join(lines)


MAKERS = {
    "smoke": smoke_figures, "foreign": foreign_figures, "simulation": simulation_figures, "live": live_figures,
    "mutants": mutant_figures, "kills": kill_figures, "experiments": experiment_figures, "soak": soak_figures, "shrink": shrink_figures,
    "worlds": world_figures,
    "judge": judge_figures, "peers": peer_figures, "truth": truth_figures,
    "sessions": session_figures, "memory": memory_figures, "hosts": host_figures, "capacity": capacity_figures,
}  # fmt: skip


def block(text: str, name: str) -> str:
    found = re.search(rf"<!-- figures:{name} -->\n(.*?)<!-- /figures:{name} -->", text, re.DOTALL)
    assert found, f"README has no block of figures named {name}"
    return found[1].strip()


@pytest.mark.parametrize("name", RESULTS)
def test_readme_shows_the_measured_figures(name: str) -> None:
    """Change the result file, and the README must follow: ``python tests/test_figures.py`` writes it."""
    assert block((ROOT / "README.md").read_text(), name) == MAKERS[name](json.loads(RESULTS[name].read_text()))


def test_readme_shows_the_table_of_defects() -> None:
    assert block((ROOT / "README.md").read_text(), "defects") == defect_table()


def test_cells_in_which_nothing_is_to_be_found_are_not_among_what_was_found() -> None:
    cell = {"must": ["order"], "detected": 19, "seeds": 20, "wrong": {}, "false_alarms": 0}
    nothing = {**cell, "must": [], "detected": 20, "wrong": {"loss": 1}}
    matrix = {"one": cell, "other": cell, "none": nothing, "no more": nothing}
    record = {"commit": "c0ffee", "date": "2026-01-01", "seeds": 20, "storms": {}, "matrix": matrix}
    told = simulation_figures(record)
    assert "Planted: 2 cells (defect × contract), 20 seeds" in told
    assert "38 of 40 runs found" in told
    assert "2 cells more in which" in told
    assert "2 wrong ids" in told


def test_readme_s_table_of_checkers_is_whole() -> None:
    """One row more or less, or a blank line that ends the table before its last row, and this tells."""
    table = re.search(r"^\| checker \|.*\n\|---.*\n((?:\|.*\n)+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert table
    named = [one for row in table[1].splitlines() for one in re.findall(r"`([a-z-]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(checker.id for checker in CHECKERS)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = readme.read_text()
    made = {name: MAKERS[name](json.loads(file.read_text())) for name, file in RESULTS.items() if file.exists()}
    for name, figures in {**made, "defects": defect_table()}.items():
        if figures:
            text = re.sub(
                rf"(<!-- figures:{name} -->\n).*?(<!-- /figures:{name} -->)",
                lambda found, figures=figures: f"{found[1]}{figures}\n{found[2]}",
                text,
                flags=re.DOTALL,
            )
    readme.write_text(text)
