"""Plain questions to the embedded backend, over HTTP and past every listener."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

__all__ = ["ask"]

ANSWER_S = 0.8


def ask(url: str, path: str) -> Any:
    """What it says as JSON, of the backend whose WebSocket is at ``url``; None: no answer in time, or none that can be read."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
