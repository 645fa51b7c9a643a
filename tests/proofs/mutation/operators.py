"""Small mistakes planted in a module's tree, one at a time: what a test suite that proves something must notice.

Mutated are comparisons, boolean operators and their operands, conditions, numbers, truth values, names in quotes, arithmetic,
returns and statements; not annotations, decorators, docstrings, ``__all__``, ``__slots__``, type aliases and sentences for people.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

__all__ = ["Mutant", "mutants"]

_ORDER = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPPOSITE = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
_COMPARE = {**_ORDER, **_OPPOSITE}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
#: words that mean something to a library; any other in their place would only fail at once
_WORDS = {"right": "left", "left": "right"}
_LIBRARY = {"method", "kind", "side", "dtype"}
_SCOPES = (ast.FunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Mutant:
    """``scope``: the function it stands in; ``line``: the text of the line; ``change``: what became what, and which of several
    alike on that line.
    """

    number: int
    lineno: int
    scope: str
    line: str
    change: str
    code: CodeType


#: what to put where, and how to undo it
_Edit = tuple[ast.AST, str, Callable[[], None], Callable[[], None]]


def mutants(source: str, file: str, only: tuple[str, ...] = ()) -> Iterator[Mutant]:
    """Every mutant of a module that compiles to something else; ``only``: of these functions."""
    tree = ast.parse(source)
    lines = source.splitlines()
    intact = compile(tree, file, "exec", dont_inherit=True)
    scopes, parents = _scopes(tree), _parents(tree)
    number = 0
    told: Counter[tuple[str, str, str]] = Counter()
    for node, change, apply, undo in list(_edits(tree, parents)):
        scope = scopes[id(node)]
        if only and scope.partition(".")[0] not in only:
            continue
        apply()
        try:
            code = compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)
        finally:
            undo()
        if code != intact:
            lineno = node.lineno  # type: ignore[attr-defined]
            line = lines[lineno - 1].strip()
            told[scope, line, change] += 1
            again = told[scope, line, change]
            yield Mutant(number, lineno, scope, line, f"{change} ({again})" if again > 1 else change, code)
            number += 1


def _parents(tree: ast.AST) -> dict[int, ast.AST]:
    return {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def _scopes(tree: ast.AST) -> dict[int, str]:
    found: dict[int, str] = {}

    def visit(node: ast.AST, scope: str) -> None:
        found[id(node)] = scope
        inner = scope
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            inner = f"{scope}.{node.name}".lstrip(".")
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(tree, "")
    return found


def _left_alone(tree: ast.Module) -> set[int]:
    """Nodes that say nothing at run time, or only to people."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            roots += node.decorator_list
        if isinstance(node, ast.ClassDef):
            roots += [*node.bases, *node.keywords]
        if isinstance(node, ast.FunctionDef):
            roots.append(node.returns)
        if isinstance(node, ast.arg):
            roots.append(node.annotation)
        if isinstance(node, ast.AnnAssign):
            roots.append(node.annotation)
        if (
            isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module))
            and ast.get_docstring(node, clean=False) is not None
        ):
            roots.append(node.body[0])
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in {"__all__", "__slots__"}
        ):
            roots.append(node)
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            roots.append(node.slice)  # a name that is not there fails at once
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"array", "NamedTuple"}:
            roots += node.args
    roots += [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and _is_alias(node)
    ]
    return {id(node) for root in roots if root is not None for node in ast.walk(root)}


def _is_alias(node: ast.Assign) -> bool:
    """``Rows = ndarray[…]`` names a type; ``KIND = BY_NAME["…"]`` a thing."""
    target = node.targets[0]
    return isinstance(target, ast.Name) and not target.id.isupper()


def _edits(tree: ast.Module, parents: dict[int, ast.AST]) -> Iterator[_Edit]:
    spared = _left_alone(tree)
    for node in ast.walk(tree):
        if id(node) in spared:
            continue
        yield from _of_expressions(node, parents)
        yield from _of_conditions(node)
        yield from _of_statements(node)


def _swap(node: Any, field: str, new: Any) -> tuple[Callable[[], None], Callable[[], None]]:
    old = getattr(node, field)
    return lambda: setattr(node, field, new), lambda: setattr(node, field, old)


