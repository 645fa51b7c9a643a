"""The table of findings agrees with what is printed about it elsewhere."""

from __future__ import annotations

from loadtests.findings import BY_NAME, KINDS
from loadtests.metrics import CHECKER_IDS

WITH_STATE_OF_THEIR_OWN = {
    "reconnect",
    "restored",
    "dead-peers",
    "control",
    "retries",
    "backoff",
    "herd",
    "sockets",
    "self",
}


def test_codes_are_places_in_the_table_and_names_are_unique() -> None:
    assert [kind.code for kind in KINDS] == list(range(len(KINDS)))
    assert len(BY_NAME) == len(KINDS)


def test_every_finding_belongs_to_a_checker_and_every_stateless_checker_has_one() -> None:
    assert {kind.checker for kind in KINDS} == set(CHECKER_IDS) - WITH_STATE_OF_THEIR_OWN


def test_only_what_is_deprecated_is_a_warning() -> None:
    assert [kind.name for kind in KINDS if kind.warning] == ["deprecated", "version-deprecated"]


def test_every_text_is_one_sentence_without_an_end() -> None:
    assert all(kind.text and kind.text[-1] != "." and kind.text[0].islower() for kind in KINDS)
