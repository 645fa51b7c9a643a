"""What holds the house together: import directions, mirrored tests, a README that names everything, no event names in
code, no trace of a machine.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from loadtests.contract import load

ROOT = Path(__file__).parent.parent
PACKAGES = ("loadtests", "chaos", "reports")
CONTRACTS = sorted(path.stem for path in (ROOT / "loadtests" / "contracts").glob("*.yaml"))

#: the composition root: these alone see all three packages, lazily, and nobody sees them
COMPOSITION = ("loadtests.conductor", "loadtests.cli")
#: modules that run inside a Locust worker, where sockets are gevent's
LOCUST_SIDE = frozenset(
    f"loadtests.{name}"
    for name in (
        "actor",
        "bell",
        "chat",
        "door",
        "floor",
        "health",
        "livestats",
        "locustfile",
        "probe",
        "process",
        "shapes",
        "transport",
        "users",
    )
)
MONKEY = frozenset({"locust", "gevent"})

SMALL = 15  # lines of code under which an __init__ or __main__ needs no test of its own


@dataclass(frozen=True, slots=True)
class Module:
    name: str
    path: Path
    tree: ast.Module

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))


@dataclass(frozen=True, slots=True)
class Import:
    target: str
    line: int
    lazy: bool


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found.append(Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path))))
    return tuple(found)


def imports_of(tree: ast.Module) -> Iterator[Import]:
    """Every import; lazy are those inside a function or under ``if TYPE_CHECKING``."""
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, lazy = pending.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(f"{node.module}.{alias.name}", node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += [(child, True) for child in node.body] + [(child, lazy) for child in node.orelse]
        else:
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            pending += [(child, inside) for child in ast.iter_child_nodes(node)]


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def listing(problems: Iterable[str]) -> str:
    return "\n  ".join(["", *sorted(problems)])


# -- imports point only down -------------------------------------------------------------------------------------------


def test_loadtests_imports_neither_chaos_nor_reports_but_lazily_in_the_composition_root() -> None:
    wrong = [
        f"{m.where}:{i.line}: {i.target}"
        for m in modules()
        if within(m.name, "loadtests")
        for i in imports_of(m.tree)
        if within(i.target, "chaos", "reports") and not (i.lazy and within(m.name, *COMPOSITION))
    ]
    assert not wrong, listing(wrong)


def test_chaos_never_imports_reports() -> None:
    wrong = [
        f"{m.where}:{i.line}: {i.target}"
        for m in modules()
        if within(m.name, "chaos")
        for i in imports_of(m.tree)
        if within(i.target, "reports")
    ]
    assert not wrong, listing(wrong)


def test_nobody_imports_the_composition_root_but_itself() -> None:
    wrong = [
        f"{m.where}:{i.line}: {i.target}"
        for m in modules()
        if not within(m.name, *COMPOSITION)
        for i in imports_of(m.tree)
        if within(i.target, *COMPOSITION)
    ]
    assert not wrong, listing(wrong)


def test_only_the_locust_side_imports_locust_or_gevent() -> None:
    wrong = [
        f"{m.where}:{i.line}: {i.target}"
        for m in modules()
        if m.name not in LOCUST_SIDE
        for i in imports_of(m.tree)
        if i.target.split(".")[0] in MONKEY
    ]
    assert not wrong, listing(wrong)


def test_everything_but_the_locust_side_leaves_sockets_alone() -> None:
    """Imported for real, with everything that those modules pull in: locust would monkey-patch sockets."""
    names = [m.name for m in modules() if m.name not in LOCUST_SIDE and not m.name.endswith("__main__")]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {sorted(MONKEY)!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


# -- every module has its test -----------------------------------------------------------------------------------------


def lines_of_code(tree: ast.Module) -> int:
    """Lines that do something: no docstring, no import, no ``__all__``."""
    lines: set[int] = set()
    for node in tree.body:
        idle = isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        if not idle and exported(node) is None:
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def mirrors_of(module: Module) -> list[Path]:
    """Where a module's test may stand: loadtests/x/y.py is tested by tests/loadtests/x/test_y.py."""
    path = ROOT / "tests" / module.path.relative_to(ROOT)
    match path.stem:
        case "__init__":
            return [path.parent / f"test_{path.parent.name}.py", path.parent.parent / f"test_{path.parent.name}.py"]
        case "__main__":
            return [path.parent / "test_main.py"]
        case stem:
            return [path.parent / f"test_{stem}.py"]


