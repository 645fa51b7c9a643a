"""What was on the wire: types with their standing, and versions with their time. Pure over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from loadtests.history import UNKNOWN_TURN, VERSION_LABEL, Flag, RowKind
from loadtests.rundir import RunData

__all__ = ["MOST", "Type", "Version", "types", "versions"]

Standing = Literal["approved", "deprecated", "legacy", "not approved"]
#: how many types are listed; those that are not approved come first
MOST = 40
ORDER: tuple[Standing, ...] = ("not approved", "legacy", "deprecated", "approved")
KEPT = Flag.UNAPPROVED | Flag.LEGACY | Flag.DEPRECATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """One type as frames named it. ``event`` is what the contract calls it; ``example`` is session.turn of the first."""

    type: str
    event: str
    standing: Standing
    frames: int
    bytes: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the event format, and when it was seen first and last, in seconds since the run's start."""

    version: str
    standing: Literal["accepted", "deprecated", "not accepted"]
    frames: int
    first_s: float
    last_s: float


def types(data: RunData) -> tuple[tuple[Type, ...], int]:
    """Every type that came, the suspicious ones first and the frequent ones before the rare; and how many there are."""
    rows = data.rows
    place = np.flatnonzero(rows["kind"] == RowKind.EVENT)
    frame = pd.DataFrame(
        {
            "raw": rows["raw"][place],
            "event": rows["event"][place],
            "flags": rows["flags"][place] & np.uint16(KEPT),
            "bytes": rows["size"][place].astype(np.int64),
            "place": place,
        }
    )
    table = (
        frame.groupby(["raw", "event", "flags"])
        .agg(frames=("place", "size"), bytes=("bytes", "sum"), place=("place", "min"))
        .reset_index()
    )
    table["rank"] = [
        ORDER.index(_standing(flags, event)) for flags, event in zip(table["flags"], table["event"], strict=True)
    ]
    table = table.sort_values(["rank", "frames", "place"], ascending=[True, False, True])
    found = tuple(
        Type(
            type=data.strings[one["raw"]] or "(no type)", event=data.contract.label(one["event"]) if one["event"] else "",
            standing=ORDER[one["rank"]], frames=one["frames"], bytes=one["bytes"], example=_example(rows[one["place"]]),
        )
        for one in table.head(MOST).to_dict("records")
    )  # fmt: skip
    return found, len(table)


def versions(data: RunData) -> tuple[Version, ...]:
    """Versions by when they came first; empty where events have none."""
    rows = data.rows
    numbers = {number: text for number, text in enumerate(data.strings) if VERSION_LABEL in text}
    mine = rows[(rows["kind"] == RowKind.EVENT) & np.isin(rows["labels"], list(numbers))]
    frame = pd.DataFrame(
        {
            "version": [_version(numbers[number]) for number in mine["labels"].tolist()],
            "old": (mine["flags"] & Flag.OLD_VERSION) > 0,
            "bad": (mine["flags"] & Flag.BAD_VERSION) > 0,
            "received": mine["received"],
        }
    )
    table = frame.groupby("version", sort=False).agg(
        frames=("received", "size"), first=("received", "min"), last=("received", "max"), old=("old", "any"), bad=("bad", "any")
    )  # fmt: skip
    return tuple(
        Version(
            version=one["version"], standing="not accepted" if one["bad"] else "deprecated" if one["old"] else "accepted",
            frames=one["frames"], first_s=round(data.seconds(one["first"]), 3), last_s=round(data.seconds(one["last"]), 3),
        )
        for one in table.reset_index().sort_values("first", kind="stable").to_dict("records")
    )  # fmt: skip


def _version(labels: str) -> str:
    return labels.partition(VERSION_LABEL)[2].partition(",")[0]


def _standing(flags: int, event: int) -> Standing:
    if flags & Flag.LEGACY:
        return "legacy"
    if flags & Flag.UNAPPROVED or not event:
        return "not approved"
    return "deprecated" if flags & Flag.DEPRECATED else "approved"


def _example(row: np.ndarray[Any, Any]) -> str:
    turn = int(row["turn"])
    return f"{row['session']}.{turn}" if 0 < turn < UNKNOWN_TURN else f"{row['session']}"
