"""A user on its journey, in virtual time: each kind of step, what fails it, and that every planned turn is accounted for."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from loadtests.conversation import Answer, Ask, Failure, Fetch, Hangup, Outcome, Pending, Run, Steps
from loadtests.history import End, Fate, Flag, RowKind
from loadtests.journey import JourneyStep
from loadtests.outside import Here, StepFailed
from loadtests.prompts import Expect, Interference, Prompter
from loadtests.travel import Traveller
from tests.loadtests.histories import Bench
from tests.loadtests.test_conversation import MS, STOPPABLE, Wire

IDLE = Interference()


class Road(Wire):
    """A wire whose server answers HTTP too, and where functions run at once."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.asked: list[Fetch] = []
        self.http: Callable[[], Answer | Failure] = lambda: Answer(200, '{"threads": []}')
        self.http_after_ms = self.run_waits_ms = 0.0
        self.functions: dict[str, Any] = {}
        self.mistakes: list[BaseException] = []
        self.resets: list[bool] = []

    def run(self, steps: Steps[Any]) -> Any:
        return super().run(self._answering(steps))

    def _answering(self, steps: Steps[Any]) -> Steps[Any]:
        answer: Any = None
        while True:
            try:
                request = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = self._begin(request) if isinstance(request, Fetch | Run) else (yield request)

    def _begin(self, request: Fetch | Run) -> Pending:
        pending = Pending(began_ns=self.now_ns)
        if isinstance(request, Run):
            if self.run_waits_ms:
                pending.began_ns = None
                self.at(self.now_ns / MS + self.run_waits_ms, lambda: self._called(request, pending))
            else:
                self._called(request, pending)
            return pending
        self.asked.append(request)

        def came() -> None:
            pending.result = self.http()
            self._ring()

        self.at(self.now_ns / MS + self.http_after_ms, came)
        return pending

    def _called(self, request: Run, pending: Pending) -> None:
        pending.began_ns = self.now_ns
        try:
            pending.result = Outcome(request.call())
        except Exception as error:  # noqa: BLE001  # as the shell does
            pending.result = Outcome(error=error)
        self._ring()

    def abort(self, *, reset: bool = False) -> None:
        self.resets.append(reset)
        super().abort()

    def traveller(self, text: str, **people: str) -> Traveller:
        steps = msgspec.convert(yaml.safe_load(text), list[JourneyStep])
        return Traveller(
            self.conversation, self.bench.contract, steps, Prompter(["prompt"], 1, 1, IDLE, IDLE, people or None), random.Random(1),
            user=1, person=people, functions=self.functions, failed=self.mistakes.append, now_ns=lambda: self.now_ns,
            over=lambda: self.over,
        )  # fmt: skip

    def travel(self, text: str, end_ms: int = 60_000, **people: str) -> None:
        self.run(self.traveller(text, **people).perform(self.now_ns, self.now_ns + 500 * MS, end_ms * MS))

    @property
    def said(self) -> list[str]:
        return [one["payload"]["content"].partition(" [")[0] for one in self.heard if one["type"] == "user_message"]

    @property
    def threads(self) -> list[str]:
        return [one["payload"]["thread_id"] for one in self.heard if one["type"] == "user_message"]

    def of_kind(self, kind: RowKind) -> list[Any]:
        return self.bench.rows(kind)

    @property
    def fates(self) -> list[Fate]:
        return [Fate(int(row["code"])) for row in self.of_kind(RowKind.JOURNEY)]

    def why(self, text: str) -> bool:
        """Whether the last journey's reason holds a text."""
        row = self.of_kind(RowKind.JOURNEY)[-1]
        return text in self.bench.read().strings[row["text"]]


@pytest.fixture
def road(tmp_path: Path) -> Road:
    path = tmp_path / "stoppable.yaml"
    path.write_text(STOPPABLE)
    return Road(Bench(tmp_path / "run", str(path)))


