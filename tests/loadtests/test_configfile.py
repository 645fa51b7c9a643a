"""YAML to records: every error names the file, the key path, and the nearest right key."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtests.configfile import convert, merge, nearest, read_yaml
from loadtests.errors import ConfigError


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    depth: int = 0


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    one: Inner | None = None
    many: list[Inner] = []
    named: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"nam": "x"}, "f.yaml at nam: unknown key; did you mean 'name'?"),
        ({"name": "x", "one": {"dept": 1}}, "f.yaml at one.dept: unknown key; did you mean 'depth'?"),
        ({"name": "x", "many": [{}, {"dept": 1}]}, "f.yaml at many[1].dept: unknown key; did you mean 'depth'?"),
        ({"name": "x", "named": {"a": {"dept": 1}}}, "f.yaml at named[...].dept: unknown key; did you mean 'depth'?"),
        ({"name": "x", "zzz": 1}, "f.yaml at zzz: unknown key; one of many, name, named, one"),
        ({"name": 1}, "f.yaml at name: Expected `str`, got `int`"),
        ({"name": "x", "many": [{"depth": "deep"}]}, "f.yaml at many[0].depth: Expected `int`, got `str`"),
        ({}, "f.yaml at the top: Object missing required field `name`"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(data, Outer, "f.yaml")
    assert str(caught.value) == message


def test_what_fits_is_converted() -> None:
    assert convert({"name": "x", "many": [{"depth": 2}]}, Outer, "f") == Outer("x", many=[Inner(2)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "line 2, column 1: key 'a' given twice"),
        ("a: {b: 1, b: 2}", "key 'b' given twice"),
        ("? [1]\n: 2", "a key must be a plain word"),
        ("a: [1", "line 1, column 6: "),
        ("- 1", "holds list; expected a mapping of keys"),
        ("", "holds NoneType"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("\x00", "expected valid YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "f.yaml")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_yaml(tmp_path)


def test_yaml_is_read(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("a: {b: [1, é]}")
    assert read_yaml(tmp_path / "f.yaml") == {"a": {"b": [1, "é"]}}


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_mappings_merge_key_by_key(base: dict[str, object], over: dict[str, object], merged: dict[str, object]) -> None:
    before = repr(base)
    assert merge(base, over) == merged
    assert repr(base) == before


@pytest.mark.parametrize(
    ("word", "words", "hint"),
    [("stedy", ["steady", "x"], "did you mean 'steady'?"), ("q", ["b", "a"], "one of a, b"), ("q", [], "")],
)
def test_the_nearest_word_or_all_of_them(word: str, words: list[str], hint: str) -> None:
    assert nearest(word, words) == hint
