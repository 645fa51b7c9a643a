"""The alphabet of the record: rows on disk, and to which fault and phase a moment belongs."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.history import (
    COHORTS,
    DTYPE,
    OUTCOMES,
    ROW,
    UNKNOWN_TURN,
    End,
    Flag,
    RowKind,
    When,
    Window,
    attribute,
    phase_at,
)

GRACE = 10


def window(id_: str, start: int, end: int | None, cohort: str = "treated") -> Window:
    return Window(id_, "down", cohort, "fault", start, end, {}, disconnects=True, swallows=True)


W1, W2 = window("w1", 100, 200), window("w2", 300, 400)
OPEN = window("w3", 500, None)


@pytest.mark.parametrize(
    ("start", "end", "windows", "expected"),
    [
        (10, 90, [W1], ("before", "")),
        (10, 99, [W1], ("before", "")),
        (10, 100, [W1], ("during", "w1")),
        (120, 130, [W1], ("during", "w1")),
        (200, 250, [W1], ("during", "w1")),
        (201, 250, [W1], ("grace", "w1")),
        (210, 250, [W1], ("grace", "w1")),
        (211, 250, [W1], ("after", "")),
        (10, 1000, [W1], ("during", "w1")),
        (205, 300, [W1, W2], ("during", "w2")),
        (205, 299, [W1, W2], ("grace", "w1")),
        (205, 300, [W2, W1], ("during", "w2")),
        (150, 350, [W1, W2], ("during", "w1")),
        (490, 499, [OPEN], ("before", "")),
        (499, 500, [OPEN], ("during", "w3")),
        (10**9, 10**9, [OPEN], ("during", "w3")),
        (1, 1000, [], ("before", "")),
    ],
)
def test_where_an_observation_stands(start: int, end: int, windows: list[Window], expected: tuple[str, str]) -> None:
    assert attribute(start, end, "treated", windows, GRACE) == When(*expected)


@pytest.mark.parametrize("cohort", ["control", "direct"])
def test_another_cohorts_fault_explains_nothing(cohort: str) -> None:
    assert attribute(120, 130, cohort, [W1, OPEN], GRACE) == When("before", "")


@pytest.mark.parametrize(("at", "name"), [(9, ""), (10, "a"), (19, "a"), (20, "b"), (29, "b"), (30, "")])
def test_a_phase_begins_where_it_begins_and_ends_before_its_end(at: int, name: str) -> None:
    assert phase_at(at, [("a", 10, 20), ("b", 20, 30)]) == name


def test_what_struct_packs_is_what_numpy_reads() -> None:
    values = list(range(1, len(DTYPE.names or ()) + 1))
    (row,) = np.frombuffer(ROW.pack(*values), DTYPE)
    assert list(row.tolist()) == values


def test_numbers_on_disk_stay_what_they_are() -> None:
    """Old runs are read by these numbers; a change needs a new schema."""
    assert [(kind.name, int(kind)) for kind in RowKind] == list(
        zip(
            [
                "EVENT",
                "SEND",
                "DIAL",
                "FAILED",
                "OPEN",
                "READY",
                "CLOSE",
                "ASK",
                "CLAIM",
                "END",
                "DROP",
                "RESEND",
                "STOP",
                "GAVE_UP",
                "CANCEL",
                "JOURNEY",
            ],
            range(1, 17),
            strict=True,
        )
    )
    ends = "OK FAILED TIMEOUT CUT_BY_STOP IN_DOUBT ABANDONED DEGRADED REFUSED THROTTLED CANCELLED REJECTED"
    assert [end.name for end in End] == ends.split()
    assert [int(flag) for flag in Flag] == [1 << i for i in range(16)]
    assert OUTCOMES == ("ok", "degraded", "refused", "throttled", "failed", "cancelled", "rejected")
    assert COHORTS == ("direct", "control", "treated")
    assert UNKNOWN_TURN == 2**32 - 1
