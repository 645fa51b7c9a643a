"""The table of faults: one row a kind, and errors that name the nearest."""

from __future__ import annotations

import pytest

from chaos.faults import FAULTS, parse_fault
from loadtests.errors import ConfigError


def test_the_table_is_keyed_by_the_faults_own_kinds() -> None:
    assert {kind: fault.kind for kind, fault in FAULTS.items()} == {kind: kind for kind in FAULTS}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"kind": "latancy"}, "latency"),
        ({}, "kind"),
        ({"kind": "latency", "latency_ms": -1}, "latency_ms"),
        ({"kind": "latency", "latencyy_ms": 5}, "latency_ms"),
        ({"kind": "down", "latency_ms": 5}, "latency_ms"),
        ({"kind": "jam", "direction": "sideways"}, "direction"),
    ],
)
def test_a_mistake_names_place_and_expectation(data: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_fault(data, "my.yaml", "phases[2].fault")

    assert str(caught.value).startswith("my.yaml at phases[2].fault")
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_says_what_it_does_to_a_session(kind: str) -> None:
    """The judge excuses by these; a fault that claims nothing would excuse nothing and blame a healthy backend."""
    fault = FAULTS[kind]
    assert fault.disconnects or fault.delays or fault.holds