def test_steps_are_done_in_their_order_and_a_turn_is_meant_for_when_its_step_is_due(road: Road) -> None:
    road.travel(
        "[{send: 'hello {name}'}, {await: done}, {think: {ms: [300, 300]}}, {send: again}, {await: done}]", name="Ada"
    )
    first, second = road.of_kind(RowKind.SEND)
    ends = road.of_kind(RowKind.END)
    assert road.said == ["hello Ada", "again"]
    assert (first["code"], second["code"]) == (1, 4)
    assert first["intended"] == 0
    assert second["intended"] == ends[0]["received"] + 300 * MS
    (journey,) = road.of_kind(RowKind.JOURNEY)
    assert (journey["code"], journey["intended"], journey["received"]) == (Fate.DONE, 0, ends[1]["received"])


def test_a_turn_that_nobody_waits_for_has_ended_before_its_journey(road: Road) -> None:
    road.answer_after_ms = 50
    road.travel("[{send: hello}]")
    assert road.session.last_end is End.OK
    assert road.now_ns > 250 * MS


def test_a_role_is_waited_for_and_no_longer(road: Road) -> None:
    road.answer_after_ms = 100
    road.travel("[{send: hello}, {await: {role: thinking, within_ms: 250}}, {send: more}]")
    assert road.fates == [Fate.DONE]
    first, second = road.of_kind(RowKind.SEND)
    assert 200 <= (second["received"] - first["received"]) / MS < 202


def test_a_role_that_is_there_already_is_not_waited_for(road: Road) -> None:
    road.travel("[{send: hello}, {think: {ms: [500, 500]}}, {await: {role: started, within_ms: 1}}, {send: again}]")
    assert road.fates == [Fate.DONE]
    assert road.of_kind(RowKind.SEND)[1]["received"] == road.of_kind(RowKind.SEND)[0]["received"] + 500 * MS


def test_a_role_that_is_late_fails_the_journey_whose_turn_still_ends_and_whose_further_turns_are_dropped(
    road: Road,
) -> None:
    road.answer_after_ms = 100
    road.travel(
        "[{send: hello}, {await: {role: tool-open, within_ms: 250}}, {await: done}, {send: b}, {await: done}, {send: c}]"
    )
    assert road.fates == [Fate.FAILED]
    assert road.why("step 2 (await tool-open within 250 ms): not within 250 ms")
    assert [row["code"] for row in road.of_kind(RowKind.END)] == [End.OK]
    drops = road.of_kind(RowKind.DROP)
    assert [(row["code"], row["flags"]) for row in drops] == [(4, Flag.OURS), (6, Flag.OURS)]


@pytest.mark.parametrize("step", ["{await: done}", "{await: tool-close}"])
def test_a_turn_that_does_not_end_well_fails_its_journey(road: Road, step: str) -> None:
    road.silent = True
    road.travel(f"[{{send: hello}}, {step}]")
    assert road.fates == [Fate.FAILED]
    assert road.why("a turn ended: timeout")


def test_a_backend_that_goes_on_with_a_turn_that_was_stopped_fails_the_journey(road: Road) -> None:
    road.answer_after_ms = 300
    road.travel("[{send: hello}, {cancel: {after_ms: 100}}, {await: {role: done, within_ms: 100}}]")
    (cancel,) = road.of_kind(RowKind.CANCEL)
    assert cancel["received"] - road.of_kind(RowKind.SEND)[0]["received"] == 100 * MS
    assert road.fates == [Fate.FAILED]


def test_a_turn_that_has_ended_is_not_stopped(road: Road) -> None:
    road.travel("[{send: hello}, {cancel: {after_ms: 400}}, {await: done}]")
    assert (road.of_kind(RowKind.CANCEL), road.fates) == ([], [Fate.DONE])


def test_threads_are_switched_and_come_back_to(road: Road) -> None:
    say = "{send: x}, {await: done}"
    road.travel(
        f"[{say}, {{switch_thread: {{}}}}, {say}, {{switch_thread: {{}}}}, {say}, {{switch_thread: {{to: first}}}}, {say}]"
    )
    first, second, third, last = road.threads
    assert len({first, second, third}) == 3
    assert last == first
    assert all(road.session.tag in thread for thread in road.threads)


