"""Which outage belongs to which fault, and who was not served again in time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.history import Window
from reports.clients import Outage

__all__ = ["Recovery", "recoveries"]


@dataclass(frozen=True, slots=True)
class Recovery:
    """One outage and the fault that it belongs to. ``took_ns``: from the later of close and heal; None: never back."""

    outage: Outage
    window: str
    since_ns: int
    took_ns: int | None
    #: the run ended before the budget was over
    censored: bool
    late: bool

    @property
    def never_tried(self) -> bool:
        """Nobody asked to be served again, so it is not the backend that failed."""
        return self.late and not self.outage.attempts


def recoveries(outages: Iterable[Outage], windows: Sequence[Window], budget_ns: int, last_ns: int) -> list[Recovery]:
    """Every outage with its fault; ``last_ns``: the end of a fault that never healed."""
    found = []
    for one in outages:
        since_ns, window = one.close_ns, ""
        for fault in windows:
            healed_ns = last_ns if fault.end_ns is None else fault.end_ns
            # A close just before the journal's mark belongs to the window: the mark is written before the call.
            if fault.cohort == one.cohort and fault.start_ns <= one.close_ns <= healed_ns + budget_ns:
                since_ns, window = max(one.close_ns, healed_ns), fault.id
        took_ns = None if one.ready_ns is None else max(0, one.ready_ns - since_ns)
        censored = one.ready_ns is None and one.end_ns - since_ns < budget_ns
        late = not censored and not one.dismissed and (took_ns is None or took_ns > budget_ns)
        found.append(Recovery(one, window, since_ns, took_ns, censored, late))
    return found
