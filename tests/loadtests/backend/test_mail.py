"""Letters between nodes: they arrive, rubbish harms nobody, and who is dead is known to be."""

from __future__ import annotations

import asyncio
import secrets
import socket

from loadtests.backend.mail import Mail


def test_a_letter_arrives_and_a_dead_node_is_known_at_once() -> None:
    async def scene() -> None:
        secret = secrets.token_hex(8)
        letters: asyncio.Queue[list[str]] = asyncio.Queue()
        one, other = Mail(secret, "one", letters.put_nowait), Mail(secret, "other", letters.put_nowait)
        assert one.send("other", "want", "o", "one")
        async with asyncio.timeout(5):
            assert await letters.get() == ["want", "o", "one"]
        other.close()
        assert not one.send("other", "want", "o", "one")
        assert not one.send("nobody")
        one.close()

    asyncio.run(scene())


def test_one_that_does_not_read_lives_and_rubbish_is_thrown_away() -> None:
    async def scene() -> None:
        secret = secrets.token_hex(8)
        letters: asyncio.Queue[list[str]] = asyncio.Queue()
        one, other = Mail(secret, "one", letters.put_nowait), Mail(secret, "other", lambda _: None)
        asyncio.get_running_loop().remove_reader(other._socket)
        assert all(one.send("other", "x" * 10_000) for _ in range(1_000))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            for rubbish in (b"", b"\xff", b"{}", b'[1, {"a": 2}]'):
                stranger.sendto(rubbish, one._address("one"))
        assert other.send("one", "after")
        async with asyncio.timeout(5):
            assert await letters.get() == ["after"]
        one.close()
        other.close()

    asyncio.run(scene())
