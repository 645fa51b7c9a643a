"""What moves between nodes: a turn goes on elsewhere where it was, and whoever owns it notices nothing but another name."""

from __future__ import annotations

import pytest

from loadtests.backend.estate import Estate
from loadtests.backend.eventlog import Turn
from loadtests.backend.manager import Parcel
from loadtests.backend.script import Ask, Step
from loadtests.backend.threads import Run
from tests.loadtests.backend.conftest import FakeLink
from tests.loadtests.backend.town import Town


def seqs(*links: FakeLink) -> list[int]:
    return [event["seq"] for link in links for event in link.events]


def ends(*links: FakeLink) -> list[str]:
    found = [event for link in links for event in link.events]
    return [e["type"] for e in found if e["type"] == "agent_error" or "final_response" in e]


def test_an_estate_survives_its_bytes() -> None:
    turn = Turn(owner="o", stream="s", user="u", thread="t", run="r", message="m")
    ask = Ask(message_id="m", run_id="r", thread_id="t", content="?", earlier=("a",))
    step = Step(
        delay_ms=1.5, role="thinking", agent="supervisor", body={"reasoning": "hm", "n": [1]}, raw_frame=b"\xff"
    )
    run = Run(turn, ask, (step,), at=1, epoch=2, begun=True, wedged=True)
    estate = Estate(runs=(run,), kept=(Parcel(frame=b"\xfe", stream="s", seq=3),))
    again = Estate.decode(estate.encode())
    (back,) = again.runs
    assert again.kept == estate.kept
    assert (back.turn, back.ask, back.script, back.at, back.epoch) == (turn, ask, (step,), 1, 2)
    assert (back.begun, back.wedged) == (True, True)
    assert bool(again)
    assert not Estate()


def test_a_turn_goes_on_at_the_node_where_its_client_comes_back() -> None:
    town = Town()
    link = town.one.join()
    town.one.ask(link)
    town.time.run(30)
    town.one.cut(link)
    back = town.other.join()
    town.other.resume(back, link.stream, len(link.events))
    town.time.run()
    assert seqs(link, back) == [*range(1, len(seqs(link, back)) + 1)]
    assert len(ends(link, back)) == 1
    assert (town.one.backend.agents.running, town.other.backend.agents.running) == (0, 0)


def test_what_waited_behind_a_turn_still_comes_after_it() -> None:
    town = Town()
    link = town.one.join()
    for message in ("m1", "m2", "m3"):
        town.one.ask(link, message)
    town.time.run(30)
    back = town.other.join()
    town.other.resume(back, link.stream, len(link.events))
    town.time.run()
    assert link.closed == (1001, "resumed on another connection")
    order = [event["run_id"] for event in (*link.events, *back.events) if "final_response" in event]
    assert order == ["run_m1", "run_m2", "run_m3"]
    assert seqs(link, back) == [*range(1, len(seqs(link, back)) + 1)]


def test_there_and_back_again_the_first_node_knows_what_happened_meanwhile() -> None:
    town = Town()
    link = town.one.join()
    town.one.ask(link, "m1")
    town.time.run()
    there = town.other.join()
    town.other.resume(there, link.stream, len(link.events))
    town.other.ask(there, "m2")
    town.time.run()
    back = town.one.join()
    town.one.resume(back, link.stream, len(seqs(link, there)))
    for message in ("m1", "m2", "m3"):
        town.one.ask(back, message)
    town.time.run()
    assert seqs(link, there, back) == [*range(1, len(seqs(link, there, back)) + 1)]
    assert {event["run_id"] for event in back.events} == {"run_m3"}


def test_what_was_kept_for_a_user_and_what_is_still_to_come_is_his_at_the_other_node() -> None:
    town = Town()
    link = town.one.join("ann", cursor=False)
    town.one.ask(link)
    town.time.run(30)
    had = len(link.events)
    assert had
    town.one.cut(link)
    town.time.run(60)
    back = town.other.join("ann", cursor=False)
    town.time.run()
    frames = [frame["data"] if frame.get("recovered") else frame for frame in back.sent]
    rest = [frame["seq"] for frame in frames if "seq" in frame]
    assert rest == [*range(had + 1, had + 1 + len(rest))]
    assert "final_response" in frames[-1]


@pytest.mark.parametrize("cursor", [True, False])
def test_what_a_dead_node_had_under_way_ends_once_and_honestly(cursor: bool) -> None:
    town = Town()
    user = "" if cursor else "ann"
    link = town.one.join(user, cursor=cursor)
    town.one.ask(link)
    town.time.run(30)
    town.kill(town.one, town.other)
    back = town.other.join(user, cursor=cursor)
    if cursor:
        town.other.resume(back, link.stream, len(link.events))
    town.time.run()
    frames = [frame["data"] if frame.get("recovered") else frame for frame in back.sent]
    assert [frame["type"] for frame in frames if "seq" in frame] == ["agent_error"]


def test_a_node_that_knows_no_session_of_another_denies_it() -> None:
    town = Town("unknown-elsewhere")
    link = town.one.join()
    town.one.ask(link)
    town.time.run(30)
    same, elsewhere = town.one.join(), town.other.join()
    town.one.resume(same, link.stream, len(link.events))
    assert same.sent[1]["data"]["resumed"]
    town.other.resume(elsewhere, link.stream, len(link.events) + len(same.events))
    assert not elsewhere.sent[1]["data"]["resumed"]
    assert town.other.backend.planter.planted == 1


def test_an_epoch_that_is_ignored_numbers_from_one_again_and_only_elsewhere() -> None:
    town = Town("epoch-ignored")
    link = town.one.join()
    town.one.ask(link)
    town.time.run(30)
    same, elsewhere = town.one.join(), town.other.join()
    town.one.resume(same, link.stream, len(link.events))
    town.time.run(10)
    had = len(link.events) + len(same.events)
    assert seqs(link, same) == [*range(1, had + 1)]
    town.other.resume(elsewhere, link.stream, had)
    town.time.run()
    assert elsewhere.sent[1]["data"] == {"resumed": True, "stream_id": link.stream, "from_seq": had, "last_seq": 0}
    assert seqs(elsewhere)[0] == 1


def test_a_zombie_never_ends() -> None:
    town = Town("zombie-after-kill")
    link = town.one.join()
    town.one.ask(link)
    town.time.run(30)
    town.kill(town.one, town.other)
    back = town.other.join()
    town.other.resume(back, link.stream, len(link.events))
    town.time.run()
    assert back.sent[1]["data"]["resumed"]
    assert ends(link, back) == []
