"""Bursts on a real platform: calls of 50 ms, one at once on each replica, in real time."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import requests

from queueing.tuning.model import Arrival
from tests.bench.scaling import clairvoyant
from tests.bench.scaling.scaled import DRAIN_S, Ran
from tests.bench.scaling.traces import Shape, arrivals

if TYPE_CHECKING:
    from tests.bench.sides import Bench

GROUP, API_NAME = "/fifty_ms", "fifty_ms"
#: Replicas that a range of these bounds has run on before know their start.
SHAPE = Shape(
    name="real", quiet=6.0, burst=30.0, quiet_s=60.0, burst_s=45.0, call_s=0.055, spread=0.0, goal_s=5.0,
    most=3, hours=0.15,
)  # fmt: skip
QUIET_S = 15.0
WINDOW_S = 10.0
SEED = 4


def measured(bench: Bench) -> str:
    """What came of it, as a row."""
    events = arrivals(SHAPE, SEED)
    bench.platform.queue(bench.space, bench.token, groups={GROUP: 1})
    _set(
        bench, {"min_replicas": 1, "max_replicas": SHAPE.most, "goal_p90_s": SHAPE.goal_s, "quiet_s": QUIET_S}
    )
    waits, failed, counts = asyncio.run(_run(bench, events))
    used = sum((after - at) * count for (at, count), (after, _) in pairwise(counts))
    ends = sum(max(before - after, 0) for (_, before), (_, after) in pairwise(counts))
    ran = Ran(waits, used + ends * DRAIN_S)
    least = clairvoyant.replica_s(events, SHAPE)
    return (
        f"{len(events)} events, {failed} failed; p90 {ran.p90():.1f} s, within {SHAPE.goal_s:g} s in "
        f"{ran.kept(SHAPE.goal_s):.1%} of the minutes; {ran.replica_s:.0f} replica-seconds, clairvoyant "
        f"{least:.0f}: {ran.replica_s / least:.2f}"
    )


async def _run(
    bench: Bench, events: list[Arrival]
) -> tuple[list[tuple[float, float]], int, list[tuple[float, int]]]:
    """The waits, how many calls failed, and how many replicas were wanted when."""
    counts: list[tuple[float, int]] = []
    url = f"{bench.base(bench.space)}/call/{API_NAME}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        began = time.monotonic()
        watch = asyncio.create_task(_watch(bench, began, counts), name="watch")
        calls = []
        for event in events:
            await asyncio.sleep(event.at - (time.monotonic() - began))
            calls.append(asyncio.create_task(_call(http, url, event), name="call"))
        found = await asyncio.gather(*calls)
        watch.cancel()
    waits = [(at, took) for at, took in found if took is not None]
    return waits, len(found) - len(waits), [*counts, (time.monotonic() - began, counts[-1][1])]


async def _watch(bench: Bench, began: float, counts: list[tuple[float, int]]) -> None:
    while True:
        found = await asyncio.to_thread(_replicas, bench)
        counts.append((time.monotonic() - began, found["requested"]))
        await asyncio.sleep(1)


async def _call(http: aiohttp.ClientSession, url: str, event: Arrival) -> tuple[float, float | None]:
    """When it came, and how long it took beyond its own work; None: it failed."""
    began = time.monotonic()
    async with http.post(url, json={"data": ["x"]}) as answer:
        event_id = (await answer.json()).get("event_id", "")
    async with http.get(f"{url}/{event_id}") as stream:
        ended = b"complete" in await stream.read()
    return event.at, max(time.monotonic() - began - event.work, 0.0) if ended else None


def _set(bench: Bench, values: dict[str, Any]) -> None:
    requests.post(_url(bench), json=values, headers=_headers(bench), timeout=30).raise_for_status()


def _replicas(bench: Bench) -> dict[str, Any]:
    return dict(requests.get(_url(bench), headers=_headers(bench), timeout=30).json())


def _url(bench: Bench) -> str:
    return f"{bench.platform.url}/api/spaces/{bench.space}/replicas"


def _headers(bench: Bench) -> dict[str, str]:
    return {"Authorization": f"Bearer {bench.token}"}
