"""Whoever is connected to the target itself is noticed, in the load's first process and in its children; others are not."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from loadtests.conductor.bypass import FIRST_S, LATER, Bypass

CONNECT = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print(flush=True); sys.stdin.read()"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


@pytest.fixture
def target() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture(params=["itself", "child"])
def load(request: pytest.FixtureRequest, target: tuple[str, int]) -> Iterator[int]:
    """A process that is connected to the target, or whose child is."""
    words = [CONNECT, str(target[1])] if request.param == "itself" else [PARENT, CONNECT, str(target[1])]
    with subprocess.Popen(
        [sys.executable, "-c", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process.pid
        process.communicate(timeout=10)


def test_users_beside_the_listeners_are_counted_and_the_address_is_named(load: int, target: tuple[str, int]) -> None:
    said = Bypass(load, target, {"treated": ("127.0.0.1", 1)}, now_s=0.0).trouble(FIRST_S)
    assert "1 connections go to" in said
    assert f"127.0.0.1:{target[1]} itself" in said


def test_users_on_the_listeners_are_where_they_should_be(load: int, target: tuple[str, int]) -> None:
    assert not Bypass(load, ("localhost", 1), {"treated": target}, now_s=0.0).trouble(FIRST_S)


def test_without_listeners_everybody_may_go_there(load: int, target: tuple[str, int]) -> None:
    assert not Bypass(load, target, {}, now_s=0.0).trouble(FIRST_S)


def test_it_looks_seldom(load: int, target: tuple[str, int]) -> None:
    bypass = Bypass(load, target, {"treated": ("127.0.0.1", 1)}, now_s=0.0)
    times = [FIRST_S / 2, FIRST_S, FIRST_S + 1.9 * LATER / 2, FIRST_S + LATER]
    assert [bool(bypass.trouble(at)) for at in times] == [False, True, False, True]


def test_a_load_that_is_gone_goes_nowhere(target: tuple[str, int]) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not Bypass(process.pid, target, {"treated": ("127.0.0.1", 1)}, now_s=0.0).trouble(FIRST_S)