def test_what_was_told_on_a_thread_is_known_on_that_thread_alone() -> None:
    prompter = Prompter(["p"], 1, 1, IDLE, IDLE)

    def asks_for_a_word() -> bool:
        expect = prompter.ask_of("?", Expect(recalls=True)).expect
        assert expect is not None
        return not expect.met_by("no word at all")

    prompter.switch("a")
    told = prompter.ask_of("my word is {nonce}").tells
    assert told is not None
    told.known = True
    known = [asks_for_a_word()]
    for thread in ("b", "a"):
        prompter.switch(thread)
        known.append(asks_for_a_word())
    assert known == [True, False, True]


@pytest.mark.parametrize("reset", [False, True])
def test_who_disconnects_comes_back_and_its_turn_goes_on_and_is_marked(road: Road, reset: bool) -> None:
    road.answer_after_ms = 50
    road.at(500, lambda: None)
    road.travel(
        f"[{{send: hello}}, {{await: started}}, {{disconnect: {{for_ms: 60, reset: {str(reset).lower()}}}}}, {{await: done}}]"
    )
    closes = road.of_kind(RowKind.CLOSE)
    assert [(row["code"], bool(row["flags"] & Flag.OURS)) for row in closes] == [(1006 if reset else 1000, True)]
    assert any(isinstance(one, Hangup) for one in road.requests) is not reset
    assert (True in road.resets) is reset
    assert road.session.connection == 2
    (end,) = road.of_kind(RowKind.END)
    assert end["flags"] & Flag.OURS


def test_a_turn_without_a_cut_of_its_own_is_not_marked(road: Road) -> None:
    road.travel("[{send: hello}, {await: done}, {disconnect: {}}, {send: again}]")
    assert [int(row["flags"]) for row in road.of_kind(RowKind.END)] == [0, 0]
    assert road.fates == [Fate.DONE]


def test_http_goes_as_written_and_its_status_decides(road: Road) -> None:
    step = '{http: {post: "/api/{thread}", headers: {A: "Bearer {token}"}, body: {id: 1}, expect_status: [200, 201]}}'
    road.http_after_ms = 40
    road.travel(f"[{step}, {{send: hello}}]")
    (asked,) = road.asked
    assert (asked.method, asked.path, asked.headers, asked.body) == (
        "POST",
        "/api/{thread}",
        {"A": "Bearer {token}"},
        {"id": 1},
    )
    assert road.fates == [Fate.DONE]
    assert road.of_kind(RowKind.SEND)[0]["intended"] == 40 * MS
    road.http = lambda: Answer(503, "no")
    road.travel(f"[{step}, {{send: hello}}]")
    assert road.fates[1:] == [Fate.FAILED]
    assert road.why("step 1 (http POST /api/{thread}): answered 503, expected 200 or 201")
    assert [int(row["code"]) for row in road.of_kind(RowKind.DROP)] == [2]


@pytest.mark.parametrize(
    ("after_ms", "answer", "why"),
    [
        (0.0, Failure(-111, "GET /a: Connection refused"), "Connection refused"),
        (5000.0, Answer(200, ""), "no answer within 100 ms"),
    ],
)
def test_http_without_an_answer_in_time_fails_the_journey(road: Road, after_ms: float, answer: Any, why: str) -> None:
    road.http_after_ms, road.http = after_ms, lambda: answer
    road.travel("[{http: {get: /a, within_ms: 100}}, {send: hello}]")
    assert road.fates == [Fate.FAILED]
    assert road.why(why)


def test_a_turn_goes_on_while_an_answer_is_waited_for(road: Road) -> None:
    road.http_after_ms = 500
    road.at(12, road.cut)
    road.travel("[{send: hello}, {http: {get: /a}}]")
    assert (road.session.connection, road.session.last_end, road.fates) == (2, End.OK, [Fate.DONE])


