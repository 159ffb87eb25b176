"""`python -m tests.lint`: the shape of the code. Fails on an import cycle, a function of more than 50 lines,
a folder of more than 20 modules, and a local name that its own first value reads; ruff, mypy and
import-linter have no rule for these."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp

from tests.lint.first_bindings import self_reading

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = "docker/base/launcher"
PACKAGES = ("spaceport", "spaces", "queueing", "hardware", "accounts", "infra", "spaceport_launcher")
#: Where the product lies; its tests may have more modules in a folder.
PRODUCT = ("platform", "spaces", "queueing", "hardware", LAUNCHER)
FUNCTION_LINES = 50
FOLDER_MODULES = 20

Imports = dict[str, set[str]]


def imports() -> Imports:
    """Each module with all that it imports, inside functions and under TYPE_CHECKING too."""
    before = sys.path
    sys.path = [str(ROOT), str(ROOT / "platform"), str(ROOT / LAUNCHER), *before]
    try:
        graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    finally:
        sys.path = before
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def cycles(graph: Imports) -> Iterator[list[str]]:
    """Cycles of imports; each is cut where it is found, so that the next one comes up."""
    graph = {module: set(imported) for module, imported in graph.items()}
    while True:
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            cycle: list[str] = error.args[1][::-1]
            yield cycle
            graph[cycle[0]].discard(cycle[1])
        else:
            return


def long_functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function with more than `FUNCTION_LINES` lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.name, node.lineno, lines


def full_folders(modules: list[Path]) -> Iterator[tuple[Path, int]]:
    """Folders that hold more than `FOLDER_MODULES` of these modules, `__init__` aside."""
    counted = Counter(path.parent for path in modules if path.name != "__init__.py")
    return ((folder, count) for folder, count in counted.items() if count > FOLDER_MODULES)


def faults() -> Iterator[str]:
    for cycle in cycles(imports()):
        yield f"import cycle: {' → '.join(cycle)}"
    modules = [path.relative_to(ROOT) for part in PRODUCT for path in (ROOT / part).rglob("*.py")]
    tests = [path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")]
    for path in sorted(modules + tests):
        source = (ROOT / path).read_text()
        for name, line, lines in long_functions(source):
            yield f"{path}:{line}: {name} has {lines} lines, at most {FUNCTION_LINES}"
        for name, line in self_reading(source):
            yield f"{path}:{line}: {name} is read by its own first value: it has none yet"
    for folder, count in full_folders(modules):
        yield f"{folder}: {count} modules, at most {FOLDER_MODULES}"


if __name__ == "__main__":
    found = list(faults())
    print(*found, f"shape: {len(found)} faults", sep="\n")
    sys.exit(bool(found))
