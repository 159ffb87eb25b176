"""Finds a local name that its own first value reads: `events = [row for row in events()]`, where `events` is
meant to be a function of the module. It raises NameError or UnboundLocalError each time; mypy and ruff do not
see it inside comprehensions."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: A read inside is done later, or of another scope's name.
INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def self_reading(source: str) -> Iterator[tuple[str, int]]:
    """Name and line of each such binding."""
    local = {(table.get_name(), table.get_lineno()): table for table in _functions(source)}
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, Function):
            symbols = local[function.name, function.lineno].get_symbols()
            names = {one.get_name() for one in symbols if one.is_local() and not one.is_parameter()}
            for bound, value, line in _bindings(function):
                yield from ((name, line) for name in bound & names & set(_reads(value)))
                names -= bound


def _functions(source: str) -> Iterator[symtable.SymbolTable]:
    tables = [symtable.symtable(source, "", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        if table.get_type() == "function":
            yield table


def _bindings(node: ast.AST) -> Iterator[tuple[set[str], ast.AST, int]]:
    """What the function binds, in the order of the source: names, the value, the line."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Assign(targets=targets, value=value):
                yield set().union(*map(_names, targets)), value, value.lineno
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
                | ast.For(target=target, iter=value)
                | ast.AsyncFor(target=target, iter=value)
                | ast.withitem(context_expr=value, optional_vars=ast.expr() as target)
            ):
                yield _names(target), value, value.lineno
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                yield {(one.asname or one.name).partition(".")[0] for one in imported}, ast.Pass(), 0
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.ExceptHandler(name=str() as name)
                | ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
                | ast.MatchMapping(rest=str() as name)
            ):
                yield {name}, ast.Pass(), 0
        if not isinstance(child, (*INNER, *COMPREHENSIONS)):
            yield from _bindings(child)


def _names(target: ast.AST) -> set[str]:
    return {
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _reads(node: ast.AST) -> Iterator[str]:
    """The names that are read when the expression is evaluated, those bound inside it left out."""
    if isinstance(node, COMPREHENSIONS):
        yield from _reads(node.generators[0].iter)
        own = set().union(*(_names(one.target) for one in node.generators))
        for child in ast.iter_child_nodes(node):
            yield from (name for name in _reads(child) if name not in own)
    elif isinstance(node, ast.Name):
        yield node.id
    elif not isinstance(node, INNER):
        for child in ast.iter_child_nodes(node):
            yield from _reads(child)
