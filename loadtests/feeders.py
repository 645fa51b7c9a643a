"""Prompts and people from files: CSV with a header, JSON lines, or for prompts plain text, one a line. Read once, before traffic."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loadtests.configfile import nearest
from loadtests.errors import ConfigError

__all__ = ["MOST", "people_from", "prompts_from"]

#: rows of one file; a run directory holds what ran, and so all of them
MOST = 10_000
SAY, EXPECTS = "say", ("min_chars", "pattern", "recalls")
FORMATS = {
    ".csv": "a header and a row each",
    ".jsonl": "a JSON object a line",
    ".ndjson": "a JSON object a line",
    ".txt": "a prompt a line",
}
YES = {"true", "yes", "1"}


def prompts_from(path: Path) -> list[str | dict[str, Any]]:
    """As a scenario's ``prompts``: columns or keys ``say``, and what is expected: ``min_chars``, ``pattern``, ``recalls``.

    Raises:
        ConfigError: no such file, format or column, a broken row, none, or too many.
    """
    found: list[str | dict[str, Any]] = []
    for place, row in _rows(path, text=True):
        unknown = sorted(row.keys() - {SAY, *EXPECTS})
        if unknown:
            raise ConfigError(str(path), place, f"unknown column {unknown[0]!r}", nearest(unknown[0], [SAY, *EXPECTS]))
        if not row.get(SAY):
            raise ConfigError(str(path), place, "says nothing", "a text in the column 'say'")
        expect = _expected(path, place, row)
        found.append({SAY: row[SAY], "expect": expect} if expect else str(row[SAY]))
    return found


def people_from(path: Path) -> list[dict[str, str]]:
    """A row for each user, over and over; its columns fill ``{column}`` in prompts.

    Raises:
        ConfigError: no such file or format, a broken row, none, or too many.
    """
    return [{str(key): str(value) for key, value in row.items()} for _, row in _rows(path, text=False)]


def _expected(path: Path, place: str, row: Mapping[str, Any]) -> dict[str, Any]:
    expect: dict[str, Any] = {}
    for key in EXPECTS:
        value = row.get(key)
        if value is None or value == "":
            continue
        if key == "recalls":
            expect[key] = value if isinstance(value, bool) else str(value).lower() in YES
        elif key == "min_chars":
            try:
                expect[key] = int(value)
            except (TypeError, ValueError):
                raise ConfigError(str(path), place, f"min_chars is {value!r}", "a whole number") from None
        else:
            expect[key] = str(value)
    return expect


def _rows(path: Path, *, text: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    """(where it stands, row) each."""
    formats = {end: what for end, what in FORMATS.items() if text or end != ".txt"}
    if path.suffix not in formats:
        raise ConfigError(
            str(path), "", f"a file of the kind {path.suffix!r}", " or ".join(f"{e} ({w})" for e, w in formats.items())
        )
    try:
        text_ = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no UTF-8 text"
        raise ConfigError(str(path), "", f"cannot be read: {reason}", formats[path.suffix]) from None
    read = {".csv": _of_csv, ".txt": _of_text}.get(path.suffix, _of_json)
    found = list(read(path, text_))
    if not found:
        raise ConfigError(str(path), "", "holds no row", formats[path.suffix])
    if len(found) > MOST:
        raise ConfigError(str(path), "", f"{len(found):,} rows", f"at most {MOST:,}")
    return found


def _of_text(_: Path, text: str) -> Iterable[tuple[str, dict[str, Any]]]:
    lines = text.replace("\r\n", "\n").split("\n")
    return [(f"line {number}", {SAY: line}) for number, line in enumerate(lines, start=1) if line.strip()]


def _of_json(path: Path, text: str) -> Iterable[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(str(path), f"line {number}", f"is no JSON: {error}", "a JSON object") from None
        if not isinstance(row, dict):
            raise ConfigError(str(path), f"line {number}", f"is {type(row).__name__}", "a JSON object")
        yield f"line {number}", row


def _of_csv(path: Path, text: str) -> Iterable[tuple[str, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            where = f"line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if len(set(header)) < len(header) or not all(header):
                    raise ConfigError(
                        str(path), where, "a column without a name, or one given twice", "a header of different names"
                    )
            elif len(cells) != len(header):
                raise ConfigError(
                    str(path), where, f"{len(cells)} cells under {len(header)} columns", "a cell for each column"
                )
            else:
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ConfigError(str(path), f"line {reader.line_num}", str(error), "CSV (RFC 4180)") from None
