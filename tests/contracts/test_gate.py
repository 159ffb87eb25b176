"""Calls sent ahead of their turn wait at the app's gate: no more are in their functions than may be, whatever
becomes of those that wait."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hardware.runtimes.base_image import LAUNCHER


@pytest.fixture(scope="module")
def gates() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gate", LAUNCHER / "spaceport_launcher" / "gate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def author(limit: int | None = None) -> Any:
    """Gradio's own count of a function."""
    return SimpleNamespace(concurrency_limit=limit, current_concurrency=0)


def a_pass(gates: ModuleType, session: str, inner: Any = None, **group: Any) -> Any:
    return gates.Pass(inner or author(), session, limited=True, **group)


class Watched:
    """Who is inside, counted by those inside."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = self.done = 0

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1
            self.done += 1


async def test_threads_and_tasks_together_are_never_more_than_the_places(gates: ModuleType) -> None:
    gate, watched, rng = gates.Gate(), Watched(), random.Random(5)  # noqa: S311
    gate.allow("", 3, each=1, total=0)
    left = 0

    def function(one: Any) -> None:
        gate.enter_thread(one)
        try:
            with watched:
                pass
        finally:
            gate.leave(one)

    async def visit(n: int) -> None:
        nonlocal left
        one = a_pass(gates, str(n))
        gate.arrive(one)
        try:
            if n % 3 == 0:
                await gate.enter(one)
                with watched:
                    await asyncio.sleep(0)
            elif n % 7 == 0 and gate.withdraw(one):
                left += 1
            else:
                await asyncio.to_thread(function, one)
            if n % 50 == 0:
                gate.allow("", rng.randint(1, 3), each=1, total=0)
        finally:
            gate.depart(one)

    async with asyncio.timeout(60):
        await asyncio.gather(*(visit(n) for n in range(600)))
    assert watched.most <= 3
    assert watched.done + left == 600
    assert [gate._here, gate._inside] == [[], []]


def test_nobody_overtakes_one_whose_inputs_are_not_ready_yet(gates: ModuleType) -> None:
    gate = gates.Gate()
    first, second, third = (a_pass(gates, name) for name in "abc")
    gate.arrive(first)
    gate.arrive(second)
    gate.depart(first)
    gate.arrive(third)
    assert (second.inside, third.inside) == (True, False)
    gate.enter_thread(second)
    gate.leave(second)
    assert (second.inside, third.inside) == (False, True), "and one that has left wants no place again"


async def test_one_that_is_taken_back_never_gets_in(gates: ModuleType) -> None:
    gate = gates.Gate()
    first, second, third = (a_pass(gates, name) for name in "abc")
    assert all(gate.arrive(one) for one in (first, second, third))
    assert first.inside
    assert not gate.withdraw(first)
    waiting = asyncio.create_task(asyncio.to_thread(gate.enter_thread, second))
    behind = asyncio.create_task(gate.enter(third))
    while second.wake is None or third.wake is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert gate.withdraw(second)
    with pytest.raises(gates.Withdrawn):
        await waiting
    gate.leave(first)
    await behind
    assert third.inside
    assert not second.inside


async def test_the_authors_own_limit_holds_with_what_runs_by_his_own_queue(gates: ModuleType) -> None:
    gate, inner = gates.Gate(), author(limit=2)
    gate.allow("", 10, each=1, total=0)
    inner.current_concurrency = 1  # one of Gradio's own queue
    first, second = a_pass(gates, "a", inner), a_pass(gates, "b", inner)
    other = a_pass(gates, "c", author(1))
    for one in (first, second, other):
        gate.arrive(one)
    assert first.inside
    assert not second.inside
    waiting = [asyncio.create_task(gate.enter(one)) for one in (second, other)]
    await waiting[1]  # it is not held up by another function's limit
    inner.current_concurrency = 0
    gate.look()
    await waiting[0]
    assert second.inside


def test_who_shares_a_session_has_no_inputs_made_ready_before_he_is_inside(gates: ModuleType) -> None:
    gate = gates.Gate()
    first, same, another = (a_pass(gates, name) for name in ("a", "a", "b"))
    assert gate.arrive(first)
    assert not gate.arrive(same)
    assert gate.arrive(another)
    gate.depart(first)
    gate.depart(same)
    gate.depart(another)
    assert gate.arrive(a_pass(gates, "a"))


def inside(gate: Any, *passes: Any) -> list[int]:
    """Which of them are let in, arriving in this order."""
    for one in passes:
        gate.arrive(one)
    return [at for at, one in enumerate(passes) if one.inside]


def test_each_group_has_the_places_it_was_told(gates: ModuleType) -> None:
    gate = gates.Gate()
    gate.allow("a", 1, each=1, total=0)
    gate.allow("b", 2, each=1, total=0)
    assert inside(gate, *(a_pass(gates, str(n), group=name) for n, name in enumerate("aabbb"))) == [0, 2, 3]


def test_a_group_of_which_nothing_was_told_has_its_codes_number_or_that_of_each(gates: ModuleType) -> None:
    gate = gates.Gate()
    gate.allow("a", 9, each=2, total=0)
    limits = ["default", "default", "default", 1, 1, None, None, None]
    passes = [a_pass(gates, str(n), group=f"~{limit}", limit=limit) for n, limit in enumerate(limits)]
    assert inside(gate, *passes) == [0, 1, 3, 5, 6, 7]
    gate.allow("a", 9, each=0, total=0)
    assert passes[2].inside, "0 is any number"
    assert not passes[4].inside


def test_all_groups_together_have_no_more_than_the_total(gates: ModuleType) -> None:
    gate = gates.Gate()
    gate.allow("a", 9, each=9, total=3)
    passes = [a_pass(gates, str(n), group=name) for n, name in enumerate("aabbc")]
    page = gates.Pass(None, "p", limited=False)
    assert inside(gate, *passes, page) == [0, 1, 2, 5]
    gate.leave(passes[0])
    assert passes[3].inside
