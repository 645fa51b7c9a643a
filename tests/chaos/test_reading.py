"""What a canary's sightings say about one window."""

from __future__ import annotations

import pytest

from chaos.faults import Acted, parse_fault
from chaos.reading import Burst, Marks, Ping, Sightings, Try, acted, read, spans

MS = 1_000_000
MARKS = Marks(1000 * MS, 1010 * MS, 2000 * MS, 2010 * MS)


def seen(pings=(), ended=None, **more):
    return Sightings(
        [Ping(sent * MS, answered * MS) for sent, answered in pings], ended=ended and (ended * MS, "eof"), **more
    )


def tried(*rows, how="request"):
    return [Try(how, begun * MS, end * MS, outcome, float(end - begun)) for begun, end, outcome in rows]


def test_pings_are_told_apart_by_when_they_were_sent():
    pings = [(100, 101), (995, 1500), (1005, 1405), (1100, 1300), (1900, 2005), (1950, 0), (2005, 2006), (2020, 2021)]
    before, during = read(seen(pings), [], MARKS)
    assert before.round_trips_ms == (1.0,)
    assert during.answered_ms == (200.0,)
    assert during.held_ms == (105.0,)
    assert during.lost == 1
    assert during.after_ms == (1.0,)


def test_each_way_has_its_own_time_where_the_backend_says_when_pings_arrived():
    rows = [
        (100, 104, 101),
        (200, 204, 203),
        (300, 304, 0),
        (1100, 1300, 1290),
        (1400, 0, 1402),
        (1500, 2020, 2015),
        (1600, 0, 0),
    ]
    pings = [Ping(sent * MS, answered * MS, arrived * MS) for sent, answered, arrived in rows]
    before, during = read(Sightings(pings), [], MARKS)
    assert (before.up_ms, before.down_ms) == ((1.0, 3.0), (3.0, 1.0))
    assert (during.up_ms, during.down_ms) == ((190.0,), (10.0,))
    assert during.reached == 1


@pytest.mark.parametrize(
    ("late", "reached"),
    [
        ([(1200, 2900, 2060)], 0),  # it had the time, and came after the end
        ([(1200, 2900, 1999)], 1),
        ([(1400, 2900, 0)], None),  # 600 ms and some slack are more than was left
        ([(1299, 2900, 0)], 0),
        ([(1300, 2900, 0)], None),
        ([], None),
    ],
    ids=str,
)
def test_only_what_had_the_time_to_arrive_tells_whether_it_did(late, reached):
    rows = [(100, 900, 700), (110, 200, 120), *late]
    pings = [Ping(sent * MS, answered * MS, arrived * MS) for sent, answered, arrived in rows]
    assert read(Sightings(pings), [], MARKS)[1].reached == reached


def test_what_arrived_after_another_fault_had_begun_did_not_arrive_in_time():
    marks = Marks(1000 * MS, 1010 * MS, 2000 * MS, 2010 * MS, until_ns=1800 * MS)
    pings = [Ping(100 * MS, 104 * MS, 101 * MS), Ping(1200 * MS, 2900 * MS, 1900 * MS)]
    assert read(Sightings(pings), [], marks)[1].reached == 0


def test_a_jam_down_is_seen_though_the_way_up_is_slow():
    """Under a latency of 800 ms and more each way, a window of a second."""
    marks = Marks(10_000 * MS, 10_010 * MS, 11_000 * MS, 11_010 * MS)
    slow = [Ping(at * MS, (at + 1600) * MS, (at + 700 + at % 260) * MS) for at in range(5_000, 8_400, 170)]
    held = [Ping(at * MS, (at + 2500) * MS, (at + 800) * MS) for at in range(10_020, 11_000, 250)]
    before, during = read(Sightings([*slow, *held]), [], marks)
    bite = parse_fault({"kind": "jam", "direction": "down"}, "", "").judge(before, during)
    assert (bite.effect, bite.measured["direction"]) == ("confirmed", "read back, not measured")


def test_a_large_ping_of_which_the_backend_tells_nothing_has_not_failed_to_arrive():
    pings = [Ping(100 * MS, 104 * MS, 101 * MS), Ping(1200 * MS, 2900 * MS, wide=True)]
    assert read(Sightings(pings), [], MARKS)[1].reached is None


def test_who_knew_nothing_before_is_not_asked_what_arrived_since():
    pings = [Ping(100 * MS, 104 * MS), Ping(1400 * MS, 0, 1402 * MS)]
    assert read(Sightings(pings), [], MARKS)[1].reached is None


