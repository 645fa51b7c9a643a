"""``gauntlet selftest``: the judge proves itself on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from loadtests.conductor.selftest import Cell, Figures

__all__ = ["selftest"]

NOT_RIGHT = 1


def selftest(
    seeds: Annotated[int, typer.Option(min=1, help="Seeds a defect, with an occasion for it.")] = 5,
    defect: Annotated[str, typer.Option(help="Only this defect of the backend, or mistake of a client.")] = "",
    contract: Annotated[str, typer.Option(help="Only under this contract: reference or netra.")] = "",
    runs: Annotated[
        int, typer.Option(min=0, help="Clean runs a contract, under faults, in search of false alarms.")
    ] = 50,
    only_clean: Annotated[bool, typer.Option("--only-clean", help="Only the clean runs.")] = False,
    seed: Annotated[int, typer.Option(help="Play and show this one run.")] = -1,
) -> None:
    """Play every planted defect in virtual time, judge it, and compare what was found with what must be found.

    Example: [bold]gauntlet selftest --seeds 20[/bold], or [bold]gauntlet selftest --defect duplicate --seed 3[/bold]

    Exit: 0 everything was found by exactly the right checkers and nothing else was; 1 it was not.
    """
    from loadtests.conductor import selftest as proof
    from loadtests.configfile import nearest
    from loadtests.errors import ConfigError

    if contract and contract not in proof.CONTRACTS:
        raise ConfigError(
            "--contract", "", f"no defects are planned for {contract!r}", nearest(contract, list(proof.CONTRACTS))
        )
    contracts = (contract,) if contract else proof.CONTRACTS
    defects = proof.names(defect)
    if seed >= 0:
        raise typer.Exit(0 if _one(seed, defect, contracts[0]) else NOT_RIGHT)
    if only_clean and defect:
        raise ConfigError("--only-clean", "", f"no clean run has {defect!r}", "--defect or --only-clean, not both")
    if only_clean and not runs:
        raise ConfigError("--runs", "", "with --only-clean, 0 plays nothing", "at least 1 clean run")
    ok = True
    if runs and not defect:
        for name in contracts:
            clean = proof.figures(name, runs)
            ok = ok and clean.ok
            _show_figures(clean)
    if only_clean:
        raise typer.Exit(_exit(ok=ok))
    typer.echo(f"{'defect':<24} {'contract':<10} {'found':>7}  {'must be found by':<22} {'wrong ids':<20} false alarms")
    cells = []
    for cell in proof.matrix(defects, contracts, seeds):
        cells.append(cell)
        ok = ok and cell.ok
        _show_cell(cell)
    rare = proof.rare_faults(cells)
    if rare:
        typer.echo(
            "faults of single scenes: " + ", ".join(f"{kind} {done}/{count}" for kind, (done, count) in rare.items())
        )
    for kind in [kind for kind, (done, _) in rare.items() if not done]:
        ok = False
        typer.echo(f"  no {kind} ever did anything: play more seeds")
    raise typer.Exit(_exit(ok=ok))


def _exit(*, ok: bool) -> int:
    typer.echo("the judge is right" if ok else "the judge is NOT right")
    return 0 if ok else NOT_RIGHT


def _show_figures(clean: Figures) -> None:
    from loadtests.conductor import selftest as proof

    each_ms = clean.seconds / clean.runs * 1000
    typer.echo(
        f"{clean.contract}: {clean.runs} clean runs, {clean.sessions} sessions, {clean.turns} turns, {clean.events} events in "
        f"{clean.seconds:.1f} s of one core ({each_ms:.0f} ms each); {clean.reconnecting_share:.0%} with a reconnect, "
        f"{clean.small} smaller than promised, {len(clean.false_alarms)} false alarms"
    )
    typer.echo(
        "  faults: "
        + ", ".join(
            f"{kind} {clean.effective[kind]}/{clean.faults[kind]}" for kind in sorted({*clean.kinds, *clean.faults})
        )
    )
    if clean.reconnecting_share < proof.LEAST_RECONNECTING:
        typer.echo(
            f"  fewer than {proof.LEAST_RECONNECTING:.0%} with a reconnect: too few sessions come back to prove anything"
        )
    if clean.small:
        typer.echo("  runs smaller than promised: they prove less than they seem to")
    for kind in clean.idle_faults:
        typer.echo(f"  no {kind} ever did anything: play more runs")
    for seed, ids in list(clean.false_alarms.items())[:5]:
        typer.echo(f"  FALSE ALARM {', '.join(ids)}: {proof.command('', clean.contract, seed)}")


def _show_cell(cell: Cell) -> None:
    from loadtests.conductor import selftest as proof

    may = sorted(proof.possible(cell.defect, cell.contract))
    must = ", ".join([*sorted(cell.expected), *(f"({one})" for one in may)]) or "–"
    wrong = ", ".join(f"{id_} {count}" for id_, count in sorted(cell.wrong.items())) or "–"
    few = f"  <- an occasion in {cell.seeds} of {cell.runs} runs, and {cell.wanted} wanted"
    mark = "" if cell.ok else few if cell.witness < 0 else "  <- WRONG"
    found = f"{cell.detected}/{cell.seeds}" if cell.expected else "–"
    typer.echo(f"{cell.defect:<24} {cell.contract:<10} {found:>7}  {must:<22} {wrong:<20} {cell.false_alarms}{mark}")
    if not cell.ok and cell.witness >= 0:
        typer.echo(f"  replay it: {proof.command(cell.defect, cell.contract, cell.witness)}")


def _one(seed: int, defect: str, contract_name: str) -> bool:
    """One run, told at length."""
    from loadtests.conductor import selftest as proof

    played = proof.twin(seed, contract_name, proof.scene_of(defect), defect)
    plan = played.plan
    typer.echo(
        f"{plan.scene}: {plan.users} users, {len(plan.treated)} treated, {plan.turns} turns each, one every {plan.pace_ms} ms, "
        f"shape {plan.shape}"
    )
    for fault in plan.faults:
        end_ms = fault.start_ms + fault.duration_ms
        typer.echo(
            f"  {fault.start_ms:8.1f} - {end_ms:8.1f} ms  {fault.id} {fault.kind} {fault.direction} {fault.amount:.0f}: "
            f"touched {played.touched[fault.id]}"
        )
    for one in played.findings:
        at_ms = (one.at_ns - played.start_ns) / 1e6
        typer.echo(
            f"  {at_ms:10.3f} ms  session {one.session} turn {one.turn} row {one.row}  {one.kind.checker}: {one.kind.name}"
        )
    contract = proof.compiled(contract_name, proof.promised(defect))
    ids = proof.found(played, contract) - proof.possible(defect, contract_name)
    must = proof.expected(defect, contract_name) if played.planted else frozenset()
    typer.echo(f"planted {played.planted}, history {played.digest}")
    typer.echo(f"found: {', '.join(sorted(ids)) or 'nothing'}; must be found: {', '.join(sorted(must)) or 'nothing'}")
    return ids == must
