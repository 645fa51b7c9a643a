"""Locust's side: ``ChatUser``, to be used as it is or subclassed, and the hooks that make and end a load process.

Import this module first in a locustfile: importing Locust patches the standard library's sockets.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gevent
import msgspec
from locust import User, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from loadtests import assignment, contract, manifest, scenario
from loadtests.conversation import Ask
from loadtests.dial import Target
from loadtests.errors import ConfigError, GauntletError
from loadtests.process import LoadProcess

__all__ = ["ChatUser"]

log = logging.getLogger("gauntlet")
PLAIN = "GAUNTLET_PLAIN_RUN"

# Nonce and name of a plain run, chosen at import, before Locust forks its workers, so that all of them agree on them.
os.environ.setdefault(PLAIN, f"{manifest.new_nonce()} {manifest.stamp()}-plain-locust-{os.getpid():x}")


class ChatUser(User):
    """One chat user: connects, sends a message every ``pace_ms``, checks every event, survives every cut.

    Subclass it in a locustfile of your own: set ``prompts`` or override ``content``; ``weight`` and the rest are Locust's.
    """

    abstract = True
    prompts: ClassVar[Sequence[str]] = ()
    pace_ms: ClassVar[int] = 0
    #: it has a conversation: the test could start, and its process was given no more users than are its own
    _talks = False

    def content(self) -> str | Ask:
        """The next message: a text, or an ``Ask`` with what is expected of the answer."""
        ask: Ask = self._prompter.ask()
        return ask

    def on_start(self) -> None:
        if self.environment.gauntlet is None:
            return  # the test could not start, and has said why
        self._process: LoadProcess = self.environment.gauntlet
        if (made := self._process.chat()) is None:
            return
        self._number, self._chat = made
        self._talks = True
        self._prompter = self._process.prompter(self._number, self.prompts)
        if self.prompts or type(self).content is not ChatUser.content:
            self._chat.conversation.travel = self._chat.conversation.not_begun = None  # it says what it wants to say
        if self._process.has_listeners:
            self._chat.conversation.on_turn = self._process.fire_turn

    @task
    def converse(self) -> None:
        """The user's only task, and its last: thousands who are through would each have to be ended, and are not there to be."""
        if self._talks:
            self.live()
        raise StopUser

    def live(self) -> None:
        """The whole conversation: override it for one that follows no schedule."""
        self._process.converse(
            self._number, self._chat, self.content, self.pace_ms or self._process.pace_ms(self._number)
        )

    def on_stop(self) -> None:
        if self._talks:
            self._chat.cut()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # Locust's events have no types
def _options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("Gauntlet")
    group.add_argument(
        "--contract", env_var="GAUNTLET_CONTRACT", default="netra", help="Contract: a name or a YAML file"
    )
    group.add_argument(
        "--scenario", env_var="GAUNTLET_SCENARIO", default="smoke", help="Where pace, prompts and gates come from"
    )
    group.add_argument("--token-env", env_var="GAUNTLET_TOKEN_ENV", default="", help="Variable that holds the token")
    group.add_argument("--seed", env_var="GAUNTLET_SEED", type=int, default=1, help="Seed of all our randomness")
    group.add_argument("--runs", env_var="GAUNTLET_RUNS", default="runs", help="Folder for run directories")
    group.add_argument("--ca", env_var="GAUNTLET_CA", default="", help="PEM file with the CA of a wss:// target")


def _plain_assignment(environment: Any, count: int) -> assignment.Assignment:
    """Without a conductor: from Locust's own options."""
    options = environment.parsed_options
    host = environment.host or options.host
    if not host:
        raise ConfigError("--host", "", "is missing", "ws://HOST:PORT or wss://HOST[:PORT]")
    file = contract.load(options.contract).file
    Target.parse(host, file.endpoint)  # before it is written down anywhere
    nonce, _, stem = os.environ[PLAIN].partition(" ")
    run_dir = Path(options.runs) / (stem if count == 1 else f"{stem}-{count}")
    plain, where = scenario.load(options.scenario)
    scenario.check_promised(plain, file, where)
    return assignment.Assignment(
        run_dir=str(run_dir), nonce=nonce, seed=options.seed, contract=options.contract, scenario=options.scenario, target=host,
        users=options.num_users or plain.users, token_env=options.token_env, ca=options.ca, barrier=False,
    )  # fmt: skip


def _write_plain_run(one: assignment.Assignment) -> None:
    """The master's or the only process's part of a run directory."""
    run_dir, compiled = Path(one.run_dir), contract.load(one.contract)
    plain, _ = scenario.load(one.scenario)
    (run_dir / "rows").mkdir(parents=True, exist_ok=True)
    phases = [scenario.Phase(name=scenario.STEADY, s=1e6)]
    ours = msgspec.structs.replace(
        plain, name="plain-locust", contract=compiled.name, phases=phases, gates={}, users=one.users
    )
    (run_dir / "scenario.yaml").write_bytes(msgspec.yaml.encode(ours))
    (run_dir / "contract.yaml").write_text(compiled.text)
    manifest.write_manifest(
        run_dir,
        {
            "kind": "plain-locust", "scenario": "plain-locust", "contract": compiled.name, "contract_digest": compiled.digest,
            "seed": one.seed, "nonce": one.nonce, "target": one.target.partition("?")[0], "users": one.users,
            "pace_ms": plain.pace_ms, "labels": {},
        },
    )  # fmt: skip


@events.init.add_listener  # type: ignore[untyped-decorator]  # Locust's events have no types
def _init(environment: Any, **_: Any) -> None:
    environment.gauntlet = None
    environment.gauntlet_count = 0
    environment.gauntlet_assignment = None


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # Locust's events have no types
def _test_start(environment: Any, **_: Any) -> None:
    environment.gauntlet_count += 1
    path = os.environ.get(assignment.ENVIRONMENT)
    try:
        one = assignment.read(path) if path else _plain_assignment(environment, environment.gauntlet_count)
        environment.gauntlet_assignment = one
        runner = environment.runner
        if not path and not isinstance(runner, WorkerRunner):
            _write_plain_run(one)
        if not isinstance(runner, MasterRunner):
            index = one.first + max(0, getattr(runner, "worker_index", 0))
            environment.gauntlet = LoadProcess(one, environment, index)
    except GauntletError as error:
        log.error("%s", error)  # noqa: TRY400  # a sentence for the user, not a traceback
        environment.process_exit_code = error.exit_code
        environment.gauntlet_assignment = None  # nothing to complete
        gevent.spawn(environment.runner.quit)  # not from within: the runner is still on its way to start users
    except Exception:
        log.exception("the test could not start")
        environment.process_exit_code = 1
        gevent.spawn(environment.runner.quit)


@events.test_stop.add_listener  # type: ignore[untyped-decorator]  # Locust's events have no types
def _test_stop(environment: Any, **_: Any) -> None:
    if environment.gauntlet is not None:
        environment.gauntlet.stop()
    _complete(environment)


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # Locust's events have no types
def _quitting(environment: Any, **_: Any) -> None:
    if environment.gauntlet is not None:
        environment.gauntlet.stop()


def _complete(environment: Any) -> None:
    one = environment.gauntlet_assignment
    if one is None or one.barrier or isinstance(environment.runner, WorkerRunner):
        return
    manifest.complete(Path(one.run_dir), "ended")
    log.info("run directory %s; judge it with: gauntlet report %s", one.run_dir, one.run_dir)
