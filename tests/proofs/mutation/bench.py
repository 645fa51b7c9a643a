"""Plays one module's mutants against its tests, each in a forked child of a process in which everything is already there.

``bench.py PACKAGE/MODULE.py RESULT TEST…``: a mutant of a function replaces that function's code in the live module, and only
tests that call the function are played, the quickest first; a mutant of what a module does when it is imported is imported
afresh with all tests. A child that takes far more processor time than the tests need is killed, and so is its mutant.
"""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.util
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest

from tests.proofs.mutation.operators import Mutant, mutants

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("loadtests", "chaos", "reports", "tests")
COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
OPTIMIZED = 1  # set in the code of functions, and not in that of modules and classes
SURVIVED, KILLED, TOO_LONG, IMPORT_FAILED = range(4)
LEAST_CPU_S, SLACK = 10.0, 8.0
MOST_BYTES = 6 << 30
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no")
Top = tuple[tuple[str, int], ...]


def tops(code: CodeType, path: Top = ()) -> dict[Top, CodeType]:
    """The functions of a module and of its classes by their place: name, and which child of its parent."""
    found = {}
    children = (one for one in code.co_consts if isinstance(one, CodeType))
    for i, child in enumerate(children):
        here = (*path, (child.co_name, i))
        if not _at_import(child):
            found[here] = child
        else:
            found.update(tops(child, here))
    return found


def _at_import(code: CodeType) -> bool:
    """A class's body, or a comprehension outside of any function."""
    return not code.co_flags & OPTIMIZED or code.co_name in COMPREHENSIONS


def frame_of(code: CodeType) -> list[Any]:
    """What happens when a module is imported, without what is in its functions."""
    found: list[Any] = [code.co_code, code.co_names]
    for one in code.co_consts:
        if not isinstance(one, CodeType):
            found.append(repr(one))
        elif _at_import(one):
            found.append(frame_of(one))
    return found


class Recorder:
    """Which tests call which functions of the module, how long they take, and whether they pass."""

    def __init__(self, file: str, owners: dict[tuple[str, int], set[Top]]) -> None:
        self.file, self.owners = file, owners
        self.called: dict[str, set[Top]] = {}
        self.took_s: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def play(self, item: pytest.Item, following: pytest.Item | None) -> None:
        called = self.called[item.nodeid] = set()

        def trace(frame: FrameType, _event: str, _arg: object) -> None:
            code = frame.f_code
            if code.co_filename == self.file:
                called.update(self.owners.get((code.co_name, code.co_firstlineno), ()))

        began = time.process_time()
        sys.settrace(trace)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        finally:
            sys.settrace(None)
        self.took_s[item.nodeid] = time.process_time() - began


class Loop:
    """A pytest plugin: in place of one run of the tests, one for each mutant."""

    def __init__(self, target: ModuleType, some: Sequence[tuple[Mutant, Top]], intact: dict[Top, CodeType]) -> None:
        self.target, self.some, self.intact = target, some, intact
        self.ends: dict[int, tuple[int, int]] = {}
        self.baseline_s = 0.0
        self.wrong = ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        owners: dict[tuple[str, int], set[Top]] = {}
        for top, code in self.intact.items():
            for one in _inside(code):
                owners.setdefault((one.co_name, one.co_firstlineno), set()).add(top)
        recorder = Recorder(str(self.target.__file__), owners)
        session.config.pluginmanager.register(recorder)
        items = session.items
        for item, following in zip(items, [*items[1:], None], strict=True):
            recorder.play(item, following)
        session.config.pluginmanager.unregister(recorder)
        self.baseline_s = sum(recorder.took_s.values())
        if recorder.failed:
            self.wrong = f"tests fail without a mutant: {recorder.failed[:3]}"
            return True
        live = self._live()
        lengths: dict[str, float] = {}
        for item in items:
            name = item.nodeid.partition("::")[0]
            lengths[name] = lengths.get(name, 0.0) + recorder.took_s[item.nodeid]
        ordered = sorted(items, key=lambda one: (lengths[one.nodeid.partition("::")[0]], one.nodeid.partition("::")[0],
                                                 recorder.took_s[one.nodeid]))  # fmt: skip
        gc.collect()
        gc.freeze()
        for mutant, top in self.some:
            chosen = [item for item in ordered if top in recorder.called[item.nodeid]]
            limit_s = sum(recorder.took_s[item.nodeid] for item in chosen)
            new = tops(mutant.code)[top]

            def body(chosen: Sequence[pytest.Item] = chosen, new: CodeType = new, top: Top = top) -> None:
                for function in live[top]:
                    function.__code__ = new
                session.config.pluginmanager.register(_Judge())
                for item, following in zip(chosen, [*chosen[1:], None], strict=True):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

            self.ends[mutant.number] = forked(body, limit_s) if chosen else SURVIVED, len(chosen)
        return True

    def _live(self) -> dict[Top, list[FunctionType]]:
        functions = [
            one for one in gc.get_objects() if isinstance(one, FunctionType) and one.__module__ == self.target.__name__
        ]
        return {top: [one for one in functions if one.__code__ == code] for top, code in self.intact.items()}


