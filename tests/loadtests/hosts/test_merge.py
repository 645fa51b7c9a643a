"""One window on several hosts is one window: it begins with the first, ends with the last, and bit only if it bit everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.hosts.merge import LATE_NS, HostJournal, merged

MS = 1_000_000
STEPS = ("applying", "applied", "healing", "healed")
PINGS = "pings"


def window(at_ms: int, *, steps: tuple[str, ...] = STEPS, id_: str = "w1") -> list[dict[str, Any]]:
    """Four steps, each a millisecond after the one before it, and the heal a second later."""
    at = dict(zip(STEPS, (at_ms, at_ms + 1, at_ms + 1000, at_ms + 1001), strict=True))
    same = {
        "type": "window",
        "id": id_,
        "kind": "latency",
        "cohort": "treated",
        "phase": "p",
        "asked": {"latency_ms": 90},
    }
    return [{**same, "step": step, "at_ns": at[step] * MS, "proxy": "mine"} for step in steps]


def effect(name: str = "confirmed", value: Any = 90.0, **measured: Any) -> dict[str, Any]:
    seen = {"what": "added round trip", "unit": "ms", "value": value, **measured}
    return {"type": "effect", "id": "w1", "effect": name, "measured": seen, "by": PINGS}


def host(number: int, *records: dict[str, Any], **more: Any) -> HostJournal:
    return HostJournal(f"host-{number}", f"10.0.0.{number}", records, **more)


def of_type(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == name]


def the_effect(*hosts: HostJournal) -> dict[str, Any]:
    (found,) = of_type(merged(hosts), "effect")
    return found


def test_no_hosts_have_no_journal() -> None:
    assert merged([]) == []


def test_a_window_lasts_from_the_first_host_to_the_last() -> None:
    both = merged([host(1, *window(100), effect()), host(2, *window(130), effect())])
    at = {record["step"]: record["at_ns"] / MS for record in of_type(both, "window")}
    assert at == {"applying": 100, "applied": 131, "healing": 1100, "healed": 1131}
    assert {(r["id"], r["kind"], r["cohort"], r["phase"]) for r in of_type(both, "window")} == {
        ("w1", "latency", "treated", "p")
    }
    assert all(record["asked"] == {"latency_ms": 90} and "proxy" not in record for record in of_type(both, "window"))
    assert of_type(both, "amiss") == []


def test_windows_are_told_apart_and_each_stands_once() -> None:
    records = [*window(100), *window(5000, id_="w2")]
    both = merged([host(1, *records), host(2, *records)])
    assert [(r["id"], r["step"]) for r in of_type(both, "window")] == [
        (id_, step) for id_ in ("w1", "w2") for step in STEPS
    ]
    assert [r["id"] for r in of_type(both, "effect")] == ["w1", "w2"]


@pytest.mark.parametrize("lacking", ["healed", "applied"])
def test_a_step_that_one_host_never_made_is_made_by_none(lacking: str) -> None:
    cut = tuple(step for step in STEPS if step != lacking)
    both = merged([host(1, *window(100), effect()), host(2, *window(100, steps=cut), effect())])
    assert [record["step"] for record in of_type(both, "window")] == list(cut)
    amiss = [(record["host"], record["id"], record["why"]) for record in of_type(both, "amiss")]
    assert amiss == ([("host-2 (10.0.0.2)", "w1", "it never healed it")] if lacking == "healed" else [])


def test_what_bit_on_every_host_is_confirmed_and_says_what_each_measured() -> None:
    found = the_effect(host(1, *window(0), effect(value=91.0)), host(2, *window(0), effect(value=88.0)))
    assert (found["effect"], found["id"]) == ("confirmed", "w1")
    assert found["by"] == f"{PINGS}; host-1 confirmed 91 ms, host-2 confirmed 88 ms"
    assert found["measured"] == {
        "what": "added round trip", "unit": "ms", "value": 91.0, "hosts": {
            "host-1 (10.0.0.1)": {"effect": "confirmed", "value": 91.0, "unit": "ms"},
            "host-2 (10.0.0.2)": {"effect": "confirmed", "value": 88.0, "unit": "ms"},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "expected", "named"),
    [
        (("confirmed", "absent"), "absent", [2]), (("absent", "confirmed"), "absent", [1]),
        (("confirmed", "not-probed"), "not-probed", [2]), (("absent", "not-probed"), "absent", [1, 2]),
    ],
)  # fmt: skip
def test_the_worst_of_all_hosts_stands_and_they_are_named(
    names: tuple[str, ...], expected: str, named: list[int]
) -> None:
    hosts = [
        host(
            number,
            *window(0),
            effect(name, value=number, **({} if name == "confirmed" else {"reason": f"why {number}"})),
        )
        for number, name in enumerate(names, 1)
    ]
    found = the_effect(*hosts)
    assert found["effect"] == expected
    assert found["measured"]["reason"] == "; ".join(f"host-{n} (10.0.0.{n}): why {n}" for n in named)
    assert names[found["measured"]["value"] - 1] == expected


def test_a_host_that_says_nothing_of_an_effect_has_not_probed_it() -> None:
    found = the_effect(host(1, *window(0), effect()), host(2, *window(0)))
    assert found["effect"] == "not-probed"
    assert found["measured"]["reason"] == "host-2 (10.0.0.2): nobody wrote whether it bit"


@pytest.mark.parametrize(
    ("second", "why"),
    [([], "it has no record of it"), ([*window(501), effect()], "it began it 501 ms after host-1 (10.0.0.1)")],
)
def test_a_host_that_missed_a_window_is_named_and_the_window_proves_nothing(
    second: list[dict[str, Any]], why: str
) -> None:
    both = merged([host(1, *window(0), effect()), host(2, *second)])
    ((found,), (amiss,)) = of_type(both, "effect"), of_type(both, "amiss")
    assert (amiss["host"], amiss["id"], amiss["why"]) == ("host-2 (10.0.0.2)", "w1", why)
    assert (found["effect"], found["measured"]["value"]) == ("not-probed", None)
    assert found["measured"]["reason"] == f"host-2 (10.0.0.2): {why}"
    assert of_type(both, "window")[-1]["step"] == "healed"


def test_a_missed_window_proves_nothing_even_where_others_saw_no_effect() -> None:
    found = the_effect(host(1, *window(0), effect("absent", 0, reason="none")), host(2))
    assert found["effect"] == "not-probed"
    assert found["measured"]["reason"] == "host-1 (10.0.0.1): none; host-2 (10.0.0.2): it has no record of it"


@pytest.mark.parametrize("name", [None, ["window"], {"a": 1}, 5])
def test_a_record_of_no_known_type_is_left_out(name: Any) -> None:
    assert merged([host(1, {"type": name, "id": "w1"}), host(2, {})]) == []


@pytest.mark.parametrize(("late_ms", "missed"), [(500, False), (508, False), (509, True)])
def test_how_late_is_late_leaves_room_for_both_clocks(late_ms: int, *, missed: bool) -> None:
    assert LATE_NS == 500 * MS
    hosts = [host(1, *window(0), effect(), bound_ns=5 * MS), host(2, *window(late_ms), effect(), bound_ns=3 * MS)]
    assert bool(of_type(merged(hosts), "amiss")) is missed


def test_a_host_that_brought_nothing_is_named_in_the_effect_and_has_a_finding_of_its_own_elsewhere() -> None:
    both = merged([host(1, *window(0), effect()), host(2, silent="it did not deliver its part")])
    ((found,), amiss) = of_type(both, "effect"), of_type(both, "amiss")
    assert (found["effect"], amiss) == ("not-probed", [])
    assert found["measured"]["reason"] == "host-2 (10.0.0.2): it did not deliver its part"


def acted(value: int, of: int) -> dict[str, Any]:
    seen = {"what": "sessions that did it", "unit": "sessions", "value": value, "of": of}
    name = "confirmed" if value else "absent"
    return {"type": "effect", "id": "w1", "effect": name, "measured": seen, "by": "lines"}


@pytest.mark.parametrize(
    ("seen", "expected", "value", "of"),
    [
        (((2, 2), (1, 1)), "confirmed", 3, 3),
        (((2, 2), (0, 0)), "confirmed", 2, 2),  # who was drawn for the act lives on the other host
        (((2, 2), (0, 1)), "absent", 2, 3),
        (((0, 0), (0, 0)), "absent", 0, 0),
    ],
)  # fmt: skip
def test_an_act_of_clients_is_counted_over_all_hosts(
    seen: tuple[tuple[int, int], ...], expected: str, value: int, of: int
) -> None:
    found = the_effect(*(host(number, *window(0), acted(*one)) for number, one in enumerate(seen, 1)))
    assert (found["effect"], found["measured"]["value"], found["measured"]["of"]) == (expected, value, of)
    (first_value, first_of), _ = seen
    assert f"; host-1 {'confirmed' if first_value else 'absent'} {first_value} of {first_of} sessions, " in found["by"]


@pytest.mark.parametrize("value", [10**400, float("nan"), "many", None, [1]])
def test_a_number_that_is_none_breaks_nothing(value: Any) -> None:
    found = the_effect(host(1, *window(0), acted(2, 2)), host(2, *window(0), effect(value=value, of=value)))
    assert found["by"] == "lines; host-1 confirmed 2 of 2 sessions, host-2 confirmed"
    assert found["measured"]["value"] == found["measured"]["of"] == 2


def test_what_each_host_left_behind_is_said_with_its_name() -> None:
    clean = {"type": "cleanup", "ok": True, "left": []}
    left = {"type": "cleanup", "ok": False, "left": ["gauntlet-x-treated: toxic jam"]}
    unsaid = {"type": "cleanup", "ok": False, "left": []}
    found = merged([host(1, clean), host(2, left), host(3, unsaid)])
    assert [record["host"] for record in found] == [f"host-{n} (10.0.0.{n})" for n in (1, 2, 3)]
    assert [record["left"] for record in found] == [
        [], ["host-2 (10.0.0.2): gauntlet-x-treated: toxic jam"], ["host-3 (10.0.0.3): unknown"],
    ]  # fmt: skip


def test_listeners_and_wedges_keep_their_host_and_what_is_the_conductors_own_stays_away() -> None:
    records = [{"type": kind, "id": "w1", "at_ns": 5} for kind in ("listeners", "wedge", "clock", "phase", "note")]
    found = merged([host(1, *records)])
    assert [(record["type"], record["host"]) for record in found] == [
        ("listeners", "host-1 (10.0.0.1)"), ("wedge", "host-1 (10.0.0.1)"),
    ]  # fmt: skip