def test_the_baseline_is_the_last_two_seconds_before():
    before, _ = read(seen([(i, 2 * i) for i in range(1, 100)]), [], MARKS)
    assert len(before.round_trips_ms) == 20
    assert before.round_trips_ms[-1] == 99.0


@pytest.mark.parametrize(
    ("ended", "where"), [(None, ""), (999, "before"), (1005, "window"), (1999, "window"), (2001, "heal")]
)
def test_when_the_connection_ended(ended, where):
    assert read(seen(ended=ended), [], MARKS)[1].ended == where


def test_only_new_connections_wholly_inside_the_window_count():
    rows = tried((100, 101, "answered"), (990, 1020, "eof"), (1020, 1021, "refused"), (1990, 2001, "silent"))
    before, during = read(seen(), rows, MARKS)
    assert (before.fresh, during.fresh) == ("answered", ("refused",))


def test_half_closes_are_no_new_connections_that_were_answered():
    rows = tried((100, 102, "closed"), (1100, 1600, "closed"), (1700, 1900, "silent"), how="close")
    before, during = read(seen(), rows, MARKS)
    assert (before.close_ms, before.fresh, during.fresh) == (2.0, "", ())
    assert during.closes_ms == (500.0, float("inf"))
    assert during.close_waited_ms == 500.0


def test_bursts_and_large_pings_have_figures_of_their_own():
    wide = [Ping(500 * MS, 502 * MS, wide=True, reads=1), Ping(1100 * MS, 1120 * MS, wide=True, reads=16)]
    bursts = [
        Burst("down", 300 * MS, 16_000, 301 * MS),
        Burst("down", 1200 * MS, 8_000, 1700 * MS),
        Burst("up", 1300 * MS, 8_000),
    ]
    sightings = Sightings([*wide, Ping(1200 * MS, 1700 * MS, burst=True)], bursts)
    before, during = read(sightings, [], MARKS)
    assert (before.reads, before.rate_down, before.rate_up) == ((1,), 16e6, None)
    assert (during.reads, during.wide_ms, during.answered_ms) == ((16,), (20.0,), ())
    assert (during.rate_down, during.rate_up) == (16_000.0, None)


def test_bytes_are_counted_inside_the_window():
    sightings = Sightings(
        received=[(900 * MS, 7), (1100 * MS, 500), (2000 * MS, 9)], sent=[(1005 * MS, 1), (1200 * MS, 40)]
    )
    during = read(sightings, [], MARKS)[1]
    assert (during.bytes_down, during.bytes_up) == (500, 40)


def test_another_fault_ends_the_sight_of_this_one():
    marks = Marks(1000 * MS, 1010 * MS, 2000 * MS, 2010 * MS, until_ns=1500 * MS)
    during = read(seen([(1100, 1200), (1450, 1600), (1600, 1601), (1700, 0)]), [], marks)[1]
    assert (during.answered_ms, during.held_ms, during.lost) == ((100.0,), (), 0)


def test_the_baseline_is_taken_while_the_same_others_were_active():
    assert spans([(500, 0), (600, 700)], 1000) == ((500, 600), (700, 1000))
    assert spans([(600, 700)], 1000) == ((0, 600), (700, 1000))
    marks = Marks(1000 * MS, 1010 * MS, 2000 * MS, 2010 * MS, before=((500 * MS, 600 * MS), (700 * MS, 1000 * MS)))
    before, _ = read(seen([(100, 101), (510, 512), (610, 615), (690, 705), (710, 713)]), [], marks)
    assert before.round_trips_ms == (2.0, 3.0)


def test_acts_of_all_processes_are_added_up():
    lines = [
        {"id": "w1", "act": "begin", "sessions": [1, 2], "of": 5},
        {"id": "w1", "act": "begin", "sessions": [7], "of": 4},
        {"id": "w1", "act": "end", "sessions": [1, 2], "held_bytes": 100},
        {"id": "w1", "act": "end", "sessions": [7], "held_bytes": 20},
        {"id": "w2", "act": "begin", "sessions": [3], "of": 5},
        {"id": "w1", "act": "begin", "sessions": "hostile", "of": "many"},
    ]
    assert acted(lines, "w1") == Acted(lines=3, sessions=3, ended=3, of=9, held_bytes=120)
    assert acted(lines, "w9") == Acted()
