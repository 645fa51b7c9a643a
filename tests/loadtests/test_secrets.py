"""What a process learned to hide is hidden however it is spelled, and the store of it stays small."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from loadtests import secrets as module
from loadtests.secrets import MOST_LEARNED, REDACTED, Secrets

HARD = 's3cr+t/Tok{user}==\\"é'


@pytest.mark.parametrize(
    "spell",
    [
        str, quote, lambda text: quote(text, safe=""), quote_plus,
        lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text)),
        lambda text: json.dumps(text)[1:-1], lambda text: json.dumps(text).replace("/", "\\/")[1:-1],
    ],
)  # fmt: skip
@pytest.mark.parametrize("secret", [HARD, "a/b+c=d?e", "tick-1234", "Tick-AbCD1234", "WhOlLyMiXeD", "1234", "é/é/"])
def test_what_was_learned_is_found_however_a_url_or_json_spells_it(secret: str, spell: Callable[[str], str]) -> None:
    one = Secrets()
    one.learn(secret)
    assert one.redact(f"<x{spell(secret)}y>") == "<x[redacted]y>"
    assert one.redact("nothing of the kind") == "nothing of the kind"


def test_what_is_too_short_hides_no_text() -> None:
    one = Secrets()
    one.learn("abc")
    assert one.redact("abc") == "abc"


@pytest.mark.parametrize("text", ["tick-12345678", "12345678-tick-1", "a tick-1 b"])
def test_of_two_that_overlap_nothing_is_left(text: str) -> None:
    one = Secrets(re.compile("tick-1"))
    one.learn("tick-12345678")
    one.learn("12345678-tick")
    assert one.redact(text) in {"[redacted]", "a [redacted] b"}


def test_a_ticket_in_a_url_is_hidden_without_the_url_too_and_words_are_not() -> None:
    one = Secrets()
    one.learn("wss://h/conversations/thread-000001/k3y0123456789?t=abc%2Fdef0123456&lang=en", spare="thread-000001")
    text = "conversations thread-000001 k3y0123456789 abc/def0123456 abc%2Fdef0123456 en"
    assert one.redact(text) == "conversations thread-000001 [redacted] [redacted] [redacted] en"


def test_the_oldest_single_use_ones_make_room_and_lasting_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LEARNED", 3)
    one = Secrets()
    one.learn("lasting", lasting=True)
    for number in (0, 1, 2, 0, 3):
        one.learn(f"tick-{number}")
    one.learn("lasting")
    shown = [number for number in range(4) if one.redact(f"tick-{number}") != "[redacted]"]
    assert (shown, one.redact("lasting")) == ([1], "[redacted]")


@pytest.mark.parametrize("spelling", ["tick{}tick", "a-{:b}"])
def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    monkeypatch.setattr(module, "MOST_LEARNED", 8)
    monkeypatch.setattr(module, "MOST_UNINDEXED", 8)
    one = Secrets()
    texts = ["-".join(spelling.format(number)) if "b" in spelling else spelling.format(number) for number in range(50)]
    for text in texts:
        one.learn(text)
    assert sum(one.redact(f"<{text}>") != f"<{text}>" for text in texts[:30]) == 0
    assert one.redact(texts[-1]) == "[redacted]"


def test_what_is_to_be_kept_is_never_forgotten_however_many_there_are() -> None:
    secrets = Secrets()
    tokens = [f"token-{number:05d}-abcd" for number in range(3 * MOST_LEARNED)]
    for token in tokens:
        secrets.keep(token)
    for number in range(2 * MOST_LEARNED):
        secrets.learn(f"ticket-{number:05d}-abcd")
    secrets.learn(tokens[0])
    for token in (tokens[0], tokens[7], tokens[-1]):
        assert secrets.redact(f"who is {token}?") == f"who is {REDACTED}?"
    secrets.keep("-.-.-.-.")
    assert secrets.redact("a -.-.-.-. b") == f"a {REDACTED} b"
