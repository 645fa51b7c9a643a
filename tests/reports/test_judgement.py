"""The records of a judgement hold what the judge says, and nothing can change them afterwards."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from reports import judgement
from tests.reports.judgements import go


def test_a_check_is_found_by_its_id() -> None:
    assert go().check("order").id == "order"
    with pytest.raises(StopIteration):
        go().check("no-such-checker")


@pytest.mark.parametrize("name", [n for n in judgement.__all__ if is_dataclass(getattr(judgement, n))])
def test_every_record_is_frozen_slotted_and_takes_names_only(name: str) -> None:
    record = getattr(judgement, name)
    assert "__slots__" in vars(record)
    assert all(field.kw_only for field in fields(record))
    assert record.__dataclass_params__.frozen


def test_a_verdict_cannot_be_changed_after_the_fact() -> None:
    with pytest.raises(FrozenInstanceError):
        go().verdict = "no-go"  # type: ignore[misc]  # that is the point
