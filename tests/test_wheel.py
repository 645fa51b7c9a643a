"""The wheel, in an environment of its own, from a folder that has its own ``reports/`` and ``chaos/``."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

ROOT = Path(__file__).parent.parent
VERDICTS = {0, 3, 99}


@dataclass(frozen=True, slots=True)
class Installed:
    """A fresh environment with only the wheel in it, and a folder to stand in."""

    wheel: Path
    bin: Path
    cwd: Path

    def run(self, program: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "VIRTUAL_ENV"}
        env["PATH"] = f"{self.bin}{os.pathsep}{env['PATH']}"
        return subprocess.run(
            [self.bin / program, *arguments],
            check=False,
            cwd=self.cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


def succeed(command: list[str | Path]) -> None:
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    base = tmp_path_factory.mktemp("wheel")
    succeed([sys.executable, "-P", "-m", "build", "--wheel", "--no-isolation", "--outdir", base / "dist", ROOT])
    (wheel,) = (base / "dist").glob("*.whl")
    venv.create(base / "venv", with_pip=False, symlinks=True)
    python = base / "venv" / "bin" / "python"
    pip: list[str | Path] = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "--python",
        python,
        "--disable-pip-version-check",
        "--quiet",
    ]
    succeed([*pip, "install", "--no-deps", "--no-index", wheel])
    # Dependencies come from the outer environment. Its own .pth files are not followed from here, and so neither is its
    # editable install of this very project.
    (site,) = (base / "venv" / "lib").glob("python*/site-packages")
    (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    for name in ("reports", "chaos"):
        package = base / "cwd" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('the user\\'s own package was imported')\n")
    # what Locust is started through stands beside the other programs, as pip would have put it there
    (base / "venv" / "bin" / "locust").write_text(f"#!{python}\nfrom locust.main import main\nmain()\n")
    (base / "venv" / "bin" / "locust").chmod(0o755)
    return Installed(wheel, base / "venv" / "bin", base / "cwd")


def test_it_holds_the_three_packages_with_their_tables_and_nothing_else(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"loadtests", "chaos", "reports"}
    tables = [
        p
        for package in ("loadtests", "chaos", "reports")
        for p in (ROOT / package).rglob("*")
        if p.suffix in {".yaml", ".json", ".j2"}
    ]
    assert tables
    assert {str(path.relative_to(ROOT)) for path in tables} <= set(names)


def test_what_runs_is_the_wheel_and_not_the_checkout(installed: Installed) -> None:
    done = installed.run(
        "python",
        "-P",
        "-c",
        "import chaos, loadtests, reports; print(*(m.__file__ for m in (chaos, loadtests, reports)))",
    )
    assert done.returncode == 0, done.stderr
    assert all(path.startswith(str(installed.bin.parent)) for path in done.stdout.split()), done.stdout


def test_help_and_the_locustfile_are_there(installed: Installed) -> None:
    told = installed.run("gauntlet", "--help")
    assert told.returncode == 0, told.stderr
    assert "run" in told.stdout
    named = installed.run("gauntlet", "locustfile")
    assert named.returncode == 0, named.stderr
    assert Path(named.stdout.strip()).is_relative_to(installed.bin.parent)


def test_plain_locust_loads_the_locustfile(installed: Installed) -> None:
    """Locust puts the current folder first on the path, and in it stand packages of the same names."""
    locustfile = installed.run("gauntlet", "locustfile").stdout.strip()
    done = installed.run("locust", "-f", locustfile, "--list")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.partition("Available Users:")[2].split(), done.stdout


def test_a_short_run_ends_in_a_verdict_and_a_page(installed: Installed) -> None:
    out = installed.cwd / "run"
    arguments = ("smoke", "--no-chaos", "--users", "5", "--duration", "6s", "--out", str(out))
    done = installed.run("gauntlet", "run", *arguments, timeout=120)
    assert done.returncode in VERDICTS, done.stdout[-2000:] + done.stderr[-2000:]
    assert (out / "report.html").is_file()
    assert (out / "verdict.json").is_file()
