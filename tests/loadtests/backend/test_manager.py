"""Delivery: live, kept and flushed in order, retried while a connection may still take it, handed over whole."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.backend.manager import FLUSH_MS, OVERTAKEN_MS, RETRY_MS, TRY_AGAIN_LATER, Parcel


def parcel(link: Any, seq: int) -> Parcel:
    return Parcel(frame=b'{"type":"x","seq":%d}' % seq, kind="x", stream=link.stream, seq=seq)


def numbers(link: Any) -> list[int]:
    return [f.get("seq") or f["data"]["seq"] for f in link.sent if f["type"] == "x"]


@pytest.fixture
def manager(stage: Any) -> Any:
    return stage.backend.manager


def test_a_live_connection_gets_it_at_once(stage: Any, manager: Any) -> None:
    link = stage.join()
    assert manager.post(parcel(link, 1))
    assert numbers(link) == [1]


def test_without_credentials_or_cursor_what_finds_no_connection_is_gone(stage: Any, manager: Any) -> None:
    link = stage.join(cursor=False)
    stage.cut(link)
    assert not manager.post(parcel(link, 1))


def test_a_known_user_s_events_are_kept_and_flushed_in_order_after_the_welcome(stage: Any, manager: Any) -> None:
    link = stage.join("ann", cursor=False)
    manager.post(parcel(link, 1))
    manager.post(parcel(link, 2))
    stage.cut(link, unsent=1)
    manager.post(parcel(link, 3))
    back = stage.join("ann", cursor=False)
    assert numbers(back) == []
    stage.run(FLUSH_MS - 1)
    manager.post(parcel(link, 4))
    assert numbers(back) == []
    stage.run(1)
    assert (numbers(link), numbers(back)) == ([1], [2, 3, 4])
    flushed = [f for f in back.sent if f["type"] == "x"]
    assert all(f["recovered"] is True and f["critical"] is True and f["data"]["type"] == "x" for f in flushed)
    manager.post(parcel(link, 5))
    assert back.sent[-1] == {"type": "x", "seq": 5}


def test_a_failed_flush_keeps_the_live_frames_for_the_next_time(stage: Any, manager: Any) -> None:
    link = stage.join("ann", cursor=False)
    stage.cut(link)
    for seq in (1, 2, 3):
        manager.post(parcel(link, seq))
    back = stage.join("ann", cursor=False)
    stage.run(FLUSH_MS)
    stage.cut(back, unsent=2)
    last = stage.join("ann", cursor=False)
    stage.run(FLUSH_MS)
    assert (numbers(back), numbers(last)) == ([1], [2, 3])
    assert all(f["data"] == {"type": "x", "seq": f["data"]["seq"]} for f in last.sent if f["type"] == "x")


def test_a_full_connection_is_tried_again_and_gets_all_in_order(stage: Any, manager: Any) -> None:
    for user, cursor in (("", True), ("ann", False)):
        link = stage.join(user, cursor=cursor)
        link.full = True
        manager.post(parcel(link, 1))
        stage.run(RETRY_MS[0])
        link.full = False
        manager.post(parcel(link, 2))
        stage.run(RETRY_MS[1])
        assert numbers(link) == [1, 2]


def test_a_connection_that_never_takes_it_is_closed_after_the_last_try(stage: Any, manager: Any) -> None:
    link = stage.join()
    link.full = True
    manager.post(parcel(link, 1))
    stage.run(sum(RETRY_MS) - 1)
    assert link.closed is None
    stage.run(1)
    assert link.closed is not None
    assert link.closed[0] == TRY_AGAIN_LATER


def test_a_retry_goes_to_the_connection_that_the_user_has_now(stage: Any, manager: Any) -> None:
    old, new = stage.join("ann", cursor=False), stage.join("ann", cursor=False)
    manager.post(parcel(old, 1))
    stage.cut(old, unsent=1)
    stage.run(RETRY_MS[0])
    assert (numbers(old), numbers(new)) == ([], [1])


def test_two_connections_of_one_user_each_get_their_own_events(stage: Any, manager: Any) -> None:
    one, two = stage.join("ann", cursor=False), stage.join("ann", cursor=False)
    manager.post(parcel(one, 1))
    manager.post(parcel(two, 2))
    assert (numbers(one), numbers(two)) == ([1], [2])


def test_a_taken_over_stream_leaves_its_former_connection_with_nothing_more(stage: Any, manager: Any) -> None:
    old, new = stage.join(), stage.join()
    stream = old.stream
    manager.take_over(new, stream, [parcel(old, 1)])
    assert old.closed == (1001, "resumed on another connection")
    manager.post(Parcel(frame=b'{"type":"x","seq":2}', kind="x", stream=stream, seq=2))
    assert (numbers(old), numbers(new), new.stream) == ([], [1, 2], stream)
    stage.backend.lost(old, [], cut=True)
    manager.post(Parcel(frame=b'{"type":"x","seq":3}', kind="x", stream=stream, seq=3))
    assert numbers(new) == [1, 2, 3]


def test_who_stays_away_is_forgotten_and_who_is_here_is_not(stage: Any, manager: Any) -> None:
    here, gone = stage.join("ann", cursor=False), stage.join("bob", cursor=False)
    stage.cut(gone)
    stage.run(10_000)
    assert manager.sweep(60.0) == []
    stage.run(60_000)
    assert manager.sweep(60.0) == [gone.stream]
    assert manager.post(parcel(here, 1))
    assert not manager.post(parcel(gone, 1))


def test_a_connection_owns_its_stream_until_it_is_gone_or_another_takes_it(stage: Any, manager: Any) -> None:
    old, new = stage.join(), stage.join()
    stream = old.stream
    assert manager.owns(old)
    manager.take_over(new, stream, [])
    assert (manager.owns(old), manager.owns(new)) == (False, True)
    stage.cut(new)
    assert not manager.owns(new)


def test_a_broadcast_reaches_every_other_client_once(stage: Any, manager: Any) -> None:
    ann, bob, eve = (stage.join(user) for user in ("ann", "bob", "eve"))
    assert manager.broadcast(Parcel(frame=b'{"type":"x","seq":7}'), but=ann)
    assert (numbers(ann), numbers(bob), numbers(eve)) == ([], [7], [7])
    stage.cut(bob)
    stage.cut(eve)
    assert not manager.broadcast(Parcel(frame=b'{"type":"x","seq":8}'), but=ann)


def test_the_first_event_kept_for_a_user_is_known(stage: Any, manager: Any) -> None:
    link = stage.join("ann", cursor=False)
    assert manager.kept_for(link) is None
    stage.cut(link)
    for seq in (1, 2):
        manager.post(parcel(link, seq))
    assert manager.kept_for(stage.join("ann", cursor=False)).seq == 1


def test_what_could_not_be_sent_and_is_no_event_is_not_kept(stage: Any, manager: Any) -> None:
    stage.cut(stage.join("ann", cursor=False), unsent=1)
    assert manager.kept_for(stage.join("ann", cursor=False)) is None


def hold(manager: Any, link: Any) -> None:
    manager.hold_back(
        link.stream, [parcel(link, 1), parcel(link, 2)], frozenset({"x"}), frozenset({"end"}), lambda: None
    )


def test_what_is_held_back_is_overtaken_by_an_event_of_the_right_kind(stage: Any, manager: Any) -> None:
    link = stage.join()
    hold(manager, link)
    frame = b'{"type":"x","seq":3}'
    assert manager.post(Parcel(frame=frame, kind="other", stream=link.stream, seq=3))
    assert numbers(link) == []
    manager.post(parcel(link, 4))
    stage.run(OVERTAKEN_MS)
    assert numbers(link) == [4, 1, 2, 3]


def test_what_is_held_back_comes_before_an_end_and_never_later_than_its_time(stage: Any, manager: Any) -> None:
    one, two = stage.join(), stage.join()
    hold(manager, one)
    hold(manager, two)
    manager.post(Parcel(frame=b'{"type":"x","seq":3}', kind="end", stream=one.stream, seq=3))
    assert numbers(one) == [1, 2, 3]
    stage.run(OVERTAKEN_MS - 1)
    assert numbers(two) == []
    stage.run(1)
    assert numbers(two) == [1, 2]


def test_what_is_held_back_dies_with_its_connection(stage: Any, manager: Any) -> None:
    link = stage.join()
    hold(manager, link)
    back = stage.join()
    stream = link.stream
    stage.cut(link)
    manager.take_over(back, stream, [parcel(link, 1), parcel(link, 2)])
    stage.run(OVERTAKEN_MS)
    manager.post(Parcel(frame=b'{"type":"x","seq":3}', kind="x", stream=stream, seq=3))
    assert numbers(back) == [1, 2, 3]
