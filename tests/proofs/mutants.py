"""``make prove PART=mutants``: mistakes planted in the judge's own code, one at a time; its tests must notice.

At least nine in ten of all mutants must be killed by a few quick tests a module, and every survivor must stand in
``mutants.yaml`` with the reason why nobody can tell it from the original. ``ARGS='--look MODULE…'`` plays some without
publishing. (mutmut leaves alone what a module does when it is imported, and with it the table of checkers.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.proofs.ledger import ROOT, Case, commit, prove, publish

BENCH = Path(__file__).with_name("mutation") / "bench.py"
EQUIVALENT = Path(__file__).with_suffix(".yaml")
LEAST_SHARE = 0.9


class Target(NamedTuple):
    """A module and the few quick tests that must notice; ``only``: of these functions."""

    file: str
    tests: tuple[str, ...]
    only: str = ""


def _judge(name: str, *tests: str) -> Target:
    """Tests in the order in which they are played where a module must be imported afresh: those that kill most stand first."""
    return Target(f"reports/{name}.py", tuple(f"tests/reports/test_{one}.py" for one in tests or (name,)))


def _of_turns(name: str, *tests: str) -> Target:
    return Target(f"loadtests/{name}.py", tuple(f"tests/loadtests/test_{one}.py" for one in tests))


TARGETS = {
    "tracker": _of_turns("tracker", "tracker", "turn", "trail"),
    "turn": _of_turns("turn", "turn", "tracker", "trail"),
    "trail": _of_turns("trail", "trail"),
    "history": Target("loadtests/history.py", ("tests/loadtests/test_history.py",), "attribute,phase_at"),
    "checkers": _judge("checkers", "checkers", "assessment", "peers", "policies"),
    "placed": _judge("placed"),
    "sieve": _judge("sieve", "sieve", "placed"),
    "replay": _judge("replay", "replay", "evidence", "placed", "assessment"),
    "recovery": _judge("recovery"),
    "policies": _judge("policies"),
    "peers": _judge("peers"),
    "clients": _judge("clients", "clients", "policies"),
    "evidence": _judge("evidence"),
    "assessment": _judge("assessment", "assessment", "evidence"),
    "steadiness": _judge("steadiness"),
    "causes": _judge("causes"),
    "verdict": _judge("verdict", "verdict", "causes"),
}


def _equivalent() -> dict[tuple[str, str, str, str], str]:
    """(module, function, line, change) -> why nothing can tell it from the original."""
    table: dict[tuple[str, str, str, str], str] = {}
    for module, some in (yaml.safe_load(EQUIVALENT.read_text()) or {}).items():
        for one in some:
            for change in [one["change"]] if isinstance(one["change"], str) else one["change"]:
                table[module, one["in"], one["line"], change] = one["why"]
    return table


def _play(name: str) -> dict[str, Any]:
    target = TARGETS[name]
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        argv = [sys.executable, "-P", str(BENCH), target.file, result.name, target.only, *target.tests]
        ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            return {"ok": False, "wrong": (ended.stderr or ended.stdout)[-2000:]}
        found = json.loads(Path(result.name).read_bytes())
    known = _equivalent()
    keys = Counter((name, one["in"], one["line"], one["change"]) for one in found["survivors"])
    unexplained = [one for one in found["survivors"] if (name, one["in"], one["line"], one["change"]) not in known]
    stale = [list(key) for key in known if key[0] == name and key not in keys]
    same = len(found["survivors"]) - len(unexplained)
    raw, adjusted = found["killed"] / found["mutants"], found["killed"] / (found["mutants"] - same)
    return {
        "ok": not unexplained and not stale and adjusted >= LEAST_SHARE, "mutants": found["mutants"], "killed": found["killed"],
        "too_long": found["too_long"], "no_import": found["no_import"], "equivalent": same, "share": round(raw, 4),
        "share_of_different": round(adjusted, 4), "unexplained": unexplained, "stale": stale,
    }  # fmt: skip


def _look(names: Sequence[str]) -> int:
    """For whoever writes the tests: what survives now, of a tree that may be dirty."""
    good = True
    for name in names or TARGETS:
        found = _play(name)
        good = good and found["ok"]
        print(name, {key: value for key, value in found.items() if key not in {"unexplained", "stale"}}, flush=True)
        for one in found.get("unexplained", ()):
            print(f"  {one['lineno']:>4} in {one['in'] or 'module'} ({one['tests']} tests): {one['change']}")
        for key in found.get("stale", ()):
            print(f"  no survivor: {key}")
    return 0 if good else 1


def main() -> int:
    if sys.argv[1:2] == ["--look"]:
        return _look(sys.argv[2:])
    at, jobs = commit(), int(os.environ.get("JOBS", "2"))
    cases: list[Case] = [(name, lambda name=name: _play(name)) for name in TARGETS]
    results = prove("mutants", cases, jobs)
    wrong = sorted(name for name, result in results.items() if not result["ok"])
    keys = ("mutants", "killed", "too_long", "equivalent", "share", "share_of_different")
    modules = {name: {key: results[name].get(key) for key in keys} for name in TARGETS}
    total = {key: sum(one[key] or 0 for one in modules.values()) for key in keys[:4]}
    shares = {
        "share": round(total["killed"] / max(total["mutants"], 1), 4),
        "share_of_different": round(total["killed"] / max(total["mutants"] - total["equivalent"], 1), 4),
    }
    publish("mutants", at, {"modules": modules, **total, **shares, "wrong": wrong})
    return 1 if wrong or shares["share"] < LEAST_SHARE else 0


if __name__ == "__main__":
    sys.exit(main())
