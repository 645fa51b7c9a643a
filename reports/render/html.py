"""``report.html``: one offline page, whole without scripts. It asks nothing of the network, and every text that reaches
the template is made harmless first, whoever wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.judgement import Cause, Judgement, Witness
from reports.render import figures, valuechain, wording
from reports.render.panels import Panel, funnel, panels
from reports.render.wording import shown

__all__ = ["Fact", "anchors", "environment", "render_html", "source", "templates"]

TEMPLATES = Path(__file__).with_name("templates")
#: foreign causes and reasons may be long; a first screen has room for these
MOST_CAUSES, MOST_CONSEQUENCES, MOST_NOT_CHECKED = 3, 2, 8
SENTENCE, TITLE, CAUSE, CONSEQUENCE = 240, 110, 200, 60


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a table of names and values."""

    name: str
    value: str


def render_html(judgement: Judgement) -> str:
    """The text of ``report.html``."""
    script, style = (source(name) for name in ("report.js", "report.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    drawn = panels(judgement)
    return templates().get_template("report.html.j2").render(
        j=judgement, manifest=judgement.manifest, first=drawn[0], panels=drawn[1:], anchors=anchors(judgement),
        environment=environment(judgement.manifest), script=Markup(script), style=Markup(style), digest=digest,  # noqa: S704
        limits={"causes": MOST_CAUSES, "consequences": MOST_CONSEQUENCES, "not_checked": MOST_NOT_CHECKED},
        room={"sentence": SENTENCE, "title": TITLE, "consequence": CONSEQUENCE},
        cut=any(_is_cut(cause) for cause in judgement.causes) or len(judgement.causes) > MOST_CAUSES,
        ran=_what_ran(judgement), control=wording.about_control(judgement), warnings=_warnings(judgement),
        nodes=wording.about_nodes(judgement), ours=wording.on_our_side(judgement),
        again=wording.again_command(judgement), funnel=funnel(judgement), chain=valuechain.tables(judgement),
    )  # fmt: skip


def anchors(judgement: Judgement) -> dict[Witness, str]:
    """Each witness once, with the id that it has on the page; those of checks first, since a cause cites them."""
    witnesses = [w for check in judgement.checks for w in check.witnesses]
    witnesses += [w for cause in judgement.causes for w in cause.witnesses]
    return {witness: f"w{place}" for place, witness in enumerate(dict.fromkeys(witnesses), start=1)}


def environment(manifest: Mapping[str, Any], under: str = "") -> list[Fact]:
    """The manifest as flat names and values; addresses lose what could be a credential."""
    facts: list[Fact] = []
    for key, value in sorted(manifest.items(), key=lambda item: str(item[0])):
        name = f"{under}{key}"
        if isinstance(value, Mapping):
            facts += environment(value, f"{name}.")
        elif isinstance(value, list | tuple):
            facts.append(Fact(name, wording.without_credentials(" ".join(shown(item) for item in value))))
        else:
            facts.append(Fact(name, wording.without_credentials(shown(value))))
    return facts


def _room(cause: Cause) -> int:
    """How much of a cause's detail the first screen has room for: a short title leaves more."""
    return CAUSE - min(len(cause.title), TITLE)


def _is_cut(cause: Cause) -> bool:
    """Whether the first screen has no room for all of this cause."""
    return (
        len(cause.title) > TITLE
        or len(cause.detail) > _room(cause)
        or len(cause.consequences) > MOST_CONSEQUENCES
        or any(len(what) > CONSEQUENCE for what in cause.consequences)
    )


def _warnings(judgement: Judgement) -> int:
    gates = [gate for gate in judgement.gates if gate.severity == "warn" and gate.verdict == "fail"]
    return len(gates) + sum(check.warnings for check in judgement.checks)


def _what_ran(judgement: Judgement) -> list[Fact]:
    manifest = judgement.manifest
    labels = manifest.get("labels") or {}
    build = shown(labels["build"], 40) if "build" in labels else "not labelled (--label build=…)"
    seconds = max((end for _, _, end in judgement.phases), default=None)
    users, pace_ms = manifest.get("users"), manifest.get("pace_ms")
    load = f"{shown(users, 20)} users" if users is not None else "unknown"
    load += f", a turn each {figures.duration_s(pace_ms / 1000)} s" if isinstance(pace_ms, int | float) else ""
    facts = [
        ("run", shown(judgement.run.rstrip("/").rpartition("/")[2], 60)),
        ("target", wording.without_credentials(shown(manifest.get("target", "unknown"), 120))),
        ("build", build),
        ("scenario", shown(manifest.get("scenario", "unknown"), 40)),
        ("contract", shown(manifest.get("contract", "unknown"), 40)),
        ("load", load),
        ("seed", shown(manifest.get("seed", "unknown"), 40)),
        ("lasted", f"{figures.duration_s(seconds)} s"),
    ]
    return [Fact(name, value) for name, value in facts]


@cache
def source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def templates() -> Environment:
    """Where pages come from: every text is made harmless on its way into one."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_harmless,
    )  # fmt: skip
    made.filters.update(
        {name: getattr(wording, name) for name in (
            "about_experiment", "asked", "back", "behind", "budget_used", "certain", "fault_state", "gate_observed", "listed", "measured",
            "shown", "when",
        )},
        count=figures.count, duration_s=figures.duration_s, percent=figures.percent,
        mark=_mark, status=_status, svg=_svg, whole=escape, quoted=shlex.quote,
    )  # fmt: skip
    made.globals.update(
        VERDICTS=wording.VERDICTS, SIGNS=wording.SIGNS, show_command=wording.show_command, room_of=_room
    )
    return made


def _harmless(value: Any) -> Any:
    """What every expression of the template passes through, so that no place can be forgotten."""
    if isinstance(value, Markup):
        return value
    return "—" if value is None else shown(value)


def _status(state: str) -> Markup:
    """Sign, word and tone: never a colour alone."""
    sign, word, tone = wording.SIGNS[state]
    return Markup('<span class="st {}"><span aria-hidden="true">{}</span> {}</span>').format(tone, sign, word)


def _mark(good: bool) -> Markup:
    """A sign before words that say the same."""
    sign, _, tone = wording.SIGNS["pass" if good else "fail"]
    return Markup('<span class="{}" aria-hidden="true">{}</span>').format(tone, sign)


def _svg(panel: Panel) -> Markup:
    """The drawings are ours, and their texts were escaped when they were drawn."""
    return Markup(panel.svg)  # noqa: S704
