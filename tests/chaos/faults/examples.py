"""What the tests of faults share: the least that each kind must be asked for, and what a canary saw on a calm way."""

from __future__ import annotations

from typing import Any

from chaos.faults import Baseline, Fault, parse_fault

__all__ = ["CALM", "LEAST", "fault"]

LEAST: dict[str, dict[str, Any]] = {
    "latency": {"latency_ms": 100},
    "jitter": {"jitter_ms": 30},
    "bandwidth": {"kb_per_s": 8},
    "limit-data": {"bytes": 500},
    "slow-close": {"delay_ms": 500},
    "handshake": {"fault": "jam"},
    "command": {"apply": ["true"], "verify": ["true"]},
}
CALM = Baseline((1.0,) * 20, "answered", 9e7, 9e7, (1, 1, 1), 2.0)


def fault(**asked: Any) -> Fault:
    return parse_fault(asked, "s.yaml", "f")