def test_a_function_is_told_where_its_user_stands_and_may_give_steps(road: Road) -> None:
    seen: list[Here] = []

    def ask(here: Here) -> Iterator[dict[str, Any]]:
        seen.append(here)
        here = yield {"send": f"What did {here.person['name']} spend?"}
        here = yield {"await": "done"}
        seen.append(here)
        here.notes["asked"] = True

    def look(here: Here) -> None:
        seen.append(here)

    road.functions = {"m:ask": ask, "m:look": look}
    road.travel("[{http: {get: /a}}, {python: 'm:ask'}, {send: more}, {await: done}, {python: 'm:look'}]", name="Ada")
    assert (road.fates, road.mistakes) == ([Fate.DONE], [])
    assert road.said == ["What did Ada spend?", "more"]
    assert [row["code"] for row in road.of_kind(RowKind.SEND)] == [2, 3]
    assert [(one.turns, one.end, one.status) for one in seen] == [(0, "", 200), (1, "ok", 200), (2, "ok", 200)]
    assert seen[2].notes == {"asked": True}
    assert seen[1].thread == road.threads[0]


def raising(error: BaseException) -> Callable[[Here], None]:
    def function(_: Here) -> None:
        raise error

    return function


@pytest.mark.parametrize("error", [StepFailed("no bill"), AssertionError("no bill")])
def test_a_function_may_say_that_the_journey_has_failed(road: Road, error: BaseException) -> None:
    road.functions = {"m:f": raising(error)}
    road.travel("[{send: hello}, {python: 'm:f'}, {send: more}]")
    assert (road.fates, road.mistakes) == ([Fate.FAILED], [])
    assert road.why("step 2 (python m:f): no bill")
    assert [int(row["code"]) for row in road.of_kind(RowKind.DROP)] == [3]


def gives(*steps: Any) -> Callable[[Here], Iterator[Any]]:
    def function(_: Here) -> Iterator[Any]:
        yield from steps

    return function


@pytest.mark.parametrize(
    ("function", "mistake"),
    [
        (raising(KeyError("x")), "KeyError"),
        (gives(5), "ConfigError"),
        (gives({"sned": "x"}), "ConfigError"),
        (gives({"await": "done"}), "ConfigError"),
        (gives({"python": "m:f"}), "ConfigError"),
        (gives({"http": {"get": "//elsewhere"}}), "ConfigError"),
        (gives({"http": {"get": "/{nobody}"}}), "ConfigError"),
    ],
)
def test_any_other_mistake_of_a_function_is_ours_and_no_failure_of_the_backend(
    road: Road, function: Any, mistake: str
) -> None:
    road.functions = {"m:f": function}
    road.travel("[{python: 'm:f'}, {send: more}]")
    assert road.fates == [Fate.OUR_ERROR]
    assert [type(error).__name__ for error in road.mistakes] == [mistake]
    assert [int(row["code"]) for row in road.of_kind(RowKind.DROP)] == [2]


def test_a_function_is_given_the_time_it_has_from_when_somebody_begins_with_it(road: Road) -> None:
    """Not from when it was asked for: it may have to wait for a thread."""
    road.functions, road.run_waits_ms = {"m:f": lambda here: None}, 5000.0
    road.travel("[{python: {call: 'm:f', within_ms: 100}}, {send: a}]")
    assert (road.fates, road.mistakes) == ([Fate.DONE], [])


def test_what_functions_say_is_told_once_and_not_for_each_turn_that_is_dropped(road: Road) -> None:
    road.functions = {"m:f": raising(StepFailed("differs " * 30))}
    road.travel("[{python: 'm:f'}, {send: a}]")
    (drop,) = road.of_kind(RowKind.DROP)
    assert road.bench.read().strings[drop["text"]] == "its journey was over: python m:f"
    assert road.why("differs differs")


