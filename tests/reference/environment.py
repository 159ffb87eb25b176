"""The platform's environment variables, taken from the code that reads them: the name and default from the
call, the section from the `# --- title ---` line above it, the help from the `#:` comment right above it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Whose variables an operator sets. What the launcher reads is set by the platform.
PRODUCT = ("platform", "spaces", "queueing", "hardware")
NAME = re.compile(r"SPACEPORT_[A-Z0-9_]+")
READER = re.compile(r"env\.\w+|(\w+\.)?environ\.get|renamed")
MIB = 1024**2


@dataclass(frozen=True)
class Variable:
    """One variable. `default` is Markdown; empty where the help names it."""

    name: str
    default: str
    section: str
    help: str


def names() -> set[str]:
    """Every SPACEPORT_ name that stands in the code, the tests and the launcher included."""
    folders = (*PRODUCT, "tests", "docker", ".ci")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in ("", ".py")]
    return {name for file in files if file.is_file() for name in NAME.findall(file.read_text())}


def variables() -> list[Variable]:
    """Those with a `#:` comment above a read, in the code's order."""
    files = [file for folder in PRODUCT for file in sorted((ROOT / folder).rglob("*.py"))]
    found: dict[str, Variable] = {}
    for file in files:
        for variable in declared(file.read_text()):
            found.setdefault(variable.name, variable)
    return list(found.values())


def declared(source: str) -> Iterator[Variable]:
    """The documented reads in one file."""
    lines = source.splitlines()
    for node, default in _reads(ast.parse(source)):
        name = str(ast.literal_eval(node.args[0]))
        if text := _help(lines, node.lineno):
            text += _former(node)
            yield Variable(name, _shown(name, default), _section(lines, node.lineno), text)


def _reads(tree: ast.AST) -> Iterator[tuple[ast.Call, ast.expr | None]]:
    """Each `env.<kind>("NAME", default)` and `os.environ.get("NAME") or default`, with the default."""
    fallback = {
        id(part): node.values[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or)
        for part in node.values[:1]
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    for call in sorted(calls, key=lambda call: call.lineno):
        if READER.fullmatch(ast.unparse(call.func)) and isinstance(call.args[0], ast.Constant):
            yield call, fallback.get(id(call)) or (call.args[1] if len(call.args) > 1 else None)


def _former(node: ast.Call) -> str:
    """The old name, where `infra.environment.renamed` reads it too."""
    return f" Formerly `{ast.literal_eval(node.args[1])}`." if ast.unparse(node.func) == "renamed" else ""


def _help(lines: list[str], number: int) -> str:
    """The `#:` lines right above this line."""
    comment: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#:"):
            break
        comment.insert(0, line.strip().removeprefix("#:").strip())
    return " ".join(comment)


def _section(lines: list[str], number: int) -> str:
    titles = [found[1] for line in lines[:number] if (found := re.match(r"# --- (.*?) -+$", line))]
    return titles[-1] if titles else ""


def _shown(name: str, default: ast.expr | None) -> str:
    value = _value(default)
    if value in (None, "", []) or name in ("DATABASE_URL", "REDIS_URL"):
        return ""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, list):
        return f"`{','.join(value)}`"
    if isinstance(value, int) and name.endswith("_BYTES"):
        return f"`{value}` ({_size(value)})"
    return f"`{value}`"


def _value(default: ast.expr | None) -> object:
    """What a constant expression gives; None for one that depends on the machine."""
    if default is None:
        return None
    try:
        return eval(ast.unparse(default), {"__builtins__": {}, "MEGABYTE": MIB})  # noqa: S307  # our own source
    except (NameError, TypeError):
        return None


def _size(count: int) -> str:
    for unit, size in (("GiB", 1024**3), ("GB", 1000**3), ("MiB", MIB), ("MB", 1000**2)):
        if count % size == 0:
            return f"{count // size} {unit}"
    return f"{count} bytes"
