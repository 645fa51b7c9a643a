"""Agents: one root, nested ones by name."""

from __future__ import annotations

import pytest

from loadtests.backend.registry import NESTED, AgentRegistry
from loadtests.contract import load


def test_the_root_is_the_one_that_the_contract_names_first() -> None:
    for name in ("reference", "netra"):
        contract = load(name)
        assert AgentRegistry.for_contract(contract).root.name == contract.file.agents.root[0]


def test_nested_agents_are_found_by_name_and_none_is_a_root() -> None:
    registry = AgentRegistry("boss")
    assert [registry.get(agent.name) for agent in NESTED] == list(NESTED)
    assert registry.get("boss") is registry.root
    with pytest.raises(KeyError):
        registry.get("nobody")


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        AgentRegistry("triage")
