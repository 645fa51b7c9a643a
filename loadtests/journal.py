"""``history.jsonl``: what the conductor and the faults did, one JSON object a line, on disk before the deed.

Record types, told apart by ``type``; times are CLOCK_MONOTONIC nanoseconds (``at_ns``):

- ``clock``    {mono_ns, wall_ns}: an anchor between the monotonic and the wall clock
- ``phase``    {name, start_ns, end_ns}
- ``listeners``  {names, private}: what is about to be opened, and whether in Toxiproxy processes of our own
- ``window``   {id, step: applying|applied|healing|healed, at_ns, kind, cohort, asked, …}: one fault on one cohort
- ``call``     {id, do, proxy}: one step inside a window, as each closing and opening of a flap
- ``effect``   {id, effect: confirmed|absent|not-probed, measured, by}: did the fault bite, and how that is known
- ``command``  {id, step: applying|applied|verified|not-verified|reverting|reverted|not-reverted, argv, revert, …}: a command's deeds
- ``wedge``    {id, at_ns, text}: Toxiproxy's control plane hung; its process was restarted
- ``peers``    {at_ns, sessions}: the embedded backend's own count, without canaries
- ``cleanup``  {at_ns, ok, left: […]}: what was found after teardown
- ``note``     {at_ns, text}

Of a run on several hosts the records of faults stand in each worker host's own journal, in its own clock; ``hosts/merge.py`` makes
them one where a run is read.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["Journal", "read_journal"]


class Journal:
    """Append-only; every record is fsynced before ``append`` returns. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def append(self, kind: str, /, **fields: Any) -> None:
        """Write one record; ``at_ns`` is added unless given."""
        record = {"type": kind, "at_ns": time.monotonic_ns(), **fields}
        line = json.dumps(record, sort_keys=True, allow_nan=False) + "\n"
        with self._lock:
            os.write(self._file, line.encode())
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All whole records; a last line cut by a crash is left out. Missing file: no records."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return records
