"""An experiment: a hypothesis in words, the phases that try it in a full and a short form, and what is expected. Data.

It knows no time line and no network; a scenario's phases become its phases.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from chaos.plan import PhaseSpec, Scope, make_plan
from loadtests.cohorts import LEAST_CONTROL
from loadtests.configfile import convert, nearest, read_yaml
from loadtests.errors import ConfigError
from loadtests.prompts import Prompt, check
from loadtests.retry import Policy, policy_of
from loadtests.scenario import Abort, Phase

__all__ = ["BUILT_IN", "Expects", "Experiment", "Form", "load", "names"]

BUILT_IN = Path(__file__).parent / "experiments"
Form = Literal["full", "short"]
FORMS: tuple[Form, ...] = ("full", "short")


class Expects(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sound system shows."""

    #: of sessions that had been ready
    reconnects: Literal["none", "some", "any"] = "any"


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is None, or empty, stays as the scenario has it."""

    experiment: Literal[1]
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Annotated[str, msgspec.Meta(min_length=1)]
    hypothesis: Annotated[str, msgspec.Meta(min_length=1)]
    full: Annotated[list[Phase], msgspec.Meta(min_length=1)]
    short: Annotated[list[Phase], msgspec.Meta(min_length=1)]
    ref: str = ""
    scope: Scope = "cohort"
    #: at least a fifth is never touched
    treated_share: Annotated[float, msgspec.Meta(gt=0, le=1 - LEAST_CONTROL)] | None = None
    #: within which a session that was cut is served again
    recovery_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    expects: Expects = Expects()
    users: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    pace_ms: Annotated[int, msgspec.Meta(ge=1)] | None = None
    prompts: Annotated[list[str | Prompt], msgspec.Meta(min_length=1)] | None = None
    #: each prompt that is a plain text is repeated until it is as long as this
    prompt_bytes: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    retry: Policy | None = None
    abort: Abort | None = None
    contract: str | None = None
    #: the embedded backend's own count of its sessions is held against its clients' connections
    counts_sessions: bool = False
    #: options of the embedded backend
    backend: dict[str, Any] = {}

    def phases(self, form: Form = "full") -> list[Phase]:
        return self.short if form == "short" else self.full


def names() -> list[str]:
    """The built-in experiments."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def load(name_or_path: str) -> tuple[Experiment, str]:
    """A built-in experiment or a YAML file, and where it came from; both its forms make a plan.

    Raises:
        ConfigError: no such experiment, or a mistake in it: names the file, the key path and the nearest valid word.
    """
    path, where = BUILT_IN / f"{name_or_path}.yaml", f"experiment {name_or_path}"
    if name_or_path not in names():
        path, where = Path(name_or_path), name_or_path
        if path.suffix not in {".yaml", ".yml"} and not path.is_file():
            hint = nearest(name_or_path, names()) + " or a YAML file"
            raise ConfigError("--experiment", "", f"no experiment {name_or_path!r}", hint)
    data = read_yaml(path)
    if "retry" in data:
        data["retry"] = msgspec.to_builtins(policy_of(data["retry"], where))
    experiment = convert(data, Experiment, where)
    if path.parent == BUILT_IN and experiment.name != path.stem:
        raise ConfigError(where, "name", f"{experiment.name!r} in {path.name}", path.stem)
    for form in FORMS:
        _check(experiment, form, where)
    if experiment.prompts is not None:
        check(experiment.prompts, where)
        experiment = msgspec.structs.replace(experiment, prompts=_long(experiment.prompts, experiment.prompt_bytes))
    return experiment, where


def _check(experiment: Experiment, form: Form, where: str) -> None:
    phases = experiment.phases(form)
    specs = [PhaseSpec(phase.name, phase.s, phase.fault, faults=phase.faults) for phase in phases]
    try:
        make_plan(specs, 1, where, experiment.scope)
    except ConfigError as error:
        place = error.place.replace("phases", form, 1) if error.place.startswith("phases") else f"{form}: {error.place}"
        raise ConfigError(where, place, error.problem, error.expected) from None
    if not phases[0].is_quiet:
        raise ConfigError(where, f"{form}[0]", "the first phase has a fault", "a steady one, to compare with")


def _long(prompts: list[str | Prompt], size_bytes: int) -> list[str | Prompt]:
    return [
        (one + " ") * -(-size_bytes // (len(one.encode()) + 1)) if isinstance(one, str) and size_bytes else one
        for one in prompts
    ]