def test_every_module_has_its_test() -> None:
    missing = [
        f"{m.where} -> {mirrors_of(m)[0].relative_to(ROOT)}"
        for m in modules()
        if not (m.path.stem in {"__init__", "__main__"} and lines_of_code(m.tree) < SMALL)
        if not any(path.is_file() for path in mirrors_of(m))
    ]
    assert not missing, listing(missing)


def test_tests_neither_skip_nor_sleep() -> None:
    banned = {
        "pytest": {"skip", "xfail", "importorskip"},
        "pytest.mark": {"skip", "skipif", "xfail"},
        "time": {"sleep"},
    }
    wrong = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner, names = ast.unparse(node.value), [node.attr]
            elif isinstance(node, ast.ImportFrom):
                owner, names = node.module or "", [alias.name for alias in node.names]
            else:
                continue
            wrong += [
                f"{path.relative_to(ROOT)}:{node.lineno}: {owner}.{n}" for n in names if n in banned.get(owner, ())
            ]
    assert not wrong, listing(wrong)


# -- __all__ tells the truth -------------------------------------------------------------------------------------------


def exported(node: ast.stmt) -> list[str] | None:
    """The names in an assignment to ``__all__``; None for any other statement."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    if not any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
        return None
    return [str(name) for name in ast.literal_eval(node.value)]  # type: ignore[attr-defined]


def top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        for nested in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from top_level(getattr(node, nested, []))


def bound_by(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        case _:
            return set()


def test_every_module_says_what_it_offers_and_has_it() -> None:
    """``__all__`` stands in every module, names only what is there, and every public class and function."""
    wrong = []
    for m in modules():
        body = list(top_level(m.tree.body))
        lists = [names for node in body if (names := exported(node)) is not None]
        defined = [n.name for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        if not lists:
            if m.path.stem not in {"__init__", "__main__"} or defined:
                wrong.append(f"{m.where}: no __all__")
            continue
        names = [name for one in lists for name in one]
        bound = set().union(*(bound_by(node) for node in body))
        siblings = {p.stem for p in m.path.parent.iterdir()} if m.path.stem == "__init__" else set()
        if "__getattr__" not in defined:
            wrong += [f"{m.where}: {n} is in __all__ and nowhere else" for n in names if n not in bound | siblings]
        wrong += [f"{m.where}: {n} is public and not in __all__" for n in defined if n[0] != "_" and n not in names]
        if len(names) != len(set(names)):
            wrong.append(f"{m.where}: __all__ names something twice")
    assert not wrong, listing(wrong)


# -- the README names everything ---------------------------------------------------------------------------------------


def commands() -> list[str]:
    def walk(command: Any, path: str) -> Iterator[str]:
        children = getattr(command, "commands", {})
        if not children:
            yield path
        for name, child in sorted(children.items()):
            if not child.hidden:
                yield from walk(child, f"{path} {name}")

    return list(walk(typer.main.get_command(import_module("loadtests.cli").app), "gauntlet"))


def yaml_names(folder: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / folder).glob("*.yaml"))


#: what the README must name -> where the names come from
NAMED = {
    "command": commands,
    "scenario": lambda: yaml_names("loadtests/scenarios"),
    "contract": lambda: yaml_names("loadtests/contracts"),
    "experiment": lambda: yaml_names("chaos/experiments"),
    "fault": lambda: sorted(import_module("chaos.faults").FAULTS),
    "checker": lambda: sorted(row.id for row in rows(import_module("reports.checkers").CHECKERS)),
    "planted defect": lambda: sorted(import_module("loadtests.backend.defects").DEFECTS),
}
MAY_BE_EMPTY = frozenset({"experiment"})


def rows(table: Any) -> list[Any]:
    return list(table.values() if isinstance(table, dict) else table)


@pytest.mark.parametrize("kind", NAMED)
def test_the_readme_names_every(kind: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = NAMED[kind]()
    assert names or kind in MAY_BE_EMPTY, f"no {kind} found"
    missing = [str(name) for name in names if not re.search(rf"(?<![\w-]){re.escape(str(name))}(?![\w-])", readme)]
    assert not missing, f"README.md names no {kind}: {', '.join(missing)}"


# -- no event name stands in code --------------------------------------------------------------------------------------


def wire_types(value: object) -> Iterator[str]:
    """Types that a message template sends."""
    if isinstance(value, dict):
        yield from (v for k, v in value.items() if k == "type" and isinstance(v, str))
        for child in value.values():
            yield from wire_types(child)


@cache
def event_names() -> frozenset[str]:
    """Every name on the wire that no other word could be: those with an underscore."""
    names: set[str] = set()
    for name in CONTRACTS:
        file = load(name).file
        names |= {*file.events, *file.aliases, *file.aliases.values(), *file.legacy}
        names |= {*wire_types(file.send.template), *wire_types(file.resume.ask)}
    return frozenset(name for name in names if "_" in name)


def texts(module: Module) -> Iterator[tuple[int, str]]:
    """String literals (docstrings and the literal parts of f-strings too) and comments, with their lines."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            value = node.value
            yield node.lineno, value if isinstance(value, str) else value.decode("latin-1")
    source = module.path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_no_event_name_stands_in_code() -> None:
    """Names come from the contract, by role; a second contract with other names must work."""
    assert len(event_names()) > 20
    pattern = re.compile(r"(?<![A-Za-z0-9_])(" + "|".join(sorted(event_names())) + r")(?![A-Za-z0-9_])")
    wrong = [
        f"{m.where}:{line}: {found[0]}" for m in modules() for line, text in texts(m) if (found := pattern.search(text))
    ]
    assert not wrong, listing(wrong)


