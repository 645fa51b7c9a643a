"""Mistakes in contract files: each is told with the file, the key path, what was expected, and the nearest valid word."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtests import contract
from loadtests.contract.check import MAX_REQUIRED_FIELDS, problems
from loadtests.contract.schema import ContractFile
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
  piece: {role: content}
  ended: {role: done, demanded: true, fields: [turn]}
aliases: {finished: ended}
legacy: [old]
pairs: [{open: opened, close: closed, by: [tool]}]
order: {start: a, states: {a: {began: b}, b: {ended: b}}}
"""
RESUME = "resume: {mode: cursor, answer: began, resumed: r, stream: s, ask: {s: '{stream}'}}\n"
STREAM = "streams: [{event: piece, text: data.text, final: {event: ended, text: whole}}]\n"
STEPS = "handshake: {ready: began, steps: [{expect: began, take: {room: data.room}}, {send: {room: '{room}'}}]}\n"
CALL = "prelude: [{path: /ticket, headers: {Authorization: 'Bearer {token}'}, take: {ticket: id}}]\n"

#: what is added to the small contract; what in it is replaced by what (nothing: the addition itself is the mistake); words
#: that the error must hold, the key path first
BROKEN: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    # Shape
    "unknown key at the top": ("", "legacy:", "legasy:", ("legasy", "unknown key", "did you mean 'legacy'?")),
    "unknown key in an event": (
        "", "demanded: true", "demandet: true", ("events.ended.demandet", "unknown key", "did you mean 'demanded'?"),
    ),
    "unknown key in a stream": (STREAM, "text: data.text", "test: data.text", ("streams[0].test", "unknown key", "did you mean 'text'?")),
    "unknown key in a step": (STEPS, "expect: began", "expects: began", ("handshake.steps[0].expects", "did you mean 'expect'?")),
    "unknown role": ("", "role: done", "role: finish", ("events.ended.role", "is 'finish'", "one of content, done, failed")),
    "unknown outcome": ("outcomes: {events: {ended: lovely}}\n", "", "", ("outcomes.events.ended", "is 'lovely'", "one of cancelled")),
    "wrong format": ("", "contract: 1", "contract: 2", ("at contract", "is 2", "expected 1")),
    "name missing": ("", "name: small\n", "", ("at name", "is missing", "expected text")),
    "send missing": ("", "send: {template: {type: ask}}\n", "", ("at send", "is missing", "a mapping of template, resend")),
    "wrong type": ("", "aliases: {finished: ended}", "aliases: [finished]", ("at aliases", "is a list", "expected a mapping")),
    "no path to a node": ("handshake: {node: data..node}\n", "", "", ("handshake.node", "is no path", "names joined by dots")),
    "no time at all": ("turn: {deadline_ms: 0}\n", "", "", ("turn.deadline_ms", "is 0", "a whole number, more than 0")),
    "a step back in time": (STEPS, "{send: {room: '{room}'}}", "{pause_ms: -1}", ("handshake.steps[1].pause_ms", "is -1", "at least 0")),
    "key given twice": ("name: again\n", "", "", ("line", "'name' given twice")),
    "no yaml": ("", "legacy: [old]", "legacy: [old", ("line", "valid YAML")),
    # Events
    "alias of nothing": ("", "{finished: ended}", "{finished: endet}", ("aliases.finished", "'endet'", "did you mean 'ended'?")),
    "alias that is an event": ("", "{finished: ended}", "{began: ended}", ("aliases.began", "one or the other")),
    "legacy that is an event": ("", "legacy: [old]", "legacy: [began]", ("legacy.began", "one or the other")),
    "legacy that is an alias": ("", "legacy: [old]", "legacy: [finished]", ("legacy.finished", "one or the other")),
    "nothing ends well": ("", "role: done", "role: failed", ("events", "'done'", "a turn that can end well")),
    "nothing begins": ("", "role: started", "role: other", ("events", "'started'", "a turn that can begin")),
    "required field unknown": ("", "fields: [turn]", "fields: [turm]", ("events.ended.fields", "'turm'", "did you mean 'turn'?")),
    "required field without a name": (
        "", "turn: [run]", "turn: []", ("events.ended.fields", "'turn' is not in fields", "one of cursor, tool"),
    ),
    "required version without versions": ("", "fields: [turn]", "fields: [version]", ("events.ended.fields", "'version'", "one of")),
    "paired agents without names": ("agents: {paired: true}\n", "", "", ("agents.paired", "fields has no agent")),
    "a code both good and fatal": ("closes: {normal: [1000, 1008], fatal: [1008]}\n", "", "", ("closes.fatal", "1008", "one or the other")),
    "a wait that ends before it begins": ("client: {base_ms: 50, cap_ms: 10}\n", "", "", ("client.cap_ms", "less than base_ms, 50")),
    "a herd larger than all": ("client: {herd_share: 2}\n", "", "", ("client.herd_share", "is 2", "at most 1")),
    # References
    "pair of nothing": ("", "open: opened", "open: opend", ("pairs[0].open", "'opend'", "did you mean 'opened'?")),
    "pair closed by nothing": ("", "close: closed", "close: nothing", ("pairs[0].close", "'nothing'", "one of")),
    "pair of what is no tool": ("", "open: opened", "open: piece", ("pairs[0].open", "has the role 'content'", "'tool-open'")),
    "pair by an unknown field": ("", "by: [tool]", "by: [toll]", ("pairs[0].by", "'toll'", "did you mean 'tool'?")),
    "ready is no event": ("handshake: {ready: hallo}\n", "", "", ("handshake.ready", "'hallo'", "one of")),
    "a step expects no event": (STEPS, "expect: began", "expect: begun", ("handshake.steps[0].expect", "'begun'", "did you mean 'began'?")),
    "stream of no event": (STREAM, "event: piece", "event: peace", ("streams[0].event", "'peace'", "did you mean 'piece'?")),
    "stream of no content": (
        STREAM, "event: piece", "event: opened", ("streams[0].event", "has the role 'tool-open'", "expected 'content'"),
    ),
    "whole text in no event": (STREAM, "event: ended", "event: end", ("streams[0].final.event", "'end'", "did you mean 'ended'?")),
    "whole text where no text is": (STREAM, "event: ended", "event: began", ("streams[0].final.event", "'started'", "'content' or 'done'")),
    "two streams in one event": (
        "streams: [{event: piece, text: a}, {event: piece, text: b}]\n", "", "", ("streams[1].event", "'piece'", "an event of its own"),
    ),
    "outcome of nothing": ("outcomes: {events: {endet: ok}}\n", "", "", ("outcomes.events.endet", "did you mean 'ended'?")),
    "outcome of no end": ("outcomes: {events: {piece: ok}}\n", "", "", ("outcomes.events.piece", "'content'", "'done' or 'failed'")),
    "answer in nothing": ("answer: {event: ende, text: t}\n", "", "", ("answer.event", "did you mean 'ended'?")),
    "a reply to nothing": ("control: {replies: {pingg: {}}}\n", "", "", ("control.replies.pingg", "not in events", "one of")),
    "a field that nobody reads": (
        "", "turn: [run]", "turn: [run], turnn: [run]", ("fields.turnn", "read by nobody", "did you mean 'turn'?"),
    ),
    "a ping of nobody": ("control: {ping: peice}\n", "", "", ("control.ping", "not in events", "did you mean 'piece'?")),
    "a pair whose end begins a tool": ("", "close: closed", "close: opened", ("pairs[0].close", "has the role 'tool-open'", "close'")),
    "a pong of nobody": ("control: {pong: pong}\n", "", "", ("control.pong", "not in events")),
    "a keepalive answered by nothing": (
        "control: {keepalive: {send: {}, every_ms: 9, expect: peice}}\n", "", "", ("control.keepalive.expect", "did you mean 'piece'?"),
    ),
    "resume without answer": (RESUME, "answer: began", "answer: ''", ("resume.answer", "''", "one of")),
    "resume without stream": (RESUME, ", stream: s", "", ("resume.stream", "is empty", "a path")),
    "resume without cursor": (RESUME, "cursor: [n], ", "", ("fields", "has no cursor", "resume.mode is cursor")),
    "resume without asking": (RESUME, ", ask: {s: '{stream}'}", "", ("resume.ask", "is empty", "{cursor}")),
    # Order
    "start is no state": ("", "start: a", "start: z", ("order.start", "'z'", "one of a, b")),
    "step to no state": ("", "{began: b}", "{began: c}", ("order.states.a.began", "'c'", "one of a, b")),
    "step by no event": ("", "{began: b}", "{begann: b}", ("order.states.a", "'begann'", "did you mean 'began'?")),
    "a state that nothing leads to": ("", "{began: b}", "{began: a}", ("order.states.b", "no step leads to it", "from 'a' on")),
    # Paths
    "no path to the type": ("envelope: {type: []}\n", "", "", ("envelope.type", "is empty")),
    "a path with a gap": ("", "turn: [run]", "turn: [data..run]", ("fields.turn", "'data..run' is no path", "joined by dots")),
    "an empty path to a text": (STREAM, "text: whole", "text: ''", ("streams[0].final.text", "no path")),
    "a path that ends in a dot": (CALL, "ticket: id", "ticket: id.", ("prelude[0].take.ticket", "'id.' is no path")),
    "versions at no path": ("versions: {accepted: ['1']}\n", "", "", ("versions.path", "is empty")),
    "no version accepted": ("versions: {path: v}\n", "", "", ("versions.accepted", "is empty", "at least one version")),
    "a version both old and new": (
        "versions: {path: v, accepted: ['1'], deprecated: ['1']}\n", "", "", ("versions.deprecated", "'1'", "one or the other"),
    ),
    "a version said twice": (
        "versions: {path: v, accepted: ['1']}\n", "turn: [run]", "turn: [run], version: [v]", ("fields.version", "one or the other"),
    ),
    "outcomes without values": ("outcomes: {path: status}\n", "", "", ("outcomes.values", "is empty")),
    "values without a path": ("outcomes: {values: {done: ok}}\n", "", "", ("outcomes.path", "is empty")),
    # What is sent
    "a step that says two things": (
        STEPS, "{send:", "{pause_ms: 5, send:", ("handshake.steps[1]", "exactly one of expect, send and pause_ms"),
    ),
    "a step that says nothing": (STEPS, "{send: {room: '{room}'}}", "{}", ("handshake.steps[1]", "exactly one of")),
    "a step that takes from nothing": (STEPS, "{send:", "{take: {hall: x}, send:", ("handshake.steps[1].take", "an expect beside it")),
    "a placeholder that nobody fills": (
        "", "{type: ask}", "{type: '{contnt}'}", ("send.template", "nobody fills {contnt}", "did you mean 'content'?"),
    ),
    "a placeholder out of place": ("", "{type: ask}", "{type: '{cursor}'}", ("send.template", "nobody fills {cursor}", "one of content")),
    "a name used before it is taken": (
        STEPS, "{expect: began", "{send: {a: '{room}'}}, {expect: began", ("handshake.steps[0].send", "nobody fills {room}"),
    ),
    "a ticket in the URL that nobody takes": (
        CALL + "endpoint: {query: {ticket: '{tiket}'}}\n", "", "", ("endpoint.query", "nobody fills {tiket}", "did you mean 'ticket'?"),
    ),
    "a content where none is": (
        STEPS, "{room: '{room}'}", "{room: '{content}'}", ("handshake.steps[1].send", "nobody fills {content}", "one of now, room, token"),
    ),
    "a name of the harness's own": (
        STEPS, "room: data.room", "content: data.room", ("handshake.steps[0].take.content", "{content}", "another name"),
    ),
    "a name that is none": (CALL, "ticket: id", "my-ticket: id", ("prelude[0].take.my-ticket", "small letters")),
    "a call elsewhere": (CALL, "path: /ticket", "path: http://other/ticket", ("prelude[0].path", "a path on the target's host")),
    "a call that no answer pleases": (CALL, "path: /ticket", "path: /ticket, status: []", ("prelude[0].status", "is empty")),
    "an endpoint that is no path": ("endpoint: {path: chat}\n", "", "", ("endpoint.path", "'chat'", "a path from / on")),
    "a subprotocol with a space": ("endpoint: {subprotocols: [my chat]}\n", "", "", ("endpoint.subprotocols", "'my chat'")),
}  # fmt: skip


