"""What ``make`` says of its parts; nothing is installed or run here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def prove(*words: str) -> subprocess.CompletedProcess[str]:
    # -o: the environment counts as ready, whatever its age
    command = ["make", "-s", "-o", ".venv/.ready", "prove", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_the_parts_of_the_proof_are_listed_without_what_they_share() -> None:
    done = prove()
    assert done.returncode == 0
    assert done.stdout.split(": ")[-1].split() == sorted(
        path.stem
        for path in (ROOT / "tests" / "proofs").glob("*.py")
        if path.stem not in {"__init__", "expiry", "ledger", "samples"}
    )


@pytest.mark.parametrize("part", ["ledger", "samples", "expiry", "__init__", "smok"])
def test_what_is_no_part_is_refused_with_the_list(part: str) -> None:
    done = prove(f"PART={part}")
    assert done.returncode == 2
    assert f"no part '{part}'; one of: " in done.stderr
    assert "smoke" in done.stderr
