"""What a load process is told: everything but a secret, which stays in the environment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import msgspec
import pytest

from loadtests.assignment import Assignment, read, secret_pattern, token_for, token_template
from loadtests.contract.schema import Auth, Endpoint
from loadtests.dial import Target
from loadtests.errors import ConfigError


def test_it_reads_back_what_was_written(tmp_path: Path) -> None:
    one = Assignment(
        run_dir="r", nonce="n", seed=3, contract="c", scenario="s", target="ws://h", users=4,
        listeners={"treated": ("127.0.0.1", 5)}, token_env="T",
    )  # fmt: skip
    path = tmp_path / "assignment.json"
    path.write_bytes(msgspec.json.encode(one))
    assert read(path) == one


def test_a_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TOKEN", "hush-{user}")
    assert token_template("CHAT_TOKEN") == "hush-{user}"
    assert token_template("") is None


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_holds_nothing_is_told(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("CHAT_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("CHAT_TOKEN", value)
    with pytest.raises(ConfigError, match="the environment has no CHAT_TOKEN"):
        token_template("CHAT_TOKEN")


@pytest.mark.parametrize(
    ("template", "token"), [("hush-{user}", "hush-gauntlet-7"), ("one for all", "one for all"), (None, None)]
)
def test_each_user_has_a_token_of_its_own(template: str | None, token: str | None) -> None:
    assert token_for(template, 7) == token


@pytest.mark.parametrize(
    ("template", "text", "redacted"),
    [
        ("hush-{user}", "it is hush-gauntlet-12.", "it is *."),
        ("hush-{user}", "hush-gauntlet-1 hush-gauntlet-22", "* *"),
        ("a.b+c{user}", "a.b+cgauntlet-1 axbccgauntlet-1", "* axbccgauntlet-1"),
        ("one for all", "one for all one for", "* one for"),
    ],
)
def test_any_sessions_token_is_found(template: str, text: str, redacted: str) -> None:
    pattern = secret_pattern(template)
    assert pattern
    assert pattern.sub("*", text) == redacted


HARD = 's3cr+t/Tok{user}==\\"é'


@pytest.mark.parametrize(
    "spell",
    [
        str, quote, lambda token: quote(token, safe=""), quote_plus,
        lambda token: re.sub("%..", lambda found: found[0].lower(), quote(token)),
        lambda token: json.dumps(token)[1:-1], lambda token: json.dumps(token, ensure_ascii=False)[1:-1],
        lambda token: json.dumps(token)[1:-1].replace("/", "\\/"), lambda token: json.dumps(quote(token))[1:-1].replace("/", "\\/"),
    ],
)  # fmt: skip
def test_a_token_is_found_however_a_url_or_json_spells_it(spell: Callable[[str], str]) -> None:
    pattern, token = secret_pattern(HARD), token_for(HARD, 12)
    assert pattern
    assert token
    assert pattern.sub("", f"<{spell(token)}>") == "<>"
    assert pattern.sub("", token.replace("12", "nobody")) == token.replace("12", "nobody")


def test_the_url_of_a_contract_with_a_token_in_the_query_can_be_shown() -> None:
    template = "s3cr+t/Tok{user}=="
    dial = Target.parse("ws://h", Endpoint(path="/ws")).dial(Auth(mode="query"), token_for(template, 3), None)
    pattern = secret_pattern(template)
    assert pattern
    assert pattern.sub("*", dial.uri) == "ws://h/ws?token=*"


@pytest.mark.parametrize("template", [None, "", "{user}", "a{user}", "abc"])
def test_what_is_too_short_to_be_a_secret_hides_no_text(template: str | None) -> None:
    assert secret_pattern(template) is None
