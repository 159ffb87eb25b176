"""A pause is told to everybody who runs or waits, and ends nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from queueing.messages import PAUSED
from queueing.store.admin_ops import announce_pause
from queueing.store.queue import ANY_NUMBER, Queue

Joins = Callable[..., Awaitable[Any]]


async def said(queue: Queue, channel: str) -> list[dict[str, Any]]:
    entries = await queue.redis.xrange(queue.keys.messages(channel))
    return [msgspec.json.decode(fields[b"d"]) | {"final": fields[b"f"] == b"1"} for _, fields in entries]


async def test_everybody_who_runs_or_waits_is_told_and_keeps_the_place(queue: Queue, join: Joins) -> None:
    running = await join("runs")
    waiting = [await join("waits", fn=str(n)) for n in range(2)]
    await join("page", lane="side")
    await queue.acquire("d")
    await queue.claim("d")
    before = await queue.pending_ids()
    assert await asyncio.to_thread(announce_pause, queue.space_id) == 3
    for channel, events in (("runs", [running]), ("waits", waiting)):
        told = await said(queue, channel)
        assert [message["event_id"] for message in told] == [event.event_id for event in events]
        assert {(m["msg"], m["code"], m["final"]) for m in told} == {("log", PAUSED, False)}
    assert await said(queue, "page") == []
    assert await queue.pending_ids() == before


async def test_an_interruption_on_order_counts_for_nothing(queue: Queue, join: Joins) -> None:
    """However often: not for the event, and not for its input."""
    accepted = await join("a")
    await queue.acquire("d")
    for _ in range(10):
        (call,), _ = await queue.claim("d")
        assert call.events[0].id == accepted.event_id
        assert await queue.requeue(call.events[0], call, "moves", ANY_NUMBER)
        await queue.free(call)
    await join("b")  # the same input is not refused as poison
    (call,), _ = await queue.claim("d")
    assert (call.events[0].deaths, call.events[0].losses) == (0, 0)


@pytest.mark.parametrize("left", [["main"], ["side"], []])
async def test_where_nobody_would_read_it_nobody_is_told(queue: Queue, join: Joins, left: list[str]) -> None:
    for lane in left:
        await join("x", lane=lane)
    told = await asyncio.to_thread(announce_pause, queue.space_id)
    assert told == left.count("main")
