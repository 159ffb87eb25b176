"""One web process and two, of two platforms beside each other that take turns."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp

from tests.bench.client import load
from tests.bench.processes import proportional_bytes
from tests.bench.sides import Bench
from tests.platform_server import WEB

CLIENTS = 100
MIB = 1024 * 1024

Measure = Callable[[Bench], float]


def web_processes(bench: Bench) -> None:
    """What a second web process brings, and what it costs."""
    with bench.fresh(SPACEPORT_WEB_PROCESSES="2") as two:
        sides = (bench, two)
        measured: dict[str, Measure] = {
            f"events/s, no-op, {CLIENTS} clients": _events,
            f"events/s, {CLIENTS} clients, a new session for each": lambda side: _events(side, calls_each=1),
            f"requests/s through the gateway, {CLIENTS} connections": lambda side: _requests(
                side, side.platform.run_url(side.space) + "config"
            ),
            f"requests/s of a page, {CLIENTS} connections": lambda side: _requests(
                side, f"{side.platform.url}/{side.space}"
            ),
            f"websockets opened a second, {CLIENTS} at a time": _sockets,
            "MiB (PSS) of the web processes": _memory,
        }
        print("\n| | one web process | two | ratio |\n|---|---|---|---|")
        for side in sides:
            side.concurrency(4)
            _events(side)  # what is made on first use
        for name, measure in measured.items():
            rounds = [[measure(side) for side in sides] for _ in range(bench.options.rounds)]
            first, second = (statistics.median(figures) for figures in zip(*rounds, strict=True))
            print(f"| {name} | {first:.0f} | {second:.0f} | {second / first:.2f} |", flush=True)


def _events(side: Bench, calls_each: int = 0) -> float:
    seconds = side.options.seconds
    run = load(side.base(side.space), 0, clients=CLIENTS, seconds=seconds, calls_each=calls_each)
    return asyncio.run(run).rate


def _requests(side: Bench, url: str) -> float:
    return asyncio.run(_by_connections(side.options.seconds, lambda http: _get(http, url)))


def _sockets(side: Bench) -> float:
    return asyncio.run(_by_connections(side.options.seconds, lambda http: _open(http, side.socket_url())))


async def _get(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(url) as answer:
        answer.raise_for_status()
        await answer.read()


async def _open(http: aiohttp.ClientSession, url: str) -> None:
    async with http.ws_connect(url) as socket:
        await socket.receive()  # the Space's status


async def _by_connections(seconds: float, once: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> float:
    """How often a second so many do it, each again and again."""
    done = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        began = time.monotonic()

        async def forever() -> None:
            nonlocal done
            while time.monotonic() - began < seconds:
                await once(http)
                done += 1

        await asyncio.gather(*(forever() for _ in range(CLIENTS)))
        return done / (time.monotonic() - began)


def _memory(side: Bench) -> float:
    return sum(map(proportional_bytes, side.platform.pids(WEB))) / MIB
