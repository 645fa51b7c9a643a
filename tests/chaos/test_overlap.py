"""What may be on one cohort at once, and how near two windows may begin and end."""

from __future__ import annotations

import pytest

from chaos.faults import FAULTS
from chaos.overlap import APART_MS, clash, may_overlap
from chaos.plan import Window
from tests.chaos.faults import examples


def fault(kind):
    return examples.fault(kind=kind, **examples.LEAST.get(kind, {}))


def window(name, kind, start_ms, end_ms, cohort="treated"):
    return Window(name, kind, cohort, "p", start_ms, end_ms, fault(kind).asked)


def problem(one, other):
    found = clash(one, one.fault, other, other.fault)
    return found[0] if found else ""


@pytest.mark.parametrize("kind", FAULTS)
def test_nothing_overlaps_itself(kind):
    assert not may_overlap(fault(kind), fault(kind))


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        ("latency", "slicer", True),
        ("latency", "bandwidth", True),
        ("latency", "drop", True),
        ("latency", "jam", True),
        ("latency", "handshake", True),
        ("jam", "drop", False),
        ("jam", "handshake", False),
        ("drop", "down", False),
        ("reset", "limit-data", False),
        ("flap", "half-open", False),
        ("half-open", "mass-disconnect", True),
        ("half-open", "sleep", False),
        ("handshake", "mass-disconnect", True),
        ("handshake", "drop", False),
        ("slow-consumer", "latency", False),
        ("backend-kill", "latency", False),
        ("command", "backend-kill", False),
    ],
)
def test_which_pairs_may_stand_together(one, other, may):
    assert may_overlap(fault(one), fault(other)) is may
    assert may_overlap(fault(other), fault(one)) is may


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (("latency", 0, 9000), ("drop", 2000, 4000), ""),
        (("latency", 0, 9000), ("drop", 500, 4000), "500 ms from an edge"),
        (("latency", 0, 9000), ("slicer", 2000, 8500), "500 ms from an edge"),
        (("drop", 0, 9000), ("latency", 2000, 9900), "begins inside"),
        (("drop", 0, 2000), ("down", 2500, 4000), "500 ms from an edge"),
        (("drop", 0, 2000), ("down", 2000 + APART_MS, 4000), ""),
        (("latency", 0, 2000), ("latency", 2000, 4000), ""),
        (("jam", 0, 2000), ("latency", 2000, 4000), ""),
        (("drop", 0, 2000), ("latency", 2000, 4000), "0 ms from an edge"),
        (("half-open", 0, 9000), ("mass-disconnect", 500, 1500), ""),
        (("handshake", 0, 9000), ("mass-disconnect", 500, 1500), ""),
        (("drop", 0, 4000), ("down", 1000, 5000), "overlaps"),
    ],
    ids=str,
)
def test_what_could_not_be_told_apart_is_refused(one, other, words):
    found = problem(window("w1", *one), window("w2", *other))
    assert (words in found) if words else (found == "")


def test_cohorts_do_not_hinder_each_other_but_the_backend_is_everybodys():
    assert problem(window("w1", "drop", 0, 4000), window("w2", "down", 1000, 5000, "other")) == ""
    assert "overlaps" in problem(window("w1", "drop", 0, 4000), window("w2", "backend-kill", 1000, 5000, "other"))
