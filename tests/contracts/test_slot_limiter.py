"""Prefetched calls wait in the app for a slot: no more run than may, whatever becomes of those that wait."""

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
def slots() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "slot_limiter", LAUNCHER / "spaceport_launcher" / "slot_limiter.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def author(limit: int | None = None) -> Any:
    """Gradio's own count of a function."""
    return SimpleNamespace(concurrency_limit=limit, current_concurrency=0)


def a_ticket(slots: ModuleType, session: str, inner: Any = None, **group: Any) -> Any:
    return slots.Ticket(inner or author(), session, limited=True, **group)


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


async def test_threads_and_tasks_together_are_never_more_than_the_places(slots: ModuleType) -> None:
    limiter, watched, rng = slots.SlotLimiter(), Watched(), random.Random(5)  # noqa: S311
    limiter.allow("", 3, each=1, total=0)
    left = 0

    def function(one: Any) -> None:
        limiter.enter_thread(one)
        try:
            with watched:
                pass
        finally:
            limiter.leave(one)

    async def visit(n: int) -> None:
        nonlocal left
        one = a_ticket(slots, str(n))
        limiter.arrive(one)
        try:
            if n % 3 == 0:
                await limiter.enter(one)
                with watched:
                    await asyncio.sleep(0)
            elif n % 7 == 0 and limiter.withdraw(one):
                left += 1
            else:
                await asyncio.to_thread(function, one)
            if n % 50 == 0:
                limiter.allow("", rng.randint(1, 3), each=1, total=0)
        finally:
            limiter.depart(one)

    async with asyncio.timeout(60):
        await asyncio.gather(*(visit(n) for n in range(600)))
    assert watched.most <= 3
    assert watched.done + left == 600
    assert [limiter._here, limiter._inside] == [[], []]


def test_nobody_overtakes_one_whose_inputs_are_not_ready_yet(slots: ModuleType) -> None:
    limiter = slots.SlotLimiter()
    first, second, third = (a_ticket(slots, name) for name in "abc")
    limiter.arrive(first)
    limiter.arrive(second)
    limiter.depart(first)
    limiter.arrive(third)
    assert (second.inside, third.inside) == (True, False)
    limiter.enter_thread(second)
    limiter.leave(second)
    assert (second.inside, third.inside) == (False, True), "and one that has left wants no place again"


async def test_one_that_is_taken_back_never_gets_in(slots: ModuleType) -> None:
    limiter = slots.SlotLimiter()
    first, second, third = (a_ticket(slots, name) for name in "abc")
    assert all(limiter.arrive(one) for one in (first, second, third))
    assert first.inside
    assert not limiter.withdraw(first)
    waiting = asyncio.create_task(asyncio.to_thread(limiter.enter_thread, second))
    behind = asyncio.create_task(limiter.enter(third))
    while second.wake is None or third.wake is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert limiter.withdraw(second)
    with pytest.raises(slots.Withdrawn):
        await waiting
    limiter.leave(first)
    await behind
    assert third.inside
    assert not second.inside


async def test_the_authors_own_limit_holds_with_what_runs_by_his_own_queue(slots: ModuleType) -> None:
    limiter, inner = slots.SlotLimiter(), author(limit=2)
    limiter.allow("", 10, each=1, total=0)
    inner.current_concurrency = 1  # one of Gradio's own queue
    first, second = a_ticket(slots, "a", inner), a_ticket(slots, "b", inner)
    other = a_ticket(slots, "c", author(1))
    for one in (first, second, other):
        limiter.arrive(one)
    assert first.inside
    assert not second.inside
    waiting = [asyncio.create_task(limiter.enter(one)) for one in (second, other)]
    await waiting[1]  # it is not held up by another function's limit
    inner.current_concurrency = 0
    limiter.admit()
    await waiting[0]
    assert second.inside


def test_who_shares_a_session_has_no_inputs_made_ready_before_he_is_inside(slots: ModuleType) -> None:
    limiter = slots.SlotLimiter()
    first, same, another = (a_ticket(slots, name) for name in ("a", "a", "b"))
    assert limiter.arrive(first)
    assert not limiter.arrive(same)
    assert limiter.arrive(another)
    limiter.depart(first)
    limiter.depart(same)
    limiter.depart(another)
    assert limiter.arrive(a_ticket(slots, "a"))


def inside(limiter: Any, *tickets: Any) -> list[int]:
    """Which of them are let in, arriving in this order."""
    for one in tickets:
        limiter.arrive(one)
    return [at for at, one in enumerate(tickets) if one.inside]


def test_each_group_has_the_places_it_was_told(slots: ModuleType) -> None:
    limiter = slots.SlotLimiter()
    limiter.allow("a", 1, each=1, total=0)
    limiter.allow("b", 2, each=1, total=0)
    assert inside(limiter, *(a_ticket(slots, str(n), group=name) for n, name in enumerate("aabbb"))) == [
        0,
        2,
        3,
    ]


def test_a_group_of_which_nothing_was_told_has_its_codes_number_or_that_of_each(slots: ModuleType) -> None:
    limiter = slots.SlotLimiter()
    limiter.allow("a", 9, each=2, total=0)
    limits = ["default", "default", "default", 1, 1, None, None, None]
    tickets = [a_ticket(slots, str(n), group=f"~{limit}", limit=limit) for n, limit in enumerate(limits)]
    assert inside(limiter, *tickets) == [0, 1, 3, 5, 6, 7]
    limiter.allow("a", 9, each=0, total=0)
    assert tickets[2].inside, "0 is any number"
    assert not tickets[4].inside


def test_all_groups_together_have_no_more_than_the_total(slots: ModuleType) -> None:
    limiter = slots.SlotLimiter()
    limiter.allow("a", 9, each=9, total=3)
    tickets = [a_ticket(slots, str(n), group=name) for n, name in enumerate("aabbc")]
    page = slots.Ticket(None, "p", limited=False)
    assert inside(limiter, *tickets, page) == [0, 1, 2, 5]
    limiter.leave(tickets[0])
    assert tickets[3].inside
