"""The value chain in words and tables: how far turns came, what users perceived, what came after what. Ready text, in no
format; whoever shows it escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reports.analytics import Analytics, Step
from reports.endings import ENDINGS
from reports.judgement import Judgement
from reports.render.figures import NARROW, bytes_of, count, duration_s, finite, percent, rate
from reports.render.wording import shown

__all__ = ["LAYERS", "Table", "lead", "perceived", "step_name", "streamed", "tables"]

#: layer -> what a person would call it
LAYERS = {"fast": "first sign of life", "medium": "first thing to read", "slow": "whole answer"}
#: how a turn ended -> what that counts as
COUNTS_AS: dict[str, str] = {one.name: one.counts_as for one in ENDINGS.values()}
NAME = 60
MOST_EVENTS = 16


@dataclass(frozen=True, slots=True)
class Table:
    """``left``: the columns after the first that hold words and not numbers. ``folded``: only for who wants to know more."""

    id: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: frozenset[int] = frozenset()
    folded: bool = True


def step_name(step: Step) -> str:
    """A step by the contract's own names."""
    return " / ".join(shown(name, NAME) for name in step.names) or step.role


def lead(judgement: Judgement) -> str:
    """How many turns came to their end, where most of the others stopped, and where the time went."""
    made: Analytics | None = judgement.analytics
    if made is None or not made.funnel or not made.funnel[0].turns:
        return "No turn was sent: there is no way to follow."
    sent, done = made.funnel[0].turns, made.funnel[-1].turns
    words = [f"{count(done)} of {count(sent)} turns came to their end ({percent(done / sent)})."]
    worst = max(made.funnel, key=lambda step: sum(step.stopped.values()))
    if lost := sum(worst.stopped.values()):
        rest = sent - done
        if lost == rest:
            who = "The other one" if lost == 1 else f"All others, {count(lost)},"
        else:
            who = f"Most of the others, {count(lost)}," if 2 * lost > rest else f"{count(lost)} of the others"
        words.append(f"{who} came no further than {step_name(worst)} ({_shares(worst.stopped)}).")
    if made.followed and made.followed[0].share:
        longest = made.followed[0]
        before, after = shown(longest.before, NAME), shown(longest.after, NAME)
        pair = f"one {before} and the next" if longest.before == longest.after else f"{before} and {after}"
        words.append(f"{percent(round(longest.share, 2))} of the time passed between {pair}.")
    return " ".join(words)


def perceived(judgement: Judgement) -> str:
    """The three layers in one line: 95th percentiles of turns clear of faults."""
    made: Analytics | None = judgement.analytics
    if made is None or not any(layer.turns for layer in made.layers):
        return ""
    said = (f"{LAYERS[layer.name]} {_ms(layer.p95_ms)}" for layer in made.layers)
    return "p95 clear of faults: " + ", ".join(said)


def streamed(judgement: Judgement) -> str:
    """How answers were streamed, in one line; empty: they were not."""
    made: Analytics | None = judgement.analytics
    if made is None or made.stream is None:
        return ""
    s = made.stream
    return (
        f"{count(s.chunks)} chunks in {count(s.turns)} turns: first chunk p95 {_ms(s.ttft_p95_ms)}, gap p95 {_ms(s.gap_p95_ms)}, "
        f"longest stall {_ms(s.stall_max_ms)}, median {rate(s.rate_p50_per_s)} a second"
    )  # fmt: skip


def tables(judgement: Judgement) -> tuple[Table, ...]:
    """Those that have a row, in the order in which people ask."""
    made: Analytics | None = judgement.analytics
    if made is None:
        return ()
    found = (
        _layers(made), _endings(judgement), _stream(made), _followed(made), _sequences(made), _types(made), _versions(made),
    )  # fmt: skip
    return tuple(table for table in found if table.rows)


def _ms(value: float | None) -> str:
    return "never" if finite(value) is None else f"{count(value)}{NARROW}ms"


