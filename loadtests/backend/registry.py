"""Which agents there are and which tools each may use."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.contract import Contract

__all__ = ["Agent", "AgentRegistry"]

ROOT_TOOLS = ("search", "cost_analysis", "query_metrics")


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    tools: tuple[str, ...]


#: Agents that the root may call in.
NESTED = (
    Agent("triage", ("classify",)),
    Agent("data", ("query_metrics", "fetch_table")),
    Agent("reporting", ("render_report",)),
)


class AgentRegistry:
    """One root, whose end is the turn's end, and the agents it calls in."""

    def __init__(self, root_name: str, nested: tuple[Agent, ...] = NESTED) -> None:
        names = [root_name, *(agent.name for agent in nested)]
        if len(set(names)) != len(names):
            raise ValueError(f"two agents of one name among {names}")
        self.root = Agent(root_name, ROOT_TOOLS)
        self.nested = nested
        self._by_name = {agent.name: agent for agent in (self.root, *nested)}

    @classmethod
    def for_contract(cls, contract: Contract) -> AgentRegistry:
        """With the root that the contract names first."""
        return cls(next(iter(contract.file.agents.root), "supervisor"))

    def get(self, name: str) -> Agent:
        """The agent of that name.

        Raises:
            KeyError: there is none.
        """
        return self._by_name[name]
