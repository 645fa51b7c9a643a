"""Whether sessions that came back came back on another node of the backend, where its welcomes name one. Pure over rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadtests.history import NODE_LABEL, Flag, RowKind
from reports.judgement import Moved
from reports.replay import Rows

__all__ = ["moved"]


def moved(rows: Rows, strings: Sequence[str]) -> Moved | None:
    """Each resume beside the node that served the session before; None: no welcome named a node. What was resumed from, or on, a
    node that has no name is not counted.
    """
    named = np.array([text.startswith(NODE_LABEL) for text in strings], dtype=bool)
    welcomes = rows[rows["kind"] == RowKind.READY]
    nodes = np.where(named[welcomes["labels"]], welcomes["labels"].astype(np.int64), 0)
    if not nodes.any():
        return None
    claims = rows[(rows["kind"] == RowKind.CLAIM) & (rows["flags"] & int(Flag.RESUMED) > 0)]
    resumed = set(zip(claims["session"].tolist(), claims["connection"].tolist(), strict=True))
    order = np.lexsort((welcomes["received"], welcomes["session"]))
    before, session_before, elsewhere, of = 0, -1, 0, 0
    for i in order.tolist():
        session, connection, node = int(welcomes["session"][i]), int(welcomes["connection"][i]), int(nodes[i])
        if session == session_before and (session, connection) in resumed and node and before:
            of += 1
            elsewhere += node != before
        before, session_before = node, session
    return Moved(elsewhere=elsewhere, of=of, nodes=len(np.unique(nodes[nodes > 0])))
