"""The locustfile: ``locust -f "$(gauntlet locustfile)" --host ws://…``. Also what ``gauntlet run`` starts."""

from __future__ import annotations

from loadtests.users import ChatUser

__all__ = ["Chatting"]


class Chatting(ChatUser):
    """Talks as the scenario says."""
