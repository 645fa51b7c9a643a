"""What users say and expect: the same for the same seed, code words told and asked for, interference by share."""

from __future__ import annotations

import pytest

from loadtests.errors import ConfigError
from loadtests.prompts import Expect, Expectation, Interference, Prompt, Prompter, check

NEVER = Interference()


def prompter(*prompts: str | Prompt, seed: int = 1, user: int = 0, **how: Interference) -> Prompter:
    return Prompter(prompts, seed, user, how.get("cancel", NEVER), how.get("overlap", NEVER))


def test_prompts_come_in_turn_and_users_begin_at_different_ones() -> None:
    said = [next(prompter("a", "b", "c", user=user).ask().content for _ in range(1)) for user in range(3)]
    assert sorted(said) == ["a", "b", "c"]
    one = prompter("a", "b")
    assert [one.ask().content for _ in range(4)] == ["b", "a", "b", "a"]


def test_a_code_word_is_told_and_then_expected() -> None:
    one = prompter(Prompt("what was it?", Expect(recalls=True)), Prompt("it is {nonce}"))
    first = one.ask()
    told = first.content.removeprefix("it is ")
    first.tells.known = True
    asked = one.ask()
    assert len(told) == 10
    assert asked.expect.met_by(f"it was {told}, I think")
    assert not asked.expect.met_by("it was 0000000000, I think")


def test_an_expectation_of_a_code_word_is_void_before_one_was_told() -> None:
    asked = prompter(Prompt("what was it?", Expect(recalls=True))).ask()
    assert asked.expect.met_by("no idea")


def test_a_code_word_is_not_expected_of_a_backend_that_never_served_its_telling() -> None:
    one = prompter(Prompt("what was it?", Expect(recalls=True)), Prompt("it is {nonce}"))
    one.ask()
    assert one.ask().expect.met_by("no idea")


def test_each_telling_makes_a_new_code_word() -> None:
    one = prompter(Prompt("it is {nonce}"))
    assert one.ask().content != one.ask().content


@pytest.mark.parametrize(
    ("expect", "answer", "met"),
    [
        (Expect(min_chars=5), "12345", True),
        (Expect(min_chars=5), "1234", False),
        (Expect(pattern=r"\d+ euro"), "that is 12 euro", True),
        (Expect(pattern=r"\d+ euro"), "that is dear", False),
        (Expect(), "", True),
    ],
)
def test_an_answer_is_held_to_length_and_pattern(expect: Expect, answer: str, met: bool) -> None:
    assert Expectation(expect, "").met_by(answer) is met


def test_shares_of_turns_are_cancelled_and_overlapped_within_their_times() -> None:
    one = prompter(
        "a", cancel=Interference(share=0.2, after_ms=(10, 20)), overlap=Interference(share=0.3, after_ms=(30, 40))
    )
    asks = [one.ask() for _ in range(2000)]
    cancelled = [ask for ask in asks if ask.cancel_after_ms >= 0]
    overlapped = [ask for ask in asks if ask.second_after_ms >= 0]
    assert 0.15 < len(cancelled) / len(asks) < 0.25
    assert 0.25 < len(overlapped) / len(asks) < 0.35
    assert all(10 <= ask.cancel_after_ms <= 20 for ask in cancelled)
    assert all(30 <= ask.second_after_ms <= 40 and ask.second for ask in overlapped)
    assert not [ask for ask in cancelled if ask.second_after_ms >= 0]


def test_the_same_seed_and_user_say_the_same() -> None:
    def said(seed: int) -> list[str]:
        one = prompter(Prompt("it is {nonce}"), seed=seed)
        return [one.ask().content for _ in range(5)]

    assert said(1) == said(1) != said(2)


def test_a_pattern_that_is_none_is_named_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"prompts\[1\]\.expect\.pattern"):
        check(["a", Prompt("b", Expect(pattern="("))], "my.yaml")
