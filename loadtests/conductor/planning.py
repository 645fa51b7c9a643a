"""Which faults a run will meet: a scenario's own, or an experiment's or a recorded plan's in their place; and the timed plan of
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from loadtests import scenario
from loadtests.configfile import nearest, read_yaml
from loadtests.errors import ConfigError
from loadtests.scenario import Phase, Scenario

if TYPE_CHECKING:
    from chaos.experiment import Experiment
    from chaos.plan import Plan

__all__ = [
    "FORMS",
    "before",
    "faults_before",
    "form_of",
    "plan_named",
    "plan_of",
    "replayed",
    "with_experiment",
]

Form = Literal["full", "short"]
FORMS: tuple[Form, ...] = ("full", "short")
#: what an experiment may say instead of its scenario
WISHES = ("users", "pace_ms", "prompts", "treated_share", "retry", "abort", "contract")
PLAN = ".json"


def form_of(text: str) -> Form:
    """The form that is meant; the full one if none is named.

    Raises:
        ConfigError: there is no such form.
    """
    for form in FORMS:
        if text in {form, ""}:
            return form
    raise ConfigError("--form", "", f"{text!r}", "one of " + ", ".join(FORMS))


def plan_of(phases: Sequence[Phase], scope: Literal["cohort", "backend"], seed: int, where: str) -> Plan:
    """The timed plan of the phases' faults.

    Raises:
        ConfigError: a fault is misspelt or out of bounds, or a rule is broken.
    """
    from chaos.plan import PhaseSpec, make_plan

    specs = [PhaseSpec(phase.name, phase.s, phase.fault, faults=tuple(phase.faults)) for phase in phases]
    return make_plan(specs, seed, where, scope)


def with_experiment(own: Scenario, name: str, form: str) -> tuple[Experiment, Scenario, str]:
    """An experiment, a scenario with the experiment's phases in the place of its own, and where those stand.

    Raises:
        ConfigError: no such experiment or form.
    """
    from chaos import experiment

    chosen = form_of(form)
    one, where = replayed(Path(name)) if name.endswith(PLAN) else experiment.load(name)
    wishes = {key: wish for key in WISHES if (wish := getattr(one, key)) is not None}
    ours = msgspec.structs.replace(
        own, name=f"{own.name}-{one.name}", title=one.title, phases=one.phases(chosen), scope=one.scope, **wishes
    )
    return one, scenario.whole(ours, where), where


def replayed(path: Path) -> tuple[Experiment, str]:
    """A recorded ``plan.json`` as an experiment; the run beside or above it says what else it asked for.

    Raises:
        ConfigError: no plan, or one that breaks a rule.
    """
    from chaos.plan import Plan

    try:
        plan = Plan.from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError("--experiment", "", f"{path}: {error.strerror}", "the plan.json of a run") from None
    phases = [Phase(phase.name, (phase.end_ms - phase.start_ms) / 1000) for phase in plan.phases]
    starts_ms = {phase.name: phase.start_ms for phase in plan.phases}
    for index, phase in enumerate(phases):
        faults = [
            {
                "at_s": (window.start_ms - starts_ms[phase.name]) / 1000, "for_s": (window.end_ms - window.start_ms) / 1000,
                "cohort": window.cohort, "fault": {"kind": window.kind, **window.asked},
            }
            for window in plan.windows
            if window.phase == phase.name
        ]  # fmt: skip
        phases[index] = msgspec.structs.replace(phase, faults=faults)
    return msgspec.structs.replace(
        _origin(path), name="plan", title=f"The plan in {path.name}", full=phases, short=phases, scope=plan.scope
    ), str(path)


def _origin(path: Path) -> Experiment:
    """What the run that the plan belongs to asked for: its built-in experiment, and the options of the embedded backend."""
    from chaos import experiment
    from chaos.experiment import Experiment
    from loadtests.manifest import read_manifest

    origin = Experiment(
        experiment=1, name="plan", title="", hypothesis="Nothing wrong is shown under this plan.", full=[], short=[]
    )
    manifest = read_manifest(path.parent) or read_manifest(path.parent.parent)
    if (name := manifest.get("experiment")) in experiment.names():
        origin = experiment.load(name)[0]
    asked = manifest.get("backend")
    # Of a run against a target it says nothing, and takes nothing from the experiment.
    return msgspec.structs.replace(origin, backend=asked) if isinstance(asked, dict) and asked else origin


def before(name_or_path: str) -> tuple[str, ...]:
    """Phases that a run's own ``scenario.yaml`` may name in its gates, though an experiment has taken their place."""
    from loadtests.manifest import read_manifest

    path = Path(name_or_path)
    declared = read_manifest(path.parent).get("declared_phases") if path.is_file() else None
    return tuple(map(str, declared)) if isinstance(declared, list) else ()


def faults_before(phases: Sequence[str]) -> list[str]:
    """Faults that gates may name, as the judge understands them, of phases that are gone: each had one at most."""
    from chaos.faults import FAULTS

    return [*(f"w{number}" for number, _ in enumerate(phases, 1)), *FAULTS] if phases else []


def plan_named(what: str, seed: int, form: str = "") -> Plan:
    """The plan of an experiment or a scenario by its name, as a run would make it.

    Raises:
        ConfigError: neither, no such form, or a mistake in the file.
    """
    from chaos import experiment

    if what in experiment.names() or _says(what, "experiment"):
        chosen = form_of(form)
        one, where = experiment.load(what)
        return plan_of(one.phases(chosen), one.scope, seed, where)
    if form:
        raise ConfigError("--form", "", f"{what} is no experiment, and only an experiment has forms", "no --form")
    built_in = [path.stem for path in scenario.BUILT_IN.glob("*.yaml")]
    if what not in built_in and not Path(what).is_file():
        hint = nearest(what, [*experiment.names(), *built_in])
        raise ConfigError("EXPERIMENT", "", f"no experiment or scenario {what!r}", hint)
    own, where = scenario.load(what)
    return plan_of(own.phases, own.scope, seed, where)


def _says(what: str, key: str) -> bool:
    """Whether it is a file that says so of itself."""
    path = Path(what)
    return path.suffix in {".yaml", ".yml"} and path.is_file() and key in read_yaml(path)
