"""What an app's file does before it imports Gradio."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Before:
    """The top-level names of the modules that it imports first, and the variables that it sets."""

    imports: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)


def before_gradio(path: Path) -> Before | None:
    """None: it does something whose effect on that import is not known, or imports no Gradio by itself."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    before = Before()
    for statement in tree.body:
        imported = _imported(statement)
        if imported is None:
            if not _is_inert(statement, before):
                return None
            continue
        for name in imported:
            if name == "gradio":
                return before
            before.imports.add(name)
    return None


def _imported(statement: ast.stmt) -> list[str] | None:
    if isinstance(statement, ast.Import):
        return [alias.name.partition(".")[0] for alias in statement.names]
    if isinstance(statement, ast.ImportFrom) and statement.level == 0:
        return [(statement.module or "").partition(".")[0]]
    return None


def _is_inert(statement: ast.stmt, before: Before) -> bool:
    """Whether it only names constants, defines functions, or sets variables of the environment, which are
    added to `before`."""
    match statement:
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.FunctionDef(decorator_list=[]) | ast.AsyncFunctionDef(decorator_list=[]):
            arguments = statement.args
            of_each = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            of_each += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
            parts = [each.annotation for each in of_each]
            parts += [*arguments.defaults, *arguments.kw_defaults, statement.returns]
            return all(_is_plain(part) for part in parts)
        case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(target=ast.Name(), value=value):
            return _is_literal(value)
        case ast.Assign(
            targets=[
                ast.Subscript(
                    value=ast.Attribute(value=ast.Name(id="os"), attr="environ"),
                    slice=ast.Constant(value=str(name)),
                )
            ],
            value=ast.Constant(),
        ):
            before.sets.add(name)
            return True
    return False


def _is_plain(part: ast.expr | None) -> bool:
    """Whether it names things, and does nothing."""
    inert = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.BitOr,
             ast.Load, ast.UnaryOp, ast.USub)  # fmt: skip
    return part is None or all(isinstance(node, inert) for node in ast.walk(part))


def _is_literal(part: ast.expr | None) -> bool:
    if part is None:
        return True
    try:
        ast.literal_eval(part)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