def test_who_leaves_while_it_is_cut_off_comes_back_first(road: Road) -> None:
    """How long the outage lasts is the network's, and how long the user is away its own."""

    def cut() -> None:
        road.failures = [Failure(-111, "refused")] * 6
        road.cut(1006)

    road.at(300, cut)
    road.travel("[{send: a}, {await: done}, {think: {ms: [320, 320]}}, {disconnect: {for_ms: 9000}}, {send: b}]")
    assert road.fates == [Fate.DONE]
    readies = [int(row["received"]) for row in road.of_kind(RowKind.READY)]
    assert len(readies) == 3
    assert 346 * MS < readies[1] < 9000 * MS < readies[2]


def test_frames_of_a_turn_that_is_over_are_not_held_until_the_next(road: Road) -> None:
    traveller = road.traveller("[{send: a}, {await: done}]")
    road.run(traveller.perform(0, 500 * MS, 60_000 * MS))
    assert traveller._latest is not None
    assert traveller._latest.frames == []


def test_a_message_that_its_own_user_threw_away_is_no_finding(tmp_path: Path) -> None:
    road = Road(Bench(tmp_path, "netra"))
    road.silent = True
    road.travel("[{send: a}, {disconnect: {reset: true}}]")
    road.session.stop(road.now_ns)
    assert [found.kind.name for found in road.bench.found] == []


def test_the_run_s_end_after_a_turn_drops_the_next_one_as_its_journey_s(road: Road) -> None:
    road.answer_after_ms = 200
    road.travel("[{send: a}, {await: done}, {send: b}]", end_ms=100)
    assert road.fates == [Fate.CUT]
    assert [(int(row["code"]), int(row["flags"])) for row in road.of_kind(RowKind.DROP)] == [(3, Flag.OURS)]


def test_the_run_s_end_cuts_a_journey_which_is_neither_good_nor_bad(road: Road) -> None:
    road.travel("[{send: a}, {await: done}, {think: {ms: [5000, 5000]}}, {send: b}]", end_ms=1000)
    assert (road.fates, road.now_ns) == ([Fate.CUT], 1000 * MS)
    assert [(int(row["code"]), row["flags"]) for row in road.of_kind(RowKind.DROP)] == [(4, Flag.OURS)]


def test_whoever_wants_no_more_turns_ends_a_journey_between_two_steps(road: Road) -> None:
    def stop() -> None:
        road.over = True
        road.session.wake()

    road.at(200, stop)
    road.travel("[{send: a}, {await: done}, {think: {ms: [5000, 5000]}}, {send: b}]")
    assert (road.fates, road.now_ns) == ([Fate.CUT], 200 * MS)


def test_a_journey_that_nobody_could_begin_drops_all_its_turns(road: Road) -> None:
    road.failures = [Failure(401, "who?")]
    road.travel("[{send: a}, {await: done}, {send: b}]")
    assert road.fates == [Fate.NOT_BEGUN]
    assert [(int(row["code"]), int(row["flags"])) for row in road.of_kind(RowKind.DROP)] == [(1, 0), (3, Flag.OURS)]
    assert road.of_kind(RowKind.JOURNEY)[0]["sent"] == 0


def test_a_connection_that_cannot_be_made_in_the_middle_fails_the_journey(road: Road) -> None:
    road.at(200, lambda: road.cut(1008))
    road.travel("[{send: a}, {await: done}, {think: {ms: [300, 300]}}, {send: b}]")
    assert road.fates == [Fate.FAILED]
    assert road.why("step 4 (send): refused for good")


def test_a_life_of_journeys_accounts_for_those_that_are_late(road: Road) -> None:
    road.answer_after_ms = 60
    traveller = road.traveller("[{send: a}, {await: done}, {send: b}, {await: done}]")
    road.conversation.travel, road.conversation.not_begun = traveller.perform, traveller.not_begun
    road.run(road.conversation.live(iter([0.0, 10.0, 20.0, 5000.0]), 0, 4000 * MS, 100, lambda: Ask("never")))
    kinds = [row["kind"] for row in road.bench.rows()]
    assert (kinds.count(RowKind.SEND), kinds.count(RowKind.DROP)) == (2, 4)
    assert road.fates == [Fate.DONE, Fate.NOT_BEGUN, Fate.NOT_BEGUN]