# -- no trace of a machine ---------------------------------------------------------------------------------------------

#: spelt in two parts, so that this file itself is clean
REGISTRIES = [
    f"{name}.{domain}"
    for name, domain in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("proxy.golang", "org"),
        ("sum.golang", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("repo.maven.apache", "org"),
        ("repo1.maven", "org"),
        ("deb.debian", "org"),
        ("crates", "io"),
    )
]
HOMES = re.compile(r"(?<![\w.~$}-])/(?:work|root|home|Users)/")


def own_files() -> list[Path]:
    """What is or would be committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_path_of_this_machine_or_a_registry() -> None:
    wrong = []
    for path in own_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found = [m[0] for m in HOMES.finditer(text)] + [n for n in (*REGISTRIES, f"{ROOT}/") if n in text]
        wrong += [f"{path.relative_to(ROOT)}: {needle}" for needle in found]
    assert not wrong, listing(wrong)


def test_the_lock_pins_everything_by_hash_and_names_no_host() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and line[0] not in "# "]
    assert entries, "requirements.lock is empty"
    unpinned = [line for line in entries if not re.fullmatch(r"[A-Za-z0-9._-]+==\S+(?: ; .+)? \\", line)]
    assert not unpinned, listing(unpinned)
    assert len(entries) <= sum("--hash=sha256:" in line for line in lines)
    assert not [line for line in lines if "://" in line or line.startswith("-")]


def test_the_lock_holds_every_dependency_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = (
        project["project"]["dependencies"] + project["dependency-groups"]["dev"] + project["build-system"]["requires"]
    )

    def canonical(requirement: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement)[0]).lower()

    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {canonical(line) for line in lock.splitlines() if "==" in line and line[0] not in "# "}
    assert {canonical(requirement) for requirement in wanted} <= pinned
