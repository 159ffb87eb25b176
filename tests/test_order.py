"""The order of the tests lets each of them run, shuffled or not."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import order


def test_in_each_file_those_with_a_browser_come_last() -> None:
    items: list[Any] = [
        SimpleNamespace(path=Path(f"{file}.py"), fixturenames=fixtures, name=f"{file}{number}")
        for file in "ab"
        for number, fixtures in enumerate((["visit", "playwright"], ["platform"], ["playwright"], []))
    ]
    assert [item.name for item in order._browsers_last(items)] == [
        "a1", "a3", "a0", "a2", "b1", "b3", "b0", "b2",
    ]  # fmt: skip
    for seed in range(5):
        ordered = order._browsers_last(order._shuffled(items, random.Random(seed)))  # noqa: S311
        uses = [order._uses_a_browser(item) for item in ordered]
        assert uses == [False, False, True, True] * 2