def _shares(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{shown(how, 40)} {count(turns)}" for how, turns in outcomes.items())


def _layers(made: Analytics) -> Table:
    rows = (
        (
            LAYERS[one.name],
            *(count(value) for value in (one.p50_ms, one.p95_ms, one.p99_ms)),
            count(one.expected_ms) if one.expected_ms is not None else "as it takes",
            percent(one.within),
            f"{count(one.never)} of {count(one.turns)}",
            count(one.hit_p95_ms) if one.hit_turns else "no such turn",
        )
        for one in made.layers
        if one.turns or one.hit_turns
    )
    return Table(
        "layers",
        "What users perceive",
        "Milliseconds since the intended send, over turns clear of faults; a dash is a percentile that never came. The first "
        "thing to read is a thought or a piece of the answer, else its end.",
        ("layer", "p50", "p95", "p99", "meant within ms", "in time", "never", "p95 under a fault"),
        tuple(rows),
        folded=False,
    )


def _endings(judgement: Judgement) -> Table:
    books = judgement.books
    order = sorted(books.outcomes.items(), key=lambda one: (-one[1], one[0]))
    return Table(
        "endings",
        "How turns ended",
        "Degraded, refused and the like is what the backend said itself; cut, in doubt and abandoned is how the client saw it.",
        ("ending", "turns", "of sent", "counts as"),
        tuple(
            (shown(how, 40), count(turns), percent(turns / books.sent if books.sent else None), COUNTS_AS.get(how, "censored"))
            for how, turns in order
        ),
        frozenset({3}),
        folded=False,
    )  # fmt: skip


def _stream(made: Analytics) -> Table:
    s = made.stream
    rows = () if s is None else (
        ("first chunk, ms since intended send", count(s.ttft_p50_ms), count(s.ttft_p95_ms), "—"),
        ("gap between two chunks, ms", count(s.gap_p50_ms), count(s.gap_p95_ms), "—"),
        ("longest stall of a turn, ms", "—", count(s.stall_p95_ms), count(s.stall_max_ms)),
        ("chunks a second", rate(s.rate_p50_per_s), rate(s.rate_p5_per_s), "—"),
    )  # fmt: skip
    about = "" if s is None else f"{count(s.chunks)} chunks in {count(s.turns)} turns. "
    return Table(
        "stream", "Streamed answers", f"{about}Of the rate, the slow end is the 5th percentile; of times, the 95th.",
        ("what", "median", "slow end", "longest"), rows, folded=False,
    )  # fmt: skip


def _followed(made: Analytics) -> Table:
    return Table(
        "followed",
        _of("What came after what", len(made.followed), made.of_followed),
        "Neighbours within a turn by the time that passed between them, all turns taken together.",
        ("after", "came", "times", "p50 ms", "p95 ms", "of all time"),
        tuple(
            (shown(one.before, NAME), shown(one.after, NAME), count(one.times), count(one.p50_ms), count(one.p95_ms),
             percent(one.share))
            for one in made.followed
        ),
        frozenset({1}),
    )  # fmt: skip


def _sequences(made: Analytics) -> Table:
    return Table(
        "sequences",
        _of("Most frequent sequences", len(made.sequences), made.of_sequences),
        "What a turn received, in the order of arrival; a plus: several times in a row. See one: gauntlet show RUN SESSION.TURN.",
        ("turns", "of all", "p50 ms", "ended", "events", "see"),
        tuple(
            (count(one.turns), percent(one.share), count(one.p50_ms), _shares(one.outcomes), _arrows(one.events), shown(one.example))
            for one in made.sequences
        ),
        frozenset({3, 4, 5}),
    )  # fmt: skip


def _arrows(events: tuple[str, ...]) -> str:
    more = " → …" if len(events) > MOST_EVENTS else ""
    return " → ".join(shown(name, NAME) for name in events[:MOST_EVENTS]) + more or "nothing"


def _types(made: Analytics) -> Table:
    return Table(
        "types",
        _of("Types on the wire", len(made.types), made.of_types),
        "Every type that frames named, those that the contract does not approve first.",
        ("type", "standing", "is", "frames", "size", "first in"),
        tuple(
            (shown(one.type, NAME), one.standing, shown(one.event, NAME) if one.event != one.type else "", count(one.frames),
             bytes_of(one.bytes), shown(one.example, 40))
            for one in made.types
        ),
        frozenset({1, 2, 5}),
    )  # fmt: skip


def _versions(made: Analytics) -> Table:
    return Table(
        "versions", "Versions of the event format", "Old and new may be mixed while a rollout lasts.",
        ("version", "standing", "frames", "first s", "last s"),
        tuple(
            (shown(one.version, NAME), one.standing, count(one.frames), duration_s(one.first_s), duration_s(one.last_s))
            for one in made.versions
        ),
        frozenset({1}),
    )  # fmt: skip


def _of(title: str, listed: int, of: int) -> str:
    return f"{title} ({count(listed)} of {count(of)})" if listed < of else title
