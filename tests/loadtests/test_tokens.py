"""Where tokens come from: one for each user, asked for again before it expires, told to whom hides it, and never shown."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from loadtests.errors import ConfigError
from loadtests.tokens import Source, TokenError, Tokens, parsed

#: prints its argument and how often it was called
COUNTING = """#!/bin/sh
echo x >> "$0.calls"
echo "{\\"token\\": \\"hush-$1-$(wc -l < "$0.calls" | tr -d ' ')\\", \\"expires_in_s\\": 100}"
"""


def program(folder: Path, text: str = COUNTING) -> str:
    path = folder / "program"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def listed(folder: Path, text: str) -> str:
    path = folder / "tokens"
    path.write_text(text)
    return str(path)


def web_token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


def test_a_file_has_a_line_for_each_user_and_all_of_them_are_hidden(tmp_path: Path) -> None:
    learned: list[str] = []
    tokens = Tokens(Source(file=listed(tmp_path, " one \n\ntwo\n")), learned.append)
    assert ([tokens.of(user) for user in range(3)], tokens.changes, learned) == (
        ["one", "two", "one"],
        False,
        ["one", "two"],
    )


def test_a_variable_is_the_same_for_all_but_for_the_user_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush-{user}")
    assert Tokens(Source(env="CHAT_TOKEN"), print).of(7) == "hush-gauntlet-7"
    assert Tokens(Source(), print).of(7) is None


def test_a_program_is_asked_once_and_again_when_a_fifth_of_the_life_is_left(tmp_path: Path) -> None:
    now_s = 1000.0
    learned: list[str] = []
    tokens = Tokens(Source(program=program(tmp_path)), learned.append, lambda: now_s)
    assert tokens.changes
    assert [tokens.of(3), tokens.of(3), tokens.of(4)] == ["hush-gauntlet-3-1", "hush-gauntlet-3-1", "hush-gauntlet-4-2"]
    now_s = 1079.9
    assert (tokens.due(), tokens.of(3)) == ([], "hush-gauntlet-3-1")
    now_s = 1080.0
    assert (tokens.due(), tokens.of(3)) == ([3, 4], "hush-gauntlet-3-3")
    assert learned == ["hush-gauntlet-3-1", "hush-gauntlet-4-2", "hush-gauntlet-3-3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\necho hush; exit 3", "exited with 3"),
        ("#!/bin/sh\necho hush >&2; echo", "printed no token"),
        ('#!/bin/sh\necho \'{"tokn": "hush"}\'', "printed no token"),
        ("#!/no/such/interpreter\n", "could not be run"),
    ],
)
def test_a_program_that_gives_none_is_told_without_its_words(tmp_path: Path, text: str, words: str) -> None:
    tokens = Tokens(Source(program=program(tmp_path, text)), print)
    with pytest.raises(TokenError, match=words) as caught:
        tokens.of(1)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("printed", "token", "life_s"),
    [
        ("hush\n", "hush", None),
        ('{"token": "hush"}', "hush", None),
        ('{"token": "hush", "expires_in_s": 90}', "hush", 90),
        ('{"token": "hush", "expires_in_s": true}', "hush", None),
        ('{"token": "hush", "expires_in_s": -1}', "hush", 0),
        (web_token({"exp": 1300}), web_token({"exp": 1300}), 300),
        (json.dumps({"token": web_token({"exp": 1300}), "expires_in_s": 5}), web_token({"exp": 1300}), 5),
        (web_token({"exp": 900}), web_token({"exp": 900}), 0),
        (web_token({"exp": "soon"}), web_token({"exp": "soon"}), None),
        (web_token([1]), web_token([1]), None),
        ("a.é.b", "a.é.b", None),
        ("a.b", "a.b", None),
        ("[1]", "[1]", None),
        ("", "", None),
    ],
)
def test_a_token_and_its_life_are_read_from_what_is_printed(printed: str, token: str, life_s: float | None) -> None:
    assert parsed(printed, 1000.0) == (token, life_s)


def test_what_cannot_be_is_told_before_traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush")
    two = listed(tmp_path, "a\nb\n")
    bad = {
        Source(env="CHAT_TOKEN", file=two): "--token-file: --token-env is given as well",
        Source(file=two, program="/bin/true"): "--token-program: --token-file is given as well",
        Source(file=two): f"{two}: 2 tokens for 3 users; expected a line for each user",
        Source(file=str(tmp_path / "none")): "cannot be read: No such file or directory",
        Source(program=two): f"--token-program: {two} is no program",
        Source(program=str(tmp_path)): "is no program",
        Source(env="NO_SUCH"): "the environment has no NO_SUCH",
    }
    for source, words in bad.items():
        with pytest.raises(ConfigError) as caught:
            source.check(3)
        assert words in str(caught.value)
    Source(file=two).check(2)
    Source(program="/bin/true").check(9)
    Source().check(9)


@pytest.mark.parametrize("raw", [b"\n\n", b"\xff\xfe"])
def test_a_file_without_tokens_is_told(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match="one token a line"):
        Tokens(Source(file=str(path)), print)
