"""``verdict.json``: everything that the judge said, for programs. Keys are sorted, and no number is NaN."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.judgement import Judgement
from reports.render.figures import finite
from reports.render.wording import shown

__all__ = ["SCHEMA", "SCHEMA_PATH", "render_json"]

SCHEMA = 1
SCHEMA_PATH = Path(__file__).with_name("verdict.schema.json")

#: Judgement's field -> its key in the file; what is not here stays in the run directory's own files
KEYS = {
    "verdict": "verdict",
    "sentence": "sentence",
    "causes": "causes",
    "checks": "checks",
    "gates": "gates",
    "faults": "faults",
    "books": "books",
    "generator": "generator",
    "events": "events",
    "analytics": "analytics",
    "not_checked": "not_checked",
    "cleanup": "cleanup",
    "experiment": "experiment",
    "moved": "moved",
    "run": "run",
}


def render_json(judgement: Judgement) -> str:
    """The text of ``verdict.json``, by the schema that stands beside this module."""
    verdict = {key: _plain(getattr(judgement, name)) for name, key in KEYS.items()}
    verdict["schema"] = SCHEMA
    # The steps stand once in the file, under the key that they have always had.
    analytics = verdict["analytics"] or {"funnel": []}
    verdict["funnel"] = [step | {"name": _name(step)} for step in analytics.pop("funnel")]
    verdict["phases"] = [
        {"name": shown(name), "start_s": finite(start), "end_s": finite(end)} for name, start, end in judgement.phases
    ]
    return json.dumps(verdict, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _name(step: Mapping[str, Any]) -> str:
    return " / ".join(step["names"]) or str(step["role"])


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return shown(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {shown(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    number = finite(value)
    if number is not None:
        return int(number) if hasattr(value, "dtype") and value.dtype.kind in "iu" else number
    return None if isinstance(value, float) else shown(value)
