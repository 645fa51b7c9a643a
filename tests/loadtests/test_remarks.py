"""Remarks above keys become descriptions, and only they."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from loadtests.remarks import describe


class Remarked(msgspec.Struct):
    """Not this."""

    # nor this
    plain: int = 0
    #: the ``first``,
    #: in two lines
    first: int = 0
    #: a remark that a method ends

    def method(self) -> int:
        return self.first


def test_a_remark_describes_the_key_below_it() -> None:
    records: dict[str, Any] = {"Remarked": {"properties": {"plain": {}, "first": {}}}}
    describe(records, [sys, sys.modules[__name__]])
    assert records["Remarked"]["properties"] == {"plain": {}, "first": {"description": "the `first`, in two lines"}}
