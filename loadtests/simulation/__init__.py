"""The whole of it in virtual time: real sessions, backend, frames and trackers on a network that a seed decides.

``play(plan)`` gives a history; the same plan gives the same bytes, on any machine and under any hash seed.
"""

from __future__ import annotations

from loadtests.simulation.plan import Plan, plan_of
from loadtests.simulation.run import Played, play

__all__ = ["Plan", "Played", "plan_of", "play"]