class _Judge:
    @staticmethod
    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(KILLED)


def _inside(code: CodeType) -> Iterable[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _inside(one)


def forked(body: Callable[[], None], usual_s: float) -> int:
    """How it ends in a child that may not take much longer than usual."""
    pid = os.fork()
    if pid == 0:
        limit_s = int(LEAST_CPU_S + SLACK * usual_s)
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            body()
        except BaseException:  # noqa: BLE001  # whatever a mutant does to its tests, it is noticed
            os._exit(KILLED)
        os._exit(SURVIVED)
    _, status = os.waitpid(pid, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else TOO_LONG


class Planted:
    """Finds the module and gives the mutant's code for it."""

    def __init__(self, name: str, file: Path, code: CodeType) -> None:
        self.name, self.file, self.code = name, file, code

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.file, loader=self)  # type: ignore[arg-type]

    def create_module(self, _spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
    return found


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def warm(target: str, tests: Iterable[Path]) -> None:
    """Import whatever the tests need and the target has no part in."""
    files = {module_of(file): file for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    uses = {name: imports_of(file) for name, file in files.items()}
    behind = {target}
    while more := {name for name, some in uses.items() if name not in behind and some & behind}:
        behind |= more
    for package in PACKAGES:
        behind |= {package, f"tests.{package}"}
    needed, todo = set(), [name for test in tests for name in imports_of(test)]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += uses.get(name, ())
    for name in sorted(needed & (set(files) - behind)):
        importlib.import_module(name)
    outside = {name.partition(".")[0] for name in needed} - set(PACKAGES)
    for name in sorted(outside):
        importlib.import_module(name)


def play(file: Path, tests: Sequence[str], only: tuple[str, ...]) -> dict[str, Any]:
    source, name = file.read_text(), module_of(file)
    intact = compile(source, str(file), "exec", dont_inherit=True)
    functions, frame = tops(intact), frame_of(intact)
    inner: list[tuple[Mutant, Top]] = []
    outer: list[Mutant] = []
    for mutant in mutants(source, str(file), only):
        changed = [top for top, code in tops(mutant.code).items() if functions.get(top) != code]
        if len(changed) == 1 and frame_of(mutant.code) == frame and changed[0] in functions:
            inner.append((mutant, changed[0]))
        else:
            outer.append(mutant)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, max_examples=60,
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )  # fmt: skip
    hypothesis.settings.load_profile("mutants")
    warm(name, [ROOT / test for test in tests])
    ends: dict[int, tuple[int, int]] = {}
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        target = importlib.import_module(name)
        loop = Loop(target, inner, functions)
        code = pytest.main([*OPTIONS, *tests], plugins=[loop])
        with os.fdopen(write, "w") as pipe:
            json.dump(
                [loop.wrong or (f"pytest said {code}" if code != 0 else ""), loop.baseline_s, list(loop.ends.items())],
                pipe,
            )
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        wrong, baseline_s, told = json.load(pipe)
    os.waitpid(pid, 0)
    if wrong:
        sys.exit(wrong)
    ends.update((number, tuple(end)) for number, end in told)
    for mutant in outer:

        def body(mutant: Mutant = mutant) -> None:
            sys.meta_path.insert(0, Planted(name, file, mutant.code))  # type: ignore[arg-type]
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001
                os._exit(IMPORT_FAILED)
            os._exit(KILLED if pytest.main([*OPTIONS, *tests]) != 0 else SURVIVED)

        ends[mutant.number] = forked(body, baseline_s + LEAST_CPU_S), -1
    every = [*(mutant for mutant, _ in inner), *outer]
    counts = [end for end, _ in ends.values()]
    return {
        "mutants": len(every), "killed": len(every) - counts.count(SURVIVED), "too_long": counts.count(TOO_LONG),
        "no_import": counts.count(IMPORT_FAILED), "tests_cpu_s": round(baseline_s, 2),
        "survivors": [
            {"lineno": one.lineno, "in": one.scope, "line": one.line, "change": one.change, "tests": ends[one.number][1]}
            for one in sorted(every, key=lambda one: (one.lineno, one.number)) if ends[one.number][0] == SURVIVED
        ],
    }  # fmt: skip


def main() -> None:
    module, result, only, *tests = sys.argv[1:]
    warnings.simplefilter("ignore")
    os.chdir(ROOT)
    np.seterr(all="ignore")
    found = play(ROOT / module, tests, tuple(only.split(",")) if only else ())
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
