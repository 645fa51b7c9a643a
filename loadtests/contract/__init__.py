"""What a backend promises, as data: read once from YAML, compiled once into tables."""

from __future__ import annotations

from loadtests.contract.compile import Contract, load
from loadtests.contract.schema import ContractFile, Role

__all__ = ["Contract", "ContractFile", "Role", "load"]
