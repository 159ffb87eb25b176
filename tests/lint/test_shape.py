"""The lint step finds what it is there for: each of its limits, exceeded by one, is a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint.__main__ import FOLDER_MODULES, FUNCTION_LINES, cycles, full_folders, imports, long_functions


@pytest.mark.parametrize(
    ("graph", "count"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, 0),
        ({"a": {"b"}, "b": {"a"}}, 1),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}}, 2),
    ],
)
def test_every_circle_of_imports_is_found(graph: dict[str, set[str]], count: int) -> None:
    assert len(list(cycles(graph))) == count


def test_imports_inside_functions_and_for_types_count() -> None:
    graph = imports()
    assert "hardware.runtimes.docker" in graph["hardware.runtimes"], "imported inside a function"
    assert "queueing.dispatch.backends.base" in graph["queueing.dispatch.backends.select"], "for types only"
    assert "spaceport_launcher.slot_limiter" in graph["spaceport_launcher.calls"]


def test_a_function_may_have_so_many_lines_and_no_more() -> None:
    def source(lines: int) -> str:
        return "async def f():\n" + "    pass\n" * (lines - 1)

    assert list(long_functions(source(FUNCTION_LINES))) == []
    assert list(long_functions(source(FUNCTION_LINES + 1))) == [("f", 1, FUNCTION_LINES + 1)]


def test_a_folder_may_have_so_many_modules_and_no_more() -> None:
    modules = [Path("a") / "__init__.py", *(Path("a") / f"m{n}.py" for n in range(FOLDER_MODULES))]
    assert list(full_folders(modules)) == []
    assert list(full_folders([*modules, Path("a") / "more.py"])) == [(Path("a"), FOLDER_MODULES + 1)]
