"""What the command line may ask of a run on several hosts, and what must be the same on all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING

from loadtests import manifest
from loadtests.errors import ConfigError
from loadtests.hosts.wire import PORT, address_of

if TYPE_CHECKING:
    from pathlib import Path

    from chaos.plan import Window
    from loadtests.conductor.options import Prepared, RunOptions

__all__ = ["COME_S", "LOST_S", "bound_to", "check_hosts", "same_of"]

LOOPBACK = "127.0.0.1"
#: so long each side waits for the other to come, and goes on without a word of it; a link may be cut for less
COME_S, LOST_S = 300.0, 20.0


def check_hosts(options: RunOptions, windows: Iterable[Window] = ()) -> None:
    """``windows``: the plan's.

    Raises:
        ConfigError: options that contradict each other, or that no run on several hosts can have.
    """
    option = "--worker" if options.worker else "--master"
    if options.master and options.worker:
        raise ConfigError("--worker", "", "this host is the master already", "--master or --worker")
    if not options.master and (options.bind or (options.workers and not options.worker)):
        raise ConfigError("--bind" if options.bind else "--workers", "", "is the master's", "--master with it")
    if options.master:
        if options.workers < 1:
            raise ConfigError("--workers", "", f"{options.workers}", "how many worker hosts to wait for, at least 1")
        if options.web:
            raise ConfigError("--web", "", "the master has no users", "--web on a worker host")
        bound_to(options)
    else:
        address_of(options.worker, "--worker")
    if not options.target:
        raise ConfigError(option, "", "the embedded backend is on one host's loopback", "--target with it")
    for window in windows:
        if window.fault.place == "command":
            problem = "every host makes every fault on its own listeners, so this command would run once on each"
            hint = "a run on one host, no such window, or --no-chaos"
            raise ConfigError(option, f"windows.{window.id}", problem, hint)


def bound_to(options: RunOptions) -> tuple[str, int]:
    """Where the master listens.

    Raises:
        ConfigError: it is no address.
    """
    return address_of(options.bind, "--bind") if options.bind else (LOOPBACK, PORT)


def same_of(prepared: Prepared, run_dir: Path) -> dict[str, str]:
    """What all hosts of a run must have in common, by names that a user knows."""
    options = prepared.options
    return {
        "version": metadata.version("chat-gauntlet"), "scenario": manifest.scenario_digest(run_dir),
        "contract": prepared.contract.digest, "plan": hashlib.sha256(prepared.plan.to_json().encode()).hexdigest()[:12],
        "--seed": str(options.seed), "--target": options.target, "--users": str(prepared.scenario.users),
    }  # fmt: skip
