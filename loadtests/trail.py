"""The ways that clean turns have gone so far, as a tree: a turn on a known way costs one look-up an event. Pure.

Why: nearly all turns go one of a few ways, and what a ``TurnTracker`` finds out about such a turn it has found out before.
Right because its state is a function of the events' steps alone, as long as nothing but events has touched it: rows are
only remembered, and executions only compared with each other. So a node stands for that state, a step that broke nothing
leads to the next node, and whoever needs the state itself, or touches it otherwise, has the way walked again by the
tracker (``TurnTracker.leave``). A step that broke anything is never learnt. Of a turn that is over only the rows of its
beginning and its end are kept; walked again, the end's stands for itself and the beginning's for all others.
"""

from __future__ import annotations

from loadtests.history import COHORTS

__all__ = ["MOST_DEPTH", "ORDINAL_SHIFT", "STRAY", "Node", "Step", "Trails"]

ORDINAL_SHIFT = 16  # a key is the step's number, and above it which of the turn's executions is meant
MOST_STEPS = 1 << ORDINAL_SHIFT
NUMBER = MOST_STEPS - 1
MOST_NODES = 16_384  # a server that makes up names must not fill our memory
MOST_DEPTH = 30  # events of a turn that can be followed
MOST_BRANCHES = 64  # where steps are as many as turns, nothing is known again


#: what a tracker is told of an event, but for its row and its execution: event, agent, tool, code
Step = tuple[int, int, int, int]


class Node(dict[int, "Node"]):
    """Key of a step -> the node after it. What stands here is what others ask of a tracker without making it walk."""

    __slots__ = ("begin", "depth", "ended", "key", "outcome", "parent", "seen")

    def __init__(self, parent: Node | None = None, key: int = 0, seen: int = 0, begin: int = -1) -> None:
        super().__init__()
        self.parent, self.key, self.seen = parent, key, seen
        self.depth: int = 0 if parent is None else parent.depth + 1
        #: how many steps came before the turn's beginning; -1: it has not begun
        self.begin = begin
        #: the turn is over, and there was nothing to say against it; no step leads on from here
        self.ended = False
        self.outcome = 0

    def keys_from_start(self) -> list[int]:
        """Of all steps that lead here, in their order."""
        keys, node = [], self
        while node.parent is not None:
            keys.append(node.key)
            node = node.parent
        keys.reverse()
        return keys


#: where a turn stands that is on no known way: no step leads on from here
STRAY = Node()


class Trails:
    """All known ways under one contract, in one process."""

    __slots__ = ("_nodes", "_numbers", "_steps", "met", "start")

    def __init__(self) -> None:
        self.start = Node()
        self._steps: list[Step] = []
        #: for each cohort, of ordinary events: (type, agent, tool) as frames name them -> (the step's number, parts of the row)
        self.met: tuple[dict[tuple[str, str | None, str | None], tuple[int, bytes, bytes]], ...] = tuple(
            {} for _ in COHORTS
        )
        self._numbers: dict[Step, int] = {}
        self._nodes = 1

    def number(self, event: int, agent: int, tool: int, code: int) -> int:
        """Of a step; -1: there are too many."""
        step = event, agent, tool, code
        number = self._numbers.get(step)
        if number is None:
            if len(self._steps) >= MOST_STEPS:
                return -1
            number = self._numbers[step] = len(self._steps)
            self._steps.append(step)
        return number

    def way_to(self, node: Node) -> list[tuple[Step, int]]:
        """The steps from the start to a node, each with the ordinal of its execution; 0: it has none."""
        return [(self._steps[key & NUMBER], key >> ORDINAL_SHIFT) for key in node.keys_from_start()]

    def after(self, node: Node, key: int, seen: int, *, begins: bool) -> Node | None:
        """The node after a step that broke nothing, known or new; None: there are too many."""
        known = node.get(key)
        if known is not None:
            return known
        if node.ended or node.depth >= MOST_DEPTH or len(node) >= MOST_BRANCHES or self._nodes >= MOST_NODES:
            return None
        self._nodes += 1
        begin = node.begin if node.begin >= 0 or not begins else node.depth
        node[key] = new = Node(node, key, seen, begin)
        return new
