"""Free loopback ports below the ephemeral range: a listener inside it now and then finds its port taken by a client."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from loadtests.errors import RigError

__all__ = ["free_port", "port_range"]

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
FALLBACK = range(20_000, 30_000)
WIDTH, LOWEST = 12_000, 1_025
TRIES = 200


def port_range(path: Path = EPHEMERAL) -> range:
    """The ports to choose from; a fixed range where the system does not say, or leaves too little room."""
    try:
        first = int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return FALLBACK
    ports = range(max(LOWEST, first - WIDTH), first)
    return ports if len(ports) >= TRIES else FALLBACK


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now; the caller must still be ready to lose the race.

    Raises:
        RigError: none found.
    """
    ports = port_range()
    for port in random.sample(ports, TRIES):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            # as Go's listener does, so that a port in TIME_WAIT counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise RigError(f"no free port on {host} between {ports.start} and {ports.stop - 1}: stop what listens there")
