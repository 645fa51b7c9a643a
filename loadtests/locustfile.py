"""The locustfile: ``locust -f "$(gauntlet locustfile)" --host ws://…``. Also what ``gauntlet run`` starts."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from loadtests.manifest import new_nonce
from loadtests.users import PLAIN, ChatUser

__all__ = ["Chatting"]

# Before Locust forks its workers, so that all of them write to one run directory.
os.environ.setdefault(
    PLAIN, f"{new_nonce()} {Path('runs') / datetime.now(UTC).strftime('%Y-%m-%dT%H%M%SZ')}-plain-locust-{os.getpid():x}"
)


class Chatting(ChatUser):
    """Talks as the scenario says."""
