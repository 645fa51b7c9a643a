from __future__ import annotations

import socket

import pytest

from chaos.ports import FALLBACK, free_port, port_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("32768\t60999\n", range(20_768, 32_768)),
        ("10000 60000", range(1_025, 10_000)),
        ("1024 65535", FALLBACK),
        ("rubbish", FALLBACK),
        ("", FALLBACK),
    ],
)
def test_ports_lie_below_the_ephemeral_range(tmp_path, text, expected):
    path = tmp_path / "ip_local_port_range"
    path.write_text(text)
    assert port_range(path) == expected


def test_a_system_that_does_not_say_gets_the_fixed_range(tmp_path):
    assert port_range(tmp_path / "missing") == FALLBACK


def test_a_free_port_can_be_listened_on():
    port = free_port()
    assert port in port_range()
    socket.create_server(("127.0.0.1", port)).close()
