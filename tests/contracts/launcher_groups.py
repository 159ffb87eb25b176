"""How the launcher tells which functions share a limit: as Gradio does, with the numbers of its guide."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gradio as gr
import pytest

LAUNCHER = Path(__file__).parents[2] / "docker" / "base" / "launcher"


@pytest.fixture(scope="module")
def groups() -> Iterator[ModuleType]:
    sys.path.insert(0, str(LAUNCHER))
    try:
        yield importlib.import_module("spaceport_launcher.groups")
    finally:
        sys.path.remove(str(LAUNCHER))


def one(text: str) -> str:
    return text


def other(text: str) -> str:
    return text


def blocks() -> gr.Blocks:
    """An empty app. With analytics, a thread of it would ask the network for Gradio's newest version, and an
    odd answer would fail the test."""
    return gr.Blocks(analytics_enabled=False)


def events(*given: dict[str, Any]) -> list[Any]:
    """Gradio's functions of an app with these events."""
    with blocks() as demo:
        text = gr.Textbox()
        for arguments in given:
            trigger = arguments.pop("trigger", None) or gr.Button().click
            trigger(arguments.pop("fn", one), text, text, **arguments)
    return list(demo.fns.values())


def named(groups: ModuleType, functions: list[Any]) -> list[tuple[str, Any]]:
    found = groups.Groups(functions)
    return [(found.name(function), found.limit(function)) for function in functions]


def test_events_of_one_function_share_a_group_and_others_have_their_own(groups: ModuleType) -> None:
    functions = events({"api_name": "a"}, {"api_name": "b"}, {"fn": other, "api_name": "c"})
    assert named(groups, functions) == [("/a", "default"), ("/a", "default"), ("/c", "default")]


def test_one_functions_event_with_another_limit_is_another_group(groups: ModuleType) -> None:
    functions = events({"api_name": "a", "concurrency_limit": None}, {"api_name": "b"})
    assert named(groups, functions) == [("/a", None), ("/b", "default")]


def test_a_concurrency_id_has_the_lowest_number_given(groups: ModuleType) -> None:
    functions = events(
        {"concurrency_id": "gpu", "concurrency_limit": 3},
        {"fn": other, "concurrency_id": "gpu", "concurrency_limit": 2},
        {"fn": other, "concurrency_id": "gpu"},
        {"concurrency_id": "free", "concurrency_limit": None},
        {"fn": other, "concurrency_id": "free"},
    )
    assert named(groups, functions) == [("gpu", 2)] * 3 + [("free", None)] * 2


def test_ids_are_never_taken_for_functions_and_are_bounded(groups: ModuleType) -> None:
    functions = events(
        {"concurrency_id": "/a"}, {"concurrency_id": "=/a"}, {"api_name": "a"},
        {"concurrency_id": "x" * 200}, {"concurrency_id": "x" * 201}, {"concurrency_id": "~"},
    )  # fmt: skip
    names = [name for name, _ in named(groups, functions)]
    assert names[:3] == ["=/a", "==/a", "/a"]
    assert len(set(names)) == 6
    assert max(map(len, names)) <= 100


def test_loads_ticks_and_unqueued_functions_have_none_unless_they_name_one(groups: ModuleType) -> None:
    with blocks() as demo:
        text = gr.Textbox()
        demo.load(one, text, text)
        gr.Timer(1).tick(one, text, text, concurrency_id="gpu", concurrency_limit=2)
        gr.Button().click(one, text, text, queue=False, concurrency_id="gpu")
        gr.on([gr.Timer(1).tick, gr.Button().click], one, text, text, api_name="polled")
    functions = list(demo.fns.values())
    assert [name for name, _ in named(groups, functions)] == ["", "gpu", "", "/polled"]


def test_what_a_render_makes_of_a_known_function_is_that_functions(groups: ModuleType) -> None:
    known = groups.Groups(events({"api_name": "a", "concurrency_limit": 2}))
    again, _, closure = events(
        {"api_name": "z", "concurrency_limit": 2}, {"api_name": "y"}, {"fn": lambda text: text}
    )
    assert (known.name(again), known.limit(again)) == ("/a", 2)
    assert known.name(closure) == f"~{closure.concurrency_id}"
    assert known.limit(closure) == "default"


def test_older_gradio_keeps_names_and_triggers_apart_from_its_functions(groups: ModuleType) -> None:
    functions = [
        SimpleNamespace(fn=one, concurrency_id=str(id(one)), concurrency_limit="default"),
        SimpleNamespace(fn=other, concurrency_id=str(id(other)), concurrency_limit=2),
        SimpleNamespace(fn=other, concurrency_id=str(id(other)), concurrency_limit=2),
        SimpleNamespace(fn=one, concurrency_id="gpu", concurrency_limit=2),
    ]
    dependencies = [
        {"api_name": "a", "targets": [[1, "click"]]}, {"api_name": False, "targets": [[1, "click"]]},
        {"api_name": "load", "targets": [[1, "load"]]}, {"api_name": "b", "queue": False},
    ]  # fmt: skip
    assert groups.Groups(functions, dependencies).names == ["/a", "#1", "", ""]


def test_gradio_limits_no_function_that_the_platform_does(groups: ModuleType) -> None:
    functions = events({"concurrency_limit": 2}, {"queue": False, "concurrency_limit": 2})
    with blocks() as demo:
        text = gr.Textbox()
        demo.load(one, text, text, concurrency_limit=2)
    functions += demo.fns.values()
    for _ in range(2):
        for function in functions:
            groups.free(function)
    assert [function.concurrency_limit for function in functions] == [None, None, 2]
    assert [groups.own_limit(function) for function in functions] == [2, 2, 2]
