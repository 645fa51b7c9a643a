"""Types and versions as they were on the wire."""

from __future__ import annotations

from loadtests.history import Flag
from reports.wire import MOST, types, versions
from tests.reports.plainrows import History


def test_suspicious_types_come_first_then_the_frequent() -> None:
    history = History()
    for at in range(5):
        history.event(1, "agent_started", at)
    for at in range(9):
        history.event(1, "agent_thinking", at)
    history.event(2, "agent_completed", 10, raw="agent_finished", flags=int(Flag.DEPRECATED))
    history.event(3, "", 11, raw="chat_message", flags=int(Flag.LEGACY))
    history.event(4, "", 12, raw="agent_mood", session=6, flags=int(Flag.UNAPPROVED | Flag.RECOVERED))
    history.event(4, "", 13, raw="agent_mood", flags=int(Flag.UNAPPROVED))
    found, of = types(history.data())
    assert of == 5
    assert [(one.type, one.standing, one.event, one.frames) for one in found] == [
        ("agent_mood", "not approved", "", 2),
        ("chat_message", "legacy", "", 1),
        ("agent_finished", "deprecated", "agent_completed", 1),
        ("agent_thinking", "approved", "agent_thinking", 9),
        ("agent_started", "approved", "agent_started", 5),
    ]
    assert (found[0].bytes, found[0].example) == (200, "6.4")


def test_a_frame_without_a_type_or_a_turn_has_a_place_too() -> None:
    history = History()
    history.event(0xFFFF_FFFF, "", 1, session=3)
    (only,), _ = types(history.data())
    assert (only.type, only.standing, only.example) == ("(no type)", "not approved", "3")


def test_a_backend_that_makes_up_types_fills_no_page() -> None:
    history = History()
    for number in range(MOST + 5):
        history.event(1, "", number, raw=f"t{number}")
    found, of = types(history.data())
    assert (len(found), of, found[0].type) == (MOST, MOST + 5, "t0")


def test_versions_stand_in_the_order_in_which_they_came_with_their_time() -> None:
    history = History()
    for at, version, flags in (
        (1000, "1", Flag.OLD_VERSION),
        (2000, "2", 0),
        (3000, "1", Flag.OLD_VERSION),
        (4000, "3", Flag.BAD_VERSION),
    ):
        history.event(1, "agent_started", at, labels=f"version:{version}", flags=int(flags))
    history.event(1, "agent_started", 5000, labels="prompt:3")
    history.event(1, "agent_started", 6000)
    assert [(v.version, v.standing, v.frames, v.first_s, v.last_s) for v in versions(history.data())] == [
        ("1", "deprecated", 2, 1.0, 3.0),
        ("2", "accepted", 1, 2.0, 2.0),
        ("3", "not accepted", 1, 4.0, 4.0),
    ]


def test_a_version_may_stand_among_other_labels() -> None:
    history = History()
    history.event(1, "agent_started", 1, labels="node:a,version:7,agent:x")
    assert [version.version for version in versions(history.data())] == ["7"]


def test_of_nothing_there_is_nothing() -> None:
    assert types(History().data()) == ((), 0)
    assert versions(History().data()) == ()
