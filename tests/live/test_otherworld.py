"""The servers of other protocols are what they are taken for: their frames, their seeds, and faults that strike once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ag_ui.core import BaseEvent, Event, RunAgentInput
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from loadtests.contract import load
from tests.live import agui_server, graphql_server
from tests.live.otherworld import FAULTS, Agent, Fault, ModelGoneError, Spoiler, served

RUN = "run_1"
ASKED = RunAgentInput.model_validate({"threadId": "t", "runId": RUN, "messages": []})
EVENT: TypeAdapter[BaseEvent] = TypeAdapter(Event)
#: with these every frame goes out as it is: the agent itself is what is wrong
OF_THE_AGENT = ("none", "leaked", "raises")
SENT = {
    "lost-event": -1, "doubled-event": 1, "event-after-end": 1, "never-ends": -1, "swapped": 0, "wrong-tool-id": 0,
    "lost-chunk": -1, "wrong-type": 0,
}  # fmt: skip
#: strikes what only AG-UI has
OF_AGUI = {"lost-tool-end": -1}
#: a run of each shape
RUNS = {"run_1": "plain", "run_2": "interleaved", "run_5": "chunks"}

Frames = list[dict[str, Any]]


def agui_frames(run: str = RUN) -> Frames:
    asked, acts = ASKED.model_copy(update={"run_id": run}), Agent(1, "none").answer(run, "t", "what?")
    return [agui_server.wire(event) for act in acts for event in agui_server.events_of(act, asked)]


def graphql_frames() -> Frames:
    def told(number: int, act: Any) -> dict[str, Any]:
        event = graphql_server.event_of(act, RUN, number)
        chat = {
            "__typename": type(event).__name__,
            "eventId": event.event_id,
            "callId": getattr(event, "call_id", None),
        }
        return {"id": RUN, "type": "next", "payload": {"data": {"chat": chat}}}

    frames = [told(number, act) for number, act in enumerate(Agent(1, "none").answer(RUN, "t", "what?"))]
    return [*frames, {"id": RUN, "type": "complete"}]


@pytest.fixture(params=["agui", "graphql"])
def world(request: pytest.FixtureRequest) -> tuple[Any, Frames]:
    return (agui_server, agui_frames()) if request.param == "agui" else (graphql_server, graphql_frames())


def spoiled(world: tuple[Any, Frames], fault: Fault) -> Frames:
    module, frames = world
    spoiler = Spoiler(fault, module.SPELLING)
    return [out for frame in frames for out in spoiler.pass_on(frame)]


def test_the_same_seed_thinks_says_and_waits_the_same_and_another_does_not() -> None:
    told = [list(Agent(seed, "none").answer(RUN, "t", "what?")) for seed in (1, 1, 2)]
    assert told[0] == told[1] != told[2]


def test_tools_are_several_and_sometimes_open_at_once() -> None:
    kinds = [[act.kind for act in Agent(1, "none").answer(f"run_{n}", "t", "what?")] for n in range(20)]
    assert {one.count("called") for one in kinds} == {2, 3}
    together = {one[one.index("called") + 1] == "called" for one in kinds}
    assert together == {True, False}


@pytest.mark.parametrize("fault", OF_THE_AGENT)
def test_what_the_agent_does_wrong_is_not_done_on_the_wire_too(world: tuple[Any, Frames], fault: Fault) -> None:
    assert spoiled(world, fault) == world[1]


@pytest.mark.parametrize("fault", SENT)
def test_a_fault_strikes_once_a_turn(world: tuple[Any, Frames], fault: Fault) -> None:
    out = spoiled(world, fault)
    assert len(out) - len(world[1]) == SENT[fault]
    assert out != world[1]
    new = [frame for frame in out if frame not in world[1]]
    assert len(new) == (1 if fault in {"event-after-end", "wrong-tool-id", "wrong-type"} else 0)


@pytest.mark.parametrize("fault", OF_AGUI)
def test_a_fault_of_one_protocol_strikes_once_a_turn(fault: Fault) -> None:
    frames = agui_frames()
    out = spoiled((agui_server, frames), fault)
    assert len(out) - len(frames) == OF_AGUI[fault]
    assert [frame for frame in out if frame not in frames] == []


def test_every_fault_is_tested_here_and_mute_says_nothing(world: tuple[Any, Frames]) -> None:
    assert set(FAULTS) == {*OF_THE_AGENT, *SENT, *OF_AGUI, "mute"}
    assert spoiled(world, "mute") == []


def test_a_leaking_agent_tells_what_another_thread_asked() -> None:
    agent = Agent(1, "leaked")
    list(agent.answer(RUN, "first", "my secret"))
    assert any("my secret" in act.text for act in agent.answer("run_2", "second", "what?"))


def test_an_agent_that_raises_does_so_in_the_middle_of_a_turn() -> None:
    acts: Iterator[Any] = Agent(1, "raises").answer(RUN, "t", "what?")
    with pytest.raises(ModelGoneError):
        list(acts)


def test_a_run_of_each_shape_is_tried_here() -> None:
    assert {run: agui_server.shape_of(run) for run in RUNS} == RUNS
    assert set(RUNS.values()) == set(agui_server.SHAPES)


@pytest.mark.parametrize("run", RUNS)
def test_every_event_of_the_ag_ui_server_is_one_of_the_protocol_and_in_the_contract(run: str) -> None:
    known = load("ag-ui")
    for frame in agui_frames(run):
        assert EVENT.validate_python(frame).type == frame["type"]
        assert known.decode(json.dumps(frame).encode())[:3] == (known.by_name[frame["type"]].index, 0, 0)


@pytest.fixture(scope="module")
def graphql() -> Iterator[str]:
    with served("graphql_server", "--ping-s", "0.3") as url:
        yield url


@contextmanager
def opened(url: str) -> Iterator[ClientConnection]:
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as client:
        client.send('{"type":"connection_init"}')
        assert json.loads(client.recv(timeout=30)) == {"type": "connection_ack"}
        yield client


@pytest.mark.live
def test_the_graphql_server_speaks_to_nobody_without_its_subprotocol(graphql: str) -> None:
    with connect(graphql) as client, pytest.raises(ConnectionClosed) as caught:
        client.recv(timeout=30)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4406


@pytest.mark.live
@pytest.mark.parametrize("answers", [True, False])
def test_the_graphql_server_hangs_up_on_who_does_not_answer_its_pings(graphql: str, *, answers: bool) -> None:
    pings, closed = 0, 0
    with opened(graphql) as client:
        try:
            while pings < 4:
                assert json.loads(client.recv(timeout=30)) == {"type": "ping"}
                pings += 1
                if answers:
                    client.send('{"type":"pong"}')
        except ConnectionClosed as error:
            closed = error.rcvd.code if error.rcvd else -1
    assert (pings, closed) == ((4, 0) if answers else (1, 4408))


@pytest.mark.live
def test_the_query_of_the_contract_is_one_that_the_schema_accepts(graphql: str) -> None:
    """All events of a turn come, and the contract approves each."""
    known = load("graphql-transport-ws")
    values = {"content": "what?", "thread": "t", "turn": RUN, "message": "m", "now": ""}
    with opened(graphql) as client:
        client.send(known.message.render(values).decode())
        frames = [b""]
        while frames[-1] != b'{"id":"run_1","type":"complete"}':
            frames.append(str(client.recv(timeout=30)).encode())
            if frames[-1] == b'{"type":"ping"}':  # on a busy machine a turn outlives the server's patience
                client.send('{"type":"pong"}')
    seen = [known.decode(frame) for frame in frames[1:]]
    assert {one[1:3] for one in seen} == {(0, 0)}
    assert {known.events[one[0] - 1].name for one in seen} >= {rule.name for rule in known.demanded}
