"""Where in a nested mapping the mistake is, and what should stand there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from loadtests.contract.explain import shaped
from loadtests.errors import ConfigError


class Leaf(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(gt=0)]
    kind: Literal["red", "blue"] = "red"


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    leaves: dict[str, Leaf] = {}
    rows: list[list[Leaf]] = []
    rules: dict[str, list[str | Leaf]] = {}
    place: str | list[str] = ""
    numbers: tuple[int, ...] = ()
    best: Leaf | None = None


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "F at name: is missing; expected text"),
        ({"name": 7}, "F at name: is a whole number; expected text"),
        ({"name": None}, "F at name: is nothing; expected text"),
        ({"name": "n", "leafs": {}}, "F at leafs: unknown key; did you mean 'leaves'?"),
        ({"name": "n", "leaves": {"a": {"size": 1}, "b": {}}}, "F at leaves.b.size: is missing; expected a whole number"),
        ({"name": "n", "leaves": {"a": {"size": 0}}}, "F at leaves.a.size: is 0; expected a whole number, more than 0"),
        ({"name": "n", "leaves": {"a": {"size": "1"}}}, "F at leaves.a.size: is text; expected a whole number"),
        ({"name": "n", "leaves": {"a": {"size": 1, "kind": "blu"}}}, "F at leaves.a.kind: is 'blu'; did you mean 'blue'?"),
        ({"name": "n", "leaves": {True: {"size": 1}}}, "F at leaves: the key true is true or false; expected text: 'true' in quotes"),
        ({"name": "n", "rows": [[], [{"size": 1}, {"sise": 1}]]}, "F at rows[1][1].sise: unknown key; did you mean 'size'?"),
        ({"name": "n", "rules": {"a": ["x", {"size": -1}]}}, "F at rules.a[1].size: is -1; expected a whole number, more than 0"),
        ({"name": "n", "rules": {"a": [3]}}, "F at rules.a[0]: is a whole number; expected text or a mapping of size, kind"),
        ({"name": "n", "place": ["a", 1]}, "F at place[1]: is a whole number; expected text"),
        ({"name": "n", "place": {}}, "F at place: is a mapping; expected text or a list"),
        ({"name": "n", "numbers": [1, 1.5]}, "F at numbers[1]: is a number; expected a whole number"),
        ({"name": "n", "best": {"size": False}}, "F at best.size: is true or false; expected a whole number"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_exact_place(data: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        shaped(data, Tree, "F")
    assert str(caught.value) == told


def test_what_is_right_becomes_a_record() -> None:
    made = shaped({"name": "n", "leaves": {"a": {"size": 1}}, "place": ["x"]}, Tree, "F")
    assert made == Tree("n", {"a": Leaf(1)}, place=["x"])
