"""Do sessions fit into the limit of open files? Asked before traffic, since a socket that cannot be opened looks like a backend
that is down.
"""

from __future__ import annotations

import math
import resource

from loadtests.errors import ConfigError

__all__ = ["SPARE", "check", "hard_limit", "raise_limit"]

#: files, pipes, watchers and whatever libraries hold
SPARE = 200
#: a connection has two ends in Toxiproxy, and one more in the embedded backend, each in a process of its own
ENDS_OF_A_PROXY = 2


def hard_limit() -> int:
    """Of this process and of its children; a large number where there is none."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


def check(users: int, processes: int, treated: int, *, chaos: bool, limit: int | None = None) -> None:
    """Raises:
    ConfigError: a process of the run would need more than it may have.
    """
    most = hard_limit() if limit is None else limit
    busiest = math.ceil(users / processes)
    needs = {f"{busiest} sessions in a load process": busiest + SPARE}
    if chaos:
        through = max(treated, users - treated)
        needs[f"{through} sessions through one Toxiproxy"] = ENDS_OF_A_PROXY * through + SPARE
    for what, need in needs.items():
        if need > most:
            hint = f"ulimit -n {need} or more, fewer users" + (
                ", or more --processes" if "load" in what else ", or --no-chaos"
            )
            raise ConfigError("--users", "", f"{what} need about {need} open files, and {most} are allowed", hint)


def raise_limit() -> None:
    """To as many as are allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
