"""Resumes between nodes: counted where both have names, and elsewhere is what is not as before."""

from __future__ import annotations

import pytest

from loadtests.history import NODE_LABEL, RowKind
from reports.judgement import Moved
from reports.nodes import moved
from tests.reports.stories import Story


def served_by(*nodes: str, resumes: bool = True) -> Moved | None:
    """One session's connections, each welcomed by a node; empty: it does not say which."""
    story = Story()
    for place, node in enumerate(nodes):
        story.connect(0, 1_000 * place, resumes=resumes and place > 0)
        if node:
            story.strings += [f"{NODE_LABEL}{node}"]
            story.rows[-1]["labels"] = len(story.strings) - 1
            assert story.rows[-1]["kind"] == RowKind.READY
        story.close(0, 1_000 * place + 500)
    names = {text: i for i, text in reversed(list(enumerate(story.strings)))}
    rows = story.read()
    for row in rows:  # each name has one number, as in a recorder
        row["labels"] = names[story.strings[int(row["labels"])]] if row["labels"] else 0
    return moved(rows, story.strings)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (("", ""), None),
        ((), None),
        (("a",), (0, 0, 1)),
        (("a", "a"), (0, 1, 1)),
        (("a", "b"), (1, 1, 2)),
        (("a", "b", "b", "a"), (2, 3, 2)),
        (("a", "", "b"), (0, 0, 2)),
        (("", "a", "b"), (1, 1, 2)),
    ],
)
def test_a_resume_is_elsewhere_when_its_node_is_not_the_one_before(
    nodes: tuple[str, ...], expected: tuple[int, int, int] | None
) -> None:
    found = served_by(*nodes)
    assert found == (None if expected is None else Moved(elsewhere=expected[0], of=expected[1], nodes=expected[2]))


def test_who_begins_anew_has_not_resumed() -> None:
    assert served_by("a", "b", resumes=False) == Moved(elsewhere=0, of=0, nodes=2)


def test_sessions_are_not_taken_for_one_another() -> None:
    story = Story()
    story.strings += [f"{NODE_LABEL}a", f"{NODE_LABEL}b"]
    for session, label in ((0, 3), (1, 4)):
        story.connect(session, 10 + session, resumes=True)
        story.rows[-1]["labels"] = label
    assert moved(story.read(), story.strings) == Moved(elsewhere=0, of=0, nodes=2)
