"""Contract files: each mistake is told with file, place and what was expected; ``extends`` merges; tables agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtests import contract
from loadtests.contract.compile import BUILT_IN
from loadtests.errors import ConfigError

SMALL = """
contract: 1
name: small
send: {template: {type: ask}}
fields: {turn: [run], cursor: [n], tool: [tool]}
events:
  began: {role: started}
  opened: {role: tool-open}
  closed: {role: tool-close}
  ended: {role: done, demanded: true, fields: [turn]}
aliases: {finished: ended}
legacy: [old]
pairs: [{open: opened, close: closed, by: [tool]}]
order: {start: a, states: {a: {began: b}, b: {ended: b}}}
"""


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refrence", "did you mean 'reference'? or a YAML file"),
        ("missing.yaml", "cannot be read: No such file"),
        ("", "one of ag-ui, graphql-transport-ws, netra, netra-demo, netra-lets-go, netra-v2, reference"),
    ],
)
def test_a_contract_that_is_not_there(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        contract.load(name)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "7", "just words"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="expected a mapping of keys"):
        contract.load(written(tmp_path, text))


def test_a_small_contract_compiles_into_tables(tmp_path: Path) -> None:
    one = contract.load(written(tmp_path, SMALL))
    assert [rule.index for rule in one.events] == [1, 2, 3, 4]
    assert one.roles == ("other", "started", "tool-open", "tool-close", "done")
    assert [one.label(i) for i in range(5)] == ["-", "began", "opened", "closed", "ended"]
    assert (one.opens, one.closes) == ({2: (2,)}, {3: 2})
    assert one.automaton == {"a": {1: "b"}, "b": {4: "b"}}
    assert one.ordered == (False, True, False, False, True)
    assert [rule.name for rule in one.demanded] == ["ended"]
    assert (one.has_cursor, one.resumes) == (True, False)
    assert one.names("tool-open", "tool-close") == ("opened", "closed")


def test_a_role_that_no_event_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no event has the role 'thinking'"):
        contract.load(written(tmp_path, SMALL)).name_of("thinking")


def test_extends_merges_key_by_key_and_follows_the_chain(tmp_path: Path) -> None:
    written(tmp_path, SMALL, "base.yaml")
    written(tmp_path, "extends: base.yaml\nname: middle\nevents: {more: {}}\nturn: {deadline_ms: 5}\n", "middle.yaml")
    one = contract.load(written(tmp_path, "extends: middle.yaml\nname: top\nlegacy: []\nturn: {recovery_ms: 6}\n"))
    assert (one.name, one.file.legacy) == ("top", [])
    assert (one.file.turn.deadline_ms, one.file.turn.recovery_ms) == (5, 6)
    assert [rule.name for rule in one.events][-1] == "more"


def test_each_file_is_looked_for_beside_the_one_that_extends_it(tmp_path: Path) -> None:
    (below := tmp_path / "below").mkdir()
    written(below, SMALL, "base.yaml")
    written(below, "extends: base.yaml\nturn: {deadline_ms: 5}\n", "middle.yaml")
    one = contract.load(written(tmp_path, "extends: below/middle.yaml\nname: top\n"))
    assert (one.name, one.file.turn.deadline_ms) == ("top", 5)


def test_pairs_tell_closings_that_stand_for_each_other_from_those_that_come_beside(tmp_path: Path) -> None:
    text = SMALL.replace(
        "pairs: [{open: opened, close: closed, by: [tool]}]",
        "pairs: [{open: opened, close: closed}, {open: opened, close: broke}, {open: opened, close: said, also: true},"
        " {open: piece, close: closed, pieces: true}]",
    ).replace(
        "  ended:", "  broke: {role: tool-close}\n  said: {role: tool-open}\n  piece: {role: tool-open}\n  ended:"
    )
    one = contract.load(written(tmp_path, text))
    opened, closed, broke, said, piece = (one.by_name[n].index for n in ("opened", "closed", "broke", "said", "piece"))
    assert one.closes == {closed: opened, broke: opened, said: opened}
    assert one.pair_of == {closed: opened, broke: opened, said: said}
    assert one.opens == {opened: (opened, said), piece: (opened,)}
    assert one.in_pieces == {piece}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: mine.yaml", "'mine.yaml' extends itself"),
        ("extends: [netra]", "expected the name of a contract"),
        ("extends: nettra", "did you mean 'netra'?"),
    ],
)
def test_extends_that_leads_nowhere(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        contract.load(written(tmp_path, text))
    assert words in str(caught.value)


def test_a_circle_of_two_is_found(tmp_path: Path) -> None:
    written(tmp_path, "extends: mine.yaml", "other.yaml")
    with pytest.raises(ConfigError, match="extends itself"):
        contract.load(written(tmp_path, "extends: other.yaml"))


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILT_IN.glob("*.yaml")))
def test_a_built_in_contract_is_whole_and_reads_back_the_same(tmp_path: Path, name: str) -> None:
    one = contract.load(name)
    again = contract.load(written(tmp_path, one.text))
    assert (again.digest, again.file) == (one.digest, one.file)
    assert {"started", "done"} | (set() if name == "ag-ui" else {"tool-close"}) <= {rule.role for rule in one.demanded}
    assert {"tool-open", "tool-close", "thinking", "failed", "content"} <= set(one.roles)
    assert one.gates()


def test_the_digest_is_of_what_the_contract_says_and_not_of_its_layout(tmp_path: Path) -> None:
    one = contract.load(written(tmp_path, SMALL))
    same = contract.load(written(tmp_path, "# a remark\n" + SMALL.replace("[old]", "['old']")))
    other = contract.load(written(tmp_path, SMALL.replace("[old]", "[older]")))
    assert one.digest == same.digest != other.digest


def test_a_budget_without_severity_fails_the_run(tmp_path: Path) -> None:
    text = SMALL + "budgets: {turn.total: ['p(95)<1', {rule: 'p(50)<1', severity: warn}]}\n"
    rules: list[Any] = contract.load(written(tmp_path, text)).gates()["turn.total"]
    assert [(rule.rule, rule.severity) for rule in rules] == [("p(95)<1", "fail"), ("p(50)<1", "warn")]


def test_a_contract_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        contract.load("netra").file.name = "mine"  # type: ignore[misc]


def test_the_files_text_is_yaml_of_the_whole(tmp_path: Path) -> None:
    assert (
        msgspec.yaml.decode(contract.load("reference").text.encode())["events"]["agent_thinking"]["role"] == "thinking"
    )