#: files that extend each other, ``mine.yaml`` the last; which of them is to blame; words that the error must hold
BROKEN_LAYERS: dict[str, tuple[dict[str, str], str, tuple[str, ...]]] = {
    "extends nothing": (
        {"mine.yaml": "name: mine\nextends: netraa\n"}, "mine.yaml",
        ("at extends", "no contract 'netraa'", "did you mean 'netra'? or a YAML file beside it"),
    ),
    "a base that extends nothing": (
        {"below/base.yaml": "extends: gone.yaml\n", "mine.yaml": "name: mine\nextends: below/base.yaml\n"}, "below/base.yaml",
        ("at extends", "no contract 'gone.yaml'"),
    ),
    "a base that extends what stands beside another": (
        {"base.yaml": SMALL, "below/base.yaml": "extends: base.yml\n", "base.yml": SMALL, "mine.yaml": "extends: below/base.yaml\n"},
        "below/base.yaml", ("at extends", "no contract 'base.yml'"),
    ),
    "a circle that begins below": (
        {"base.yaml": "extends: base.yaml\n", "mine.yaml": "extends: base.yaml\n"}, "base.yaml", ("at extends", "extends itself"),
    ),
    "a bad key in a base": (
        {"base.yaml": SMALL.replace("demanded: true", "demandet: true"), "mine.yaml": "name: mine\nextends: base.yaml\n"},
        "base.yaml", ("events.ended.demandet", "unknown key", "did you mean 'demanded'?"),
    ),
    "a bad word in a base": (
        {"base.yaml": SMALL.replace("role: done", "role: finish"), "mine.yaml": "name: mine\nextends: base.yaml\nevents: {more: {}}\n"},
        "base.yaml", ("events.ended.role", "is 'finish'", "one of content"),
    ),
    "a word of YAML's own in a base": (
        {"base.yaml": SMALL + "control: {replies: {on: {}}}\n", "mine.yaml": "name: mine\nextends: base.yaml\ncontrol: {replies: {}}\n"},
        "base.yaml", ("control.replies", "the key true", "text"),
    ),
    "a bad key upon a base": (
        {"base.yaml": SMALL, "mine.yaml": "name: mine\nextends: base.yaml\nturn: {deadline: 5}\n"}, "mine.yaml",
        ("turn.deadline", "unknown key", "did you mean 'deadline_ms'?"),
    ),
    "nothing under a bad key": (
        {"base.yaml": SMALL, "mine.yaml": "name: mine\nextends: base.yaml\nlegasy:\n"}, "mine.yaml", ("at legasy", "unknown key"),
    ),
    "half a cancel": (
        {"base.yaml": SMALL + "cancel: {within: 5}\n", "mine.yaml": "name: mine\nextends: base.yaml\ncancel: {template: {}}\n"},
        "base.yaml", ("cancel.within", "did you mean 'within_ms'?"),
    ),
    "no name of its own": ({"base.yaml": SMALL, "mine.yaml": "extends: base.yaml\n"}, "mine.yaml", ("at name", "is missing", "text")),
}  # fmt: skip


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("added", ["", RESUME, STREAM, STEPS, CALL])
def test_what_the_mistakes_are_planted_in_is_right(tmp_path: Path, added: str) -> None:
    contract.load(written(tmp_path, SMALL + added))


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_told_with_file_place_and_expectation(tmp_path: Path, name: str) -> None:
    added, old, new, words = BROKEN[name]
    text = SMALL + added
    assert old in text
    path = written(tmp_path, text.replace(old, new) if old else text)
    with pytest.raises(ConfigError) as caught:
        contract.load(path)
    told = str(caught.value)
    assert told.startswith(str(path))
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize("name", BROKEN_LAYERS)
def test_of_files_that_extend_each_other_the_one_to_blame_is_named(tmp_path: Path, name: str) -> None:
    files, blamed, words = BROKEN_LAYERS[name]
    paths = [written(tmp_path, text, file) for file, text in files.items()]
    with pytest.raises(ConfigError) as caught:
        contract.load(paths[-1])
    assert caught.value.where == str(tmp_path / blamed)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_mistake_in_the_whole_is_the_last_files(tmp_path: Path) -> None:
    """What the base says is right until something is taken from under it."""
    written(tmp_path, SMALL, "base.yaml")
    path = written(tmp_path, "name: mine\nextends: base.yaml\nfields: {turn: []}\n")
    with pytest.raises(ConfigError) as caught:
        contract.load(path)
    assert (caught.value.where, caught.value.place) == (str(path), "events.ended.fields")


