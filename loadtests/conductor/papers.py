"""What a run hands to its load processes, and what it says of itself: ``assignment.json`` and ``manifest.json``. No secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from loadtests import assignment, manifest
from loadtests.acts import KINDS, Act
from loadtests.conductor.options import Prepared
from loadtests.conductor.planning import FORMS

if TYPE_CHECKING:
    from chaos.plan import Plan

__all__ = ["Papers", "Part", "acts_of", "windows_of"]


class Part(NamedTuple):
    """Of all load processes of a run: its nonce, the number of the first one here, and how many there are everywhere."""

    nonce: str
    first: int
    workers: int


class Papers:
    """The same run, written down for others. ``url``: where its target listens. ``part``: which of a run on several hosts."""

    def __init__(self, prepared: Prepared, run_dir: Path, url: str, part: Part | None = None) -> None:
        self._p, self._dir, self._url = prepared, run_dir, url
        self._part = part or Part(manifest.new_nonce(), 0, prepared.options.processes)

    @property
    def nonce(self) -> str:
        """Marks every id of the run."""
        return self._part.nonce

    def assign(self, listeners: Mapping[str, tuple[str, int]]) -> None:
        """For the load processes; for the preflight, without listeners."""
        p, options = self._p, self._p.options
        one = assignment.Assignment(
            run_dir=str(self._dir), nonce=self.nonce, seed=options.seed, contract=str(self._dir / "contract.yaml"),
            scenario=str(self._dir / "scenario.yaml"), target=self._url, users=p.scenario.users, listeners=dict(listeners),
            treated_share=p.scenario.treated_share, workers=self._part.workers, first=self._part.first, token_env=options.token_env,
            token_file=options.token_file, token_program=options.token_program,
            ca=str(Path(options.ca).resolve()) if options.ca else "", resolve=options.resolve, sources=options.sources,
            acts=list(acts_of(p.plan)) if listeners else [],
        )  # fmt: skip
        (self._dir / "assignment.json").write_bytes(msgspec.json.format(msgspec.json.encode(one)))

    def declare(self, target: str, toxiproxy: str) -> None:
        """The manifest of a run that begins."""
        p, options = self._p, self._p.options
        manifest.write_manifest(
            self._dir,
            {
                "kind": "run", "scenario": p.scenario.name, "contract": p.contract.name, "contract_digest": p.contract.digest,
                "plan_digest": hashlib.sha256(p.plan.to_json().encode()).hexdigest()[:12], "seed": options.seed,
                "nonce": self.nonce, "target": target, "users": p.scenario.users, "pace_ms": p.scenario.pace_ms,
                "workers": self._part.workers, "labels": options.labels, "defect": options.defect, "chaos": p.chaos,
                "windows": windows_of(p.plan), "toxiproxy": toxiproxy, "scope": p.scenario.scope,
                "phases": [[phase.name, phase.s] for phase in p.scenario.phases],
                "declared_phases": list(p.phases), "backend": {} if p.target else p.backend_options, **self._experiment(),
            },
        )  # fmt: skip

    def _experiment(self) -> dict[str, Any]:
        one = self._p.experiment
        if one is None:
            return {}
        return {
            "experiment": one.name, "ref": one.ref, "form": self._p.options.form or FORMS[0], "hypothesis": one.hypothesis,
            "expects": msgspec.to_builtins(one.expects), "recovery_s": one.recovery_s,
        }  # fmt: skip


def windows_of(plan: Plan) -> list[dict[str, Any]]:
    """What the judge must know of each window before it reads whether it bit."""
    return [
        {
            "id": w.id, "kind": w.kind, "cohort": w.cohort, "start_ms": w.start_ms, "end_ms": w.end_ms, "place": w.fault.place,
            "disconnects": w.fault.disconnects, "may_disconnect": w.fault.may_disconnect, "swallows": w.fault.swallows,
        }
        for w in plan.windows
    ]  # fmt: skip


def acts_of(plan: Plan) -> Iterator[Act]:
    """Those windows in which our own sessions have a part."""
    for w in plan.windows:
        if w.kind in KINDS or w.fault.extra:
            listener = f"{w.cohort}-{w.fault.extra}" if w.fault.extra else ""
            yield Act(w.id, w.kind, w.cohort, w.start_ms, w.end_ms, w.asked, listener)
