"""Functions that a scenario names: where they are looked for, and what is said of those that are not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.errors import ConfigError
from loadtests.journey import Outside
from loadtests.outside import Here, check_functions, folder_of, load_function

MODULE = """
import pathlib
pathlib.Path(__file__).with_name("loaded").write_text("")

def good(here):
    return here.user

number = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = list(sys.path)
    (tmp_path / "outside_one.py").write_text(MODULE)
    (tmp_path / "outside_bad.py").write_text("raise KeyError('what')\n")
    (tmp_path / "outside_quits.py").write_text("import os\nos._exit(4)\n")
    (tmp_path / "outside_package").mkdir()
    (tmp_path / "outside_package" / "__init__.py").write_text("")
    (tmp_path / "outside_package" / "deep.py").write_text("def good(here): return 7\n")
    yield tmp_path
    sys.path[:] = before
    for name in [name for name in sys.modules if name.startswith("outside_")]:
        del sys.modules[name]


def test_a_module_beside_the_scenario_is_found_from_anywhere(folder: Path) -> None:
    there = folder_of("outside_one:good", folder)
    assert there == str(folder.resolve())
    assert load_function(Outside("outside_one:good", folder=there))(Here(3, {}, "t")) == 3
    assert folder_of("outside_package.deep:good", folder) == there
    assert load_function(Outside("outside_package.deep:good", folder=there))(Here(3, {}, "t")) == 7
    assert folder_of("json:loads", folder) == ""
    assert load_function(Outside("json:loads"))('{"a": 1}') == {"a": 1}  # type: ignore[arg-type]


def test_a_file_of_the_user_s_stands_in_for_none_of_ours(folder: Path) -> None:
    (folder / "json.py").write_text("def loads(here): return 'mine'\n")
    load_function(Outside("outside_one:good", folder=str(folder)))
    assert sys.path[-1] == str(folder)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("outside_one:missing", "module outside_one has no function 'missing'"),
        ("outside_one:number", "module outside_one has no function 'number'"),
        ("outside_none:f", "cannot be imported: ModuleNotFoundError: No module named 'outside_none'"),
        ("outside_bad:f", "cannot be imported: KeyError: 'what'"),
    ],
)
def test_what_is_not_there_is_told_by_who_imports_it_and_by_who_only_looks(folder: Path, call: str, words: str) -> None:
    one = Outside(call, folder=str(folder))
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        load_function(one)
    with pytest.raises(ConfigError) as caught:
        check_functions([("journey[1].python", one)], "mine.yaml")
    assert (
        str(caught.value) == f"mine.yaml at journey[1].python: {call} {words}; expected a function that can be imported"
    )


def test_whoever_looks_imports_nothing_into_its_own_process(folder: Path) -> None:
    check_functions([("journey[1].python", Outside("outside_one:good", folder=str(folder)))], "mine.yaml")
    assert (folder / "loaded").exists()
    assert "outside_one" not in sys.modules


def test_a_module_that_ends_python_is_an_error_like_any_other(folder: Path) -> None:
    with pytest.raises(ConfigError, match="outside_quits:f ends Python"):
        check_functions([("journey[1].python", Outside("outside_quits:f", folder=str(folder)))], "mine.yaml")


@pytest.mark.parametrize("body", ["return 1", "yield {}"])
def test_a_function_that_nobody_would_wait_for_is_refused(folder: Path, body: str) -> None:
    (folder / "outside_async.py").write_text(f"async def f(here):\n    {body}\n")
    with pytest.raises(ConfigError, match="is async"):
        load_function(Outside("outside_async:f", folder=str(folder)))
