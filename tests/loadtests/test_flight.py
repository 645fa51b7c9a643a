"""A turn in flight keeps the frames that a person will read, and no more than they can."""

from __future__ import annotations

from loadtests.flight import FRAME_CAP_BYTES, KEPT_FRAMES, Flight


def test_late_frames_push_earlier_late_ones_out() -> None:
    flight = Flight(1, "t", 0, 0, b"m")
    for number in range(KEPT_FRAMES + 5):
        flight.keep_late(number, number, b"x")
    assert flight.tail is not None
    assert [row for row, *_ in flight.tail] == list(range(5, KEPT_FRAMES + 5))


def test_a_long_frame_is_held_in_part_and_its_size_whole() -> None:
    flight = Flight(1, "t", 0, 0, b"m")
    flight.keep_late(1, 1, b"x" * (FRAME_CAP_BYTES + 1))
    assert flight.tail is not None
    _, _, held, size = flight.tail[0]
    assert (len(held), size) == (FRAME_CAP_BYTES, FRAME_CAP_BYTES + 1)
