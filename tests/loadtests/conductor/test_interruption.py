"""A signal ends a run in order, once; whoever insists is heard."""

from __future__ import annotations

import os
import signal

import pytest

from loadtests.conductor.interruption import Interrupted, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_once_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(Interrupted), interruptible():
        os.kill(os.getpid(), number)
    assert {one: signal.getsignal(one) for one in before} == before


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_an_end_that_has_begun_is_not_ended_by_a_sigterm(first: signal.Signals) -> None:
    with interruptible():
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), first)
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_ctrl_c_is_not_eaten() -> None:
    with interruptible():
        for expected in (Interrupted, KeyboardInterrupt):
            with pytest.raises(expected):
                os.kill(os.getpid(), signal.SIGINT)