def _at(some: list[Any], i: int, new: list[Any]) -> tuple[Callable[[], None], Callable[[], None]]:
    old = some[i]

    def apply() -> None:
        some[i : i + 1] = new

    def undo() -> None:
        some[i : i + len(new)] = [old]

    return apply, undo


def _said(node: ast.AST, apply: Callable[[], None], undo: Callable[[], None]) -> str:
    before = ast.unparse(node)
    apply()
    after = ast.unparse(node)
    undo()
    return f"{before} -> {after}"


def _edit(node: ast.AST, how: tuple[Callable[[], None], Callable[[], None]]) -> _Edit:
    return node, _said(node, *how), *how


def _of_expressions(node: ast.AST, parents: dict[int, ast.AST]) -> Iterator[_Edit]:
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                if new := _COMPARE.get(type(op)):
                    yield _edit(node, _at(ops, i, [new()]))
        case ast.BoolOp(op=op, values=values):
            yield _edit(node, _swap(node, "op", ast.Or() if isinstance(op, ast.And) else ast.And()))
            for i in range(len(values)):
                left = values[:i] + values[i + 1 :]
                word = f"{ast.unparse(node)} -> without {ast.unparse(values[i])}"
                # The tree knows no operator of one operand; the same twice is the same.
                yield node, word, *_swap(node, "values", left if len(left) > 1 else left * 2)
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            if new := _ARITHMETIC.get(type(op)):
                yield _edit(node, _swap(node, "op", new()))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            double = ast.UnaryOp(op=ast.Not(), operand=operand)
            yield _edit(node, _swap(node, "operand", double))
        case ast.UnaryOp(op=ast.USub()):
            yield _edit(node, _swap(node, "op", ast.UAdd()))
        case ast.Call(func=ast.Name(id=name) as func) if name in _CALLS:
            yield _edit(node, _swap(func, "id", _CALLS[name]))
        case ast.Constant(value=value):
            for new in _constants(value, parents.get(id(node))):
                yield _edit(node, _swap(node, "value", new))


def _constants(value: object, parent: ast.AST | None) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield (
            value + 1 if abs(value) < 1000 else 2 * value
        )  # a large one is a unit, or nothing depends on its last digit
    elif isinstance(value, str) and not isinstance(parent, (ast.JoinedStr, ast.FormattedValue)):
        if isinstance(parent, ast.keyword) and parent.arg in _LIBRARY:
            if value in _WORDS:
                yield _WORDS[value]
        elif " " not in value and "\u202f" not in value:  # a sentence may be worded otherwise
            yield value + "_"


def _of_conditions(node: ast.AST) -> Iterator[_Edit]:
    """Conditions without an operator of their own."""
    tests: list[tuple[Any, str, int]] = []
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        tests = [(node, "test", -1)]
    elif isinstance(node, ast.comprehension):
        tests = [(node, "ifs", i) for i in range(len(node.ifs))]
    elif isinstance(node, ast.match_case) and node.guard is not None:
        tests = [(node, "guard", -1)]
    for owner, field, i in tests:
        test = getattr(owner, field) if i < 0 else getattr(owner, field)[i]
        if isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Constant)):
            continue
        new = ast.UnaryOp(op=ast.Not(), operand=test)
        how = _swap(owner, field, new) if i < 0 else _at(getattr(owner, field), i, [new])
        yield test, f"if {ast.unparse(test)} -> if not {ast.unparse(test)}", *how


def _of_statements(node: ast.AST) -> Iterator[_Edit]:
    if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield _edit(node, _swap(node, "value", ast.Constant(None)))
    for field in ("body", "orelse"):
        some = getattr(node, field, None)
        if not isinstance(some, list) or isinstance(node, (ast.Module, ast.ClassDef)):
            continue
        known = {"__init__"} if isinstance(node, ast.FunctionDef) and node.name == "__init__" else set()
        for i, one in enumerate(some):
            if _can_go(one) and not known:
                yield one, f"{ast.unparse(one)} -> pass", *_at(some, i, [ast.Pass()])


def _can_go(one: ast.AST) -> bool:
    """Statements whose absence is a mistake and not an unknown name."""
    match one:
        case ast.Expr(value=ast.Constant()):
            return False
        case ast.Expr() | ast.AugAssign() | ast.Delete() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Return(value=None):
            return True
        case ast.Assign(targets=targets):
            return any(
                isinstance(part, (ast.Attribute, ast.Subscript)) for target in targets for part in ast.walk(target)
            )
    return False
