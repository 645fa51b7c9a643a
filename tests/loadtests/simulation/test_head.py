from __future__ import annotations

from loadtests.simulation.head import HELLO_END, Head


def test_a_head_is_whole_once_its_blank_line_is_there_wherever_it_was_cut() -> None:
    whole = b"101 Switching" + HELLO_END + b"\x81\x02" + HELLO_END
    end = whole.index(HELLO_END) + len(HELLO_END)
    for cut in range(1, end):
        head = Head()
        assert head.feed(whole[:cut]) is None
        assert head.feed(whole[cut:]) == (b"101 Switching", whole[end:])
