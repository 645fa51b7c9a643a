"""The real dice fit the protocol that the pure parts ask for."""

from __future__ import annotations

import random

from loadtests.backend.world import Dice, World


def test_random_is_dice_and_a_world_is_what_it_was_given() -> None:
    dice: Dice = random.Random("seed")
    world = World(now_s=lambda: 1.0, schedule=lambda _ms, call: call(), new_id=str.upper, dice=lambda _key: dice)
    called: list[bool] = []
    world.schedule(1.0, lambda: called.append(True))
    assert (world.now_s(), world.new_id("st"), called) == (1.0, "ST", [True])
    assert world.dice("k").random() == random.Random("seed").random()
