"""After a cut: when the turn that was under way went on, and when a new one began, as its events tell. Pure over rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from reports.judgement import Curve
from reports.recovery import Recovery, curve
from reports.replay import Rows, of_own_turns

__all__ = ["resumptions"]

Span = tuple[float, bool]
NS_PER_S = 1_000_000_000


def resumptions(
    rows: Rows, turns: pd.DataFrame, recovered: Iterable[Recovery], start_ns: int
) -> dict[str, tuple[Curve, Curve]]:
    """Window -> how long until the interrupted turn's first event, and until that of a new turn, from the later of loss and heal.
    ``start_ns``: what the turns' seconds count from.
    """
    first: dict[tuple[str, int], Recovery] = {}
    for one in sorted(recovered, key=lambda one: one.outage.close_ns):
        if one.window:
            first.setdefault((one.window, one.outage.session), one)
    cut = {session for _, session in first}
    events, spans = _events(rows, cut), _turns(turns[turns["session"].isin(cut)], start_ns)
    last_ns = int(rows["received"].max(initial=start_ns))
    went_on: dict[str, list[Span]] = defaultdict(list)
    began: dict[str, list[Span]] = defaultdict(list)
    for (window, session), one in first.items():
        if session not in spans:
            continue
        numbers, sent_ns, end_ns = spans[session]
        close_ns = one.outage.close_ns
        under_way = (sent_ns < close_ns) & (end_ns > close_ns)
        at_ns, of_turn = events.get(session, _NOTHING)
        later = at_ns > close_ns
        if under_way.any():
            seen = at_ns[later & np.isin(of_turn, numbers[under_way])]
            until_ns = int(seen[0] if len(seen) else end_ns[under_way].max())
            went_on[window].append(((until_ns - one.since_ns) / NS_PER_S, len(seen) > 0))
        seen = at_ns[later & np.isin(of_turn, numbers[sent_ns >= close_ns])]
        until_ns = int(seen[0]) if len(seen) else last_ns
        began[window].append(((until_ns - one.since_ns) / NS_PER_S, len(seen) > 0))
    return {window: (curve(went_on[window]), curve(some)) for window, some in began.items()}


_NOTHING = (np.empty(0, np.int64), np.empty(0, np.int64))
Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def _events(rows: Rows, sessions: set[int]) -> dict[int, Arrays]:
    """Session -> when its turns' events came, in order, and of which turn."""
    mine = rows[of_own_turns(rows) & np.isin(rows["session"], list(sessions))]
    mine = mine[np.lexsort((mine["received"], mine["session"]))]
    bounds = np.flatnonzero(np.diff(mine["session"].astype(np.int64))) + 1
    parts = zip(np.split(mine["received"], bounds), np.split(mine["turn"].astype(np.int64), bounds), strict=True)
    numbers = [int(part[0]) for part in np.split(mine["session"], bounds) if len(part)]
    return dict(zip(numbers, parts, strict=False))


def _turns(turns: pd.DataFrame, start_ns: int) -> dict[int, tuple[np.ndarray[Any, Any], ...]]:
    """Session -> its turns' numbers, when each was sent, and when it was over."""
    out = {}
    for session, some in turns.groupby("session"):
        times = [start_ns + (some[name].to_numpy() * NS_PER_S).astype(np.int64) for name in ("sent_s", "end_s")]
        out[int(str(session))] = (some["turn"].to_numpy(), *times)
    return out
