"""Prompts and people from files: three formats, one meaning, and every mistake told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import scenario
from loadtests.errors import ConfigError
from loadtests.feeders import MOST, people_from, prompts_from
from loadtests.prompts import Expect, Interference, Prompt, Prompter

CSV = 'say,min_chars,pattern,recalls\n"Hello, {name}",10,,\nand {nonce}?,,^a,yes\n\n'
JSON = '{"say": "Hello, {name}", "min_chars": 10}\n\n{"say": "and {nonce}?", "pattern": "^a", "recalls": true}\n'
SCENARIO = """
scenario: 1
name: fed
users: 4
pace_ms: 1000
prompts_from: %s
people_from: people.csv
phases: [{name: steady, s: 10}]
"""
NEVER = Interference()


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(("name", "text"), [("p.csv", CSV), ("p.jsonl", JSON), ("p.ndjson", JSON)])
def test_prompts_mean_the_same_in_each_format(tmp_path: Path, name: str, text: str) -> None:
    assert prompts_from(written(tmp_path, name, text)) == [
        {"say": "Hello, {name}", "expect": {"min_chars": 10}},
        {"say": "and {nonce}?", "expect": {"pattern": "^a", "recalls": True}},
    ]


def test_what_editors_and_texts_do_to_files_changes_no_prompt(tmp_path: Path) -> None:
    bom = "\ufeff"
    assert prompts_from(written(tmp_path, "p.csv", bom + 'say\r\n"first line\nsecond line"\r\n')) == [
        "first line\nsecond line"
    ]
    assert prompts_from(written(tmp_path, "p.jsonl", '{"say": "one\u2028two"}\n')) == ["one\u2028two"]
    assert prompts_from(written(tmp_path, "p.txt", bom + "one\r\ntwo")) == ["one", "two"]


def test_plain_text_is_a_prompt_a_line(tmp_path: Path) -> None:
    assert prompts_from(written(tmp_path, "p.txt", "one\n\n two\n")) == ["one", " two"]


def test_a_scenario_holds_what_its_files_held_and_each_user_is_a_person(tmp_path: Path) -> None:
    written(tmp_path, "prompts.csv", CSV)
    written(tmp_path, "people.csv", "name,city\nAda,London\nBlaise,Paris\n")
    one, _ = scenario.load(str(written(tmp_path, "fed.yaml", SCENARIO % "prompts.csv")))
    assert one.people == [{"name": "Ada", "city": "London"}, {"name": "Blaise", "city": "Paris"}]
    assert one.prompts[0] == Prompt("Hello, {name}", Expect(min_chars=10))
    said = {Prompter(one.prompts, 1, user, NEVER, NEVER, one.people[user % 2]).ask().content for user in (1, 2)}
    assert {text for text in said if text.startswith("Hello")} == {"Hello, Blaise"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.csv", "say,min_char\na,1\n", ["line 2", "unknown column 'min_char'", "did you mean 'min_chars'?"]),
        ("p.csv", "say,min_chars\na,few\n", ["line 2", "min_chars is 'few'", "a whole number"]),
        ("p.csv", "say,pattern\na\n", ["line 2", "1 cells under 2 columns"]),
        ("p.csv", "say,say\na,b\n", ["line 1", "given twice"]),
        ("p.csv", "say,\na,b\n", ["line 1", "without a name"]),
        ("p.csv", 'say\n"a\n', ["line", "CSV"]),
        ("p.csv", "say\n", ["holds no row"]),
        ("p.csv", "pattern\na\n", ["line 2", "says nothing"]),
        ("p.jsonl", "{\n", ["line 1", "is no JSON"]),
        ("p.jsonl", '{"say": "a"}\n[1]\n', ["line 2", "is list", "a JSON object"]),
        ("p.txt", "\n", ["holds no row", "a prompt a line"]),
        ("p.xls", "a", ["a file of the kind '.xls'", ".csv", ".txt"]),
        ("p.txt", "a\n" * (MOST + 1), ["10,001 rows", "at most 10,000"]),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, name: str, text: str, words: list[str]) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(ConfigError) as caught:
        prompts_from(path)
    assert str(caught.value).startswith(str(path))
    assert [word for word in words if word not in str(caught.value)] == []


def test_people_are_no_plain_text_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a file of the kind '\.txt'"):
        people_from(written(tmp_path, "p.txt", "Ada"))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        people_from(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no UTF-8 text"):
        people_from(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("prompts_from: prompts.csv", "prompts_from: [a]"), "prompts_from: is list; expected a file's name"),
        (("users: 4", "users: 4\nprompts: [a]"), "prompts_from: prompts are given as well; expected only one of them"),
        (
            ("people_from: people.csv", "people: [{nam: Ada}]"),
            "prompts[0]: no column 'name' in people; did you mean 'nam'?",
        ),
        (("people_from: people.csv", "people: [{name: Ada}, {}]"), "people[1]: has nothing; expected the columns name"),
        (("people_from: people.csv", "people: [{nonce: Ada}]"), "people: a column 'nonce'"),
    ],
)
def test_a_scenario_that_is_fed_wrongly_is_told(tmp_path: Path, changes: tuple[str, str], words: str) -> None:
    written(tmp_path, "prompts.csv", CSV)
    written(tmp_path, "people.csv", "name\nAda\n")
    with pytest.raises(ConfigError) as caught:
        scenario.load(str(written(tmp_path, "fed.yaml", (SCENARIO % "prompts.csv").replace(*changes))))
    assert words in str(caught.value)


def test_without_people_braces_are_text(tmp_path: Path) -> None:
    text = (SCENARIO % "prompts.csv").replace("people_from: people.csv\n", "")
    written(tmp_path, "prompts.csv", CSV)
    one, _ = scenario.load(str(written(tmp_path, "fed.yaml", text)))
    assert one.people == []
