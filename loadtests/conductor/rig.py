"""The chaos part of a run: listeners, nemesis, what it may do to the backend, and the end of all that."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.conductor.arrivals import heard_at
from loadtests.conductor.options import Prepared
from loadtests.conductor.processes import Backend
from loadtests.dial import Dial, Target, tls_context
from loadtests.errors import GauntletError, RigError
from loadtests.journal import Journal
from loadtests.pings import CANARY
from loadtests.tokens import TokenError, Tokens

if TYPE_CHECKING:
    from chaos.listeners import Listener
    from chaos.nemesis import Nemesis

__all__ = ["Rig", "listeners_of"]

#: the canary's number among the users whose names a token may carry
CANARY_USER = 10**6 + 1
RENEW_S = 1.0


class Rig:
    """What breaks the network of one run; without faults it does nothing. ``binary``: of a private Toxiproxy."""

    def __init__(
        self, prepared: Prepared, run_dir: Path, run_id: str, binary: Path | None, journal: Journal, say: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._p, self._dir, self._id, self._binary, self._journal = prepared, run_dir, run_id, binary, journal
        self._say = say
        self._listeners: dict[str, Listener] = {}
        self._nemesis: Nemesis | None = None
        self._made: tuple[Dial, Tokens] | None = None
        self._closed = threading.Event()
        #: what a command may take, and a second to end it
        self._patience_s = max(
            (w.asked["timeout_s"] + 1 for w in prepared.plan.windows if "timeout_s" in w.asked), default=0
        )

    def open(self, target: Target) -> dict[str, tuple[str, int]]:
        """All listeners that the plan needs; where each is.

        Raises:
            RigError: one does not come up.
        """
        if not self._p.chaos:
            return {}
        from chaos.listeners import open_listeners

        self._canary(target)  # before traffic, since a program may take its time over a token, or not know the canary
        names = listeners_of(self._p)
        self._journal.append("listeners", names=names, private=self._binary is not None)
        self._listeners = open_listeners(
            names, (target.address, target.port), self._id, log_dir=self._dir, binary=self._binary,
            url=self._p.options.toxiproxy_url, armed=self._p.plan.armed,
        )  # fmt: skip
        return {name: listener.address for name, listener in self._listeners.items()}

    def watch(self, target: Target, backend: Backend | None) -> None:
        """From now on canaries are on their way through the listeners."""
        if not self._p.chaos:
            return
        from chaos.nemesis import Nemesis

        options = self._p.options
        dial, tokens = self._canary(target)
        deeds: dict[str, Callable[[], None]] = {}
        if backend is not None:
            deeds = {
                "kill": backend.kill, "start": backend.start, "pause": backend.pause, "resume": backend.resume,
                "restart": backend.restart, "kill-node": backend.kill_node, "start-node": backend.start_node, "roll": backend.roll,
            }  # fmt: skip
        heard = None
        # Nodes share a port, and a question is answered by any of them.
        if backend is not None and self._p.backend_options.get("nodes", 1) == 1:
            heard = partial(heard_at, backend.url)
        self._nemesis = Nemesis(
            self._p.plan, self._listeners, self._journal, dial, run_dir=self._dir, backend=deeds, without=options.token_env,
            heard=heard,
        )  # fmt: skip
        self._nemesis.watch()
        if tokens.changes:
            words = (target, tokens, self._nemesis)
            threading.Thread(target=self._renew, args=words, name="renew", daemon=True).start()

    def watching(self, timeout_s: float) -> bool:
        """Wait until every canary has a baseline; false: one has none."""
        return self._nemesis is None or self._nemesis.watching(timeout_s)

    def start(self, start_ns: int) -> None:
        """From now on the plan is walked, its times counted from ``start_ns``."""
        if self._nemesis is not None:
            self._nemesis.start(start_ns)

    def _canary(self, target: Target) -> tuple[Dial, Tokens]:
        """How a canary connects, made once.

        Raises:
            RigError: there is no token for it.
        """
        if self._made is None:
            tokens = Tokens(self._p.options.tokens, lambda _: None)  # a canary writes nothing down that it is told
            self._made = self._canary_dial(target, tokens), tokens
        return self._made

    def _canary_dial(self, target: Target, tokens: Tokens) -> Dial:
        """Raises:
        RigError: there is no token for a canary.
        """
        options = self._p.options
        try:
            # A template knows any user; a file or a program has one more than take part.
            token = tokens.of(CANARY_USER if options.token_env else self._p.scenario.users)
        except TokenError as error:
            raise RigError(f"{options.tokens.option}: {error}") from None
        dial = target.dial(self._p.contract.file.auth, token, tls_context(target.scheme, options.ca))
        # Whoever counts sessions can tell it from a user.
        return replace(dial, headers=(*dial.headers, ("User-Agent", CANARY)))

    def _renew(self, target: Target, tokens: Tokens, nemesis: Nemesis) -> None:
        """New canaries, and tries of connections, come with a token that still holds."""
        while not self._closed.wait(RENEW_S):
            if tokens.due():
                with contextlib.suppress(GauntletError):
                    nemesis.redial(self._canary_dial(target, tokens))

    @property
    def errors(self) -> list[str]:
        return self._nemesis.errors if self._nemesis is not None else []

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the plan; true: every window was healed and judged. A command may take its own time."""
        return self._nemesis is None or self._nemesis.join(timeout_s + 3 * self._patience_s)  # apply, verify, revert

    def heal(self, timeout_s: float) -> None:
        """Heal what is applied, now, and begin nothing more."""
        if self._nemesis is not None:
            self._nemesis.stop()
            self._nemesis.join(timeout_s + 2 * self._patience_s)  # what is being applied, then its revert

    def close(self) -> None:
        self._closed.set()
        if self._listeners:
            from chaos.revert import LEDGER
            from chaos.teardown import teardown

            with contextlib.suppress(GauntletError):
                teardown(self._listeners.values(), self._journal, self._dir / LEDGER)
            self._listeners = {}


def listeners_of(prepared: Prepared) -> list[str]:
    """Names of the listeners that a run opens: control's and the treated's first, then what single faults want beside them."""
    names = ["treated"] if prepared.scenario.scope == "backend" else ["control", "treated"]
    return list(dict.fromkeys([*names, *prepared.plan.listeners]))
