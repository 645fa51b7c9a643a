"""The peers' work, by our own ``ChatUser`` with everything on: S sessions, R turns each, one after the other.

``URL``, ``S`` and ``R`` come from the environment, as ``peers/measure`` sets them; ends itself when all turns are done.
"""

from __future__ import annotations

import os
import time
from typing import Any

import gevent

from loadtests.users import ChatUser

TURNS = int(os.environ["R"])
SESSIONS = int(os.environ["S"])
FOR_EVER_NS = 1 << 62
done: list[int] = []


class Bench(ChatUser):
    """As fast as the answers come."""

    def live(self) -> None:
        self._process.started.wait()
        chat: Any = self._chat
        for _ in range(TURNS):
            chat.run_turn(time.monotonic_ns(), "hello", FOR_EVER_NS)
        chat.stop()
        done.append(self._number)
        if len(done) == SESSIONS:
            gevent.spawn(self.environment.runner.quit)
