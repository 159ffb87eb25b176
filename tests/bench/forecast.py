"""How right "what if" is. Spaces with the same app stand under different limits for some minutes, each under
random visitors of its own; what the statistics of one say of another's limit is held against what that one
measured. In real time."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import requests

from tests.bench.sides import Bench

GROUP, API_NAME = "/fifty_ms", "fifty_ms"
MINUTES = 4
#: A minute is in the statistics' rows two minutes after its end.
STORED_S = 150


@dataclass(frozen=True)
class Stand:
    """A Space, its limit, and its visitors a second: a call takes 50 ms."""

    number: int
    limit: int
    rate: float


STANDS = (Stand(1, 1, 14), Stand(2, 2, 14), Stand(3, 1, 18), Stand(4, 3, 18))
#: What is forecast from the first for the limit of the second.
PAIRS = ((0, 1), (1, 0), (2, 3), (3, 2))


def forecast(bench: Bench) -> None:
    """Waits (p50 and p95) that were forecast and that came."""
    spaces = [bench.another(stand.number) for stand in STANDS]
    for space, stand in zip(spaces, STANDS, strict=True):
        bench.platform.queue(space, bench.token, groups={GROUP: stand.limit})
    failed = asyncio.run(_visit(bench, spaces))
    time.sleep(STORED_S)
    print(f"\n{MINUTES} minutes, visitors at random moments, {failed} failed; waits p50 / p95\n")
    print("| visitors/s | calls at once | measured | model | limit | forecast | measured there | p95 off |")
    print("|---|---|---|---|---|---|---|---|")
    for first, second in PAIRS:
        limit = STANDS[second].limit
        found = _ask(bench, spaces[first], {f"group:{GROUP}": limit})
        there = _ask(bench, spaces[second], {})["measured"]
        off = found["then"]["wait_p95_s"] / there["wait_p95_s"] - 1
        cells = [
            _waits(found["measured"]),
            _waits(found["now"]),
            str(limit),
            _waits(found["then"]),
            _waits(there),
        ]
        print(f"| {STANDS[first].rate:g} | {STANDS[first].limit} | {' | '.join(cells)} | {off:+.0%} |")


async def _visit(bench: Bench, spaces: list[str]) -> int:
    """Send all of them their visitors; how many calls failed."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        found = await asyncio.gather(
            *(
                _stand(http, f"{bench.base(space)}/call/{API_NAME}", stand)
                for space, stand in zip(spaces, STANDS, strict=True)
            )
        )
    return sum(found)


async def _stand(http: aiohttp.ClientSession, url: str, stand: Stand) -> int:
    rng = random.Random(stand.number)  # noqa: S311
    end = time.monotonic() + 60 * MINUTES
    at, calls = time.monotonic(), []
    while at < end:
        at += rng.expovariate(stand.rate)
        await asyncio.sleep(at - time.monotonic())
        calls.append(asyncio.create_task(_call(http, url)))
    return (await asyncio.gather(*calls)).count(False)


async def _call(http: aiohttp.ClientSession, url: str) -> bool:
    async with http.post(url, json={"data": ["x"]}) as answer:
        event = (await answer.json()).get("event_id", "")
    async with http.get(f"{url}/{event}") as stream:
        return b"complete" in await stream.read()


def _ask(bench: Bench, space: str, parameters: dict[str, Any]) -> dict[str, Any]:
    answer = requests.get(
        f"{bench.platform.url}/api/spaces/{space}/what-if",
        params={"range": "1h", **parameters}, headers={"Authorization": f"Bearer {bench.token}"}, timeout=30,
    )  # fmt: skip
    answer.raise_for_status()
    return dict(answer.json())


def _waits(figures: dict[str, Any]) -> str:
    return " / ".join(f"{figures[name] * 1000:.0f}" for name in ("wait_p50_s", "wait_p95_s")) + " ms"
