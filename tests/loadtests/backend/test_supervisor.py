"""The parent of the nodes, where it refuses; what it does to living ones stands in ``tests/live/test_cluster.py``."""

from __future__ import annotations

import asyncio

import pytest

from loadtests.backend.options import ServerOptions
from loadtests.backend.supervisor import Cluster, supervise
from loadtests.errors import ConfigError


@pytest.mark.parametrize("words", ["", "kill", "kill one", "dance 1", "kill 1 2", "roll 1"])
def test_an_order_that_is_none_is_answered_with_those_that_are(words: str) -> None:
    cluster = Cluster(ServerOptions(nodes=2), 9)
    assert asyncio.run(cluster.obey(words)).startswith(f"failed {words}: say roll, or one of kill, start")


@pytest.mark.parametrize("words", ["kill 1", "restart 2", "pause 1", "resume 9"])
def test_a_node_that_is_not_up_is_told(words: str) -> None:
    cluster = Cluster(ServerOptions(nodes=2), 9)
    assert asyncio.run(cluster.obey(words)) == f"failed {words}: node {words[-1]} is not up"


@pytest.mark.parametrize(("nodes", "defect"), [(0, ""), (17, ""), (2, "silnt")])
def test_what_no_cluster_can_be_is_refused_before_anything_starts(nodes: int, defect: str) -> None:
    with pytest.raises(ConfigError):
        asyncio.run(supervise(ServerOptions(nodes=nodes, defect=defect), lifeline=True))
