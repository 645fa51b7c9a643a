"""Histories written row by row, for what a played backend would hardly do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from loadtests.contract import load
from loadtests.history import COHORTS, DTYPE, End, RowKind, Window
from loadtests.rundir import RunData
from loadtests.scenario import Phase, Scenario
from reports.frames import phases_of, turns_frame

__all__ = ["MS", "START_NS", "History"]

MS = 1_000_000
START_NS = 1_000_000 * MS


class History:
    """Rows of one worker; times are milliseconds since the run's start."""

    def __init__(self, contract: str = "reference") -> None:
        self.contract = load(contract)
        self.strings = [""]
        self.rows: list[np.void] = []

    def _row(self, kind: RowKind, session: int, turn: int, at_ms: float, **fields: int) -> None:
        row = np.zeros((), DTYPE)
        row["kind"], row["session"], row["turn"], row["received"] = kind, session, turn, START_NS + round(at_ms * MS)
        row["foreign"], row["cursor"] = -1, -1
        for name, value in fields.items():
            row[name] = value
        self.rows.append(row)

    def text(self, text: str) -> int:
        if text not in self.strings:
            self.strings.append(text)
        return self.strings.index(text)

    def send(self, turn: int, at_ms: float, session: int = 0, late_ms: float = 0, cohort: str = "direct") -> None:
        intended = START_NS + round(at_ms * MS)
        self._row(RowKind.SEND, session, turn, at_ms + late_ms, intended=intended, cohort=COHORTS.index(cohort))

    def event(
        self, turn: int, name: str, at_ms: float, session: int = 0, raw: str = "", agent: str = "", labels: str = "", **fields: int
    ) -> None:  # fmt: skip
        rule = self.contract.by_name.get(name)
        self._row(
            RowKind.EVENT, session, turn, at_ms, event=rule.index if rule else 0, raw=self.text(raw or name), agent=self.text(agent),
            labels=self.text(labels), size=100, **fields,
        )  # fmt: skip

    def end(self, turn: int, at_ms: float, session: int = 0, how: End = End.OK) -> None:
        self._row(RowKind.END, session, turn, at_ms, code=int(how))

    def turn(self, turn: int, at_ms: float, events: dict[str, float], how: End = End.OK, session: int = 0) -> None:
        """A whole turn; event -> milliseconds since its send, and the end comes with the last of them."""
        self.send(turn, at_ms, session)
        for name, after_ms in events.items():
            self.event(turn, name, at_ms + after_ms, session)
        self.end(turn, at_ms + max(events.values(), default=0.0), session, how)

    def data(self) -> RunData:
        scenario = Scenario(
            scenario=1, name="written", users=1, pace_ms=1000, prompts=["how much?"], phases=[Phase("steady", 100.0, None)],
            contract=self.contract.name, gates={},
        )  # fmt: skip
        rows = np.array(self.rows, dtype=DTYPE) if self.rows else np.empty(0, DTYPE)
        return RunData(
            path=Path(), manifest={}, contract=self.contract, scenario=scenario, rows=rows, strings=self.strings, workers=["worker-0"],
            first_row=[0], accounts={}, journal=[], health=[], problems=[], start_ns=START_NS,
        )  # fmt: skip

    def turns(self, *windows: Window) -> pd.DataFrame:
        data = self.data()
        return turns_frame(data, list(windows), phases_of(data))