def test_an_inherited_field_may_stay_though_no_event_needs_it_any_more(tmp_path: Path) -> None:
    text = "name: mine\nextends: netra\nevents: {agent_thinking: {fields: []}, tool_completed: {fields: [tool]}}\n"
    assert "reasoning" in contract.load(written(tmp_path, text)).file.fields


def test_every_kind_of_problem_is_planted() -> None:
    """So that no check goes untested; 25 kinds are the least."""
    assert len(BROKEN) >= 25


def test_too_many_required_fields_do_not_fit_a_row(tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(MAX_REQUIRED_FIELDS + 1)]
    text = SMALL.replace("cursor: [n]", ", ".join(f"{n}: [{n}]" for n in names)).replace(
        "fields: [turn]", f"fields: {names}"
    )
    with pytest.raises(ConfigError, match=f"at most {MAX_REQUIRED_FIELDS} fields"):
        contract.load(written(tmp_path, text))


def test_all_problems_can_be_had_at_once() -> None:
    text = SMALL.replace("{finished: ended}", "{finished: endet}").replace("{ended: b}", "{endet: c}")
    file = msgspec.yaml.decode(text.encode(), type=ContractFile)
    assert [one.place for one in problems(file)] == ["aliases.finished", "order.states.b", "order.states.b.endet"]
