"""The shape of a contract file: what has a default, what must be said, and that nothing unknown passes."""

from __future__ import annotations

import msgspec
import pytest

from loadtests.contract import schema
from loadtests.contract.schema import FORMAT, ContractFile
from loadtests.turn import ROLE_CODES

LEAST = {"contract": 1, "name": "n", "send": {"template": {}}, "events": {"e": {}}}


def records() -> list[type[msgspec.Struct]]:
    found = [getattr(schema, name) for name in schema.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, msgspec.Struct)]


def test_the_least_contract_has_harmless_defaults() -> None:
    file = msgspec.convert(LEAST, ContractFile)
    assert (file.auth.mode, file.resume.mode, file.handshake.ready, file.send.resend) == ("none", "none", "", False)
    assert (file.turn.interrupted, file.cursor.start, file.closes.normal) == ("recovered-or-error", 1, (1000, 1001))
    assert (file.events["e"].role, file.events["e"].demanded) == ("other", False)


@pytest.mark.parametrize("key", LEAST)
def test_what_has_no_default_must_be_said(key: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=key):
        msgspec.convert({k: v for k, v in LEAST.items() if k != key}, ContractFile)


@pytest.mark.parametrize("record", records(), ids=lambda record: record.__name__)
def test_no_record_lets_a_misspelt_key_pass(record: type[msgspec.Struct]) -> None:
    assert record.__struct_config__.forbid_unknown_fields
    assert record.__struct_config__.frozen


def test_the_judge_knows_every_role_that_a_file_may_name() -> None:
    assert set(schema.Role.__args__) == set(ROLE_CODES)


def test_the_format_is_the_one_that_files_must_name() -> None:
    assert msgspec.convert(LEAST, ContractFile).contract == FORMAT
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**LEAST, "contract": FORMAT + 1}, ContractFile)
