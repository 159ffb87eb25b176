"""Bursts on a real platform: calls of 50 ms, one at once on each replica, for nine minutes of real time."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import requests

from queueing.tuning.model import Arrival
from tests.bench.scaling import clairvoyant
from tests.bench.scaling.scaled import DRAIN_S, Ran
from tests.bench.scaling.traces import Shape, arrivals

if TYPE_CHECKING:
    from tests.bench.sides import Bench

GROUP, API_NAME = "/fifty_ms", "fifty_ms"
SHAPE = Shape(
    name="real", quiet=6.0, burst=35.0, quiet_s=60.0, burst_s=60.0, call_s=0.055, spread=0.0, goal_s=12.0,
    most=4, hours=0.15,
)  # fmt: skip
SEED = 4


class Seen(NamedTuple):
    """At a moment, in seconds: how many replicas were wanted, and how many served."""

    at: float
    wanted: int
    serving: int


def measured(bench: Bench) -> str:
    """What came of it, as a row."""
    events = arrivals(SHAPE, SEED)
    bench.platform.queue(bench.space, bench.token, groups={GROUP: 1})
    _set(bench, {"min_replicas": 1, "max_replicas": SHAPE.most, "goal_p90_s": SHAPE.goal_s})
    waits, failed, seen = asyncio.run(_run(bench, events))
    used = sum((after.at - one.at) * one.wanted for one, after in pairwise(seen))
    ends = sum(max(one.wanted - after.wanted, 0) for one, after in pairwise(seen))
    ran = Ran(waits, used + ends * DRAIN_S)
    lead_s = statistics.median(_starts(seen))
    least = clairvoyant.replica_s(events, replace(SHAPE, lead_s=lead_s))
    return (
        f"{len(events)} events, {failed} failed; a start took {lead_s:.0f} s; p90 {ran.p90():.1f} s, within "
        f"{SHAPE.goal_s:g} s in {ran.kept(SHAPE.goal_s):.0%} of the minutes; {ran.replica_s:.0f} "
        f"replica-seconds, clairvoyant {least:.0f}: {ran.replica_s / least:.2f}"
    )


def _starts(seen: list[Seen]) -> list[float]:
    """From each rise of the number until all serve."""
    return [
        next((later.at for later in seen[at:] if later.serving >= after.wanted), seen[-1].at) - after.at
        for at, (before, after) in enumerate(pairwise(seen), 1)
        if after.wanted > before.wanted
    ]


async def _run(bench: Bench, events: list[Arrival]) -> tuple[list[tuple[float, float]], int, list[Seen]]:
    """The waits, how many calls failed, and the replicas over the time."""
    seen: list[Seen] = []
    url = f"{bench.base(bench.space)}/call/{API_NAME}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        began = time.monotonic()
        watch = asyncio.create_task(_watch(bench, began, seen), name="watch")
        calls = []
        for event in events:
            await asyncio.sleep(event.at - (time.monotonic() - began))
            calls.append(asyncio.create_task(_call(http, url, event), name="call"))
        found = await asyncio.gather(*calls)
        watch.cancel()
    waits = [(at, took) for at, took in found if took is not None]
    return waits, len(found) - len(waits), [*seen, seen[-1]._replace(at=time.monotonic() - began)]


async def _watch(bench: Bench, began: float, seen: list[Seen]) -> None:
    while True:
        found = await asyncio.to_thread(_replicas, bench)
        seen.append(Seen(time.monotonic() - began, found["requested"], found["current"]))
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
