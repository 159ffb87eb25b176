"""How many waiting visitors one web process holds, each told its place at least once a second."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import aiohttp

from spaceport.limits import allow_many_files
from tests.bench.processes import cpu_seconds, memory_bytes

OPENED_AT_ONCE = 50


@dataclass
class Held:
    """What holding so many sockets came to."""

    sockets: int
    bytes_each: float
    cpu_share: float  # of one core, over the watched time
    told_each: float  # places told, a second and socket that still waits at the end
    longest_silence_s: float  # the longest that one of these waited for its next place


async def _join(http: aiohttp.ClientSession, url: str, api_name: str) -> aiohttp.ClientWebSocketResponse:
    socket = await http.ws_connect(url, heartbeat=None)
    await socket.send_json({"msg": "join", "api_name": api_name, "data": ["x"]})
    while json.loads((await socket.receive()).data)["msg"] not in ("joined", "error"):
        pass
    return socket


async def hold(url: str, pid: int, *, empty_bytes: int, sockets: int, api_name: str, seconds: float) -> Held:
    """Open so many, each with one event in line, and watch for so long. `pid`: the web process, which had
    `empty_bytes` before its first socket."""
    allow_many_files()
    told: list[float] = [0.0] * sockets
    counts = [0] * sockets
    silences = [0.0] * sockets
    served: set[int] = set()
    ready = asyncio.Semaphore(OPENED_AT_ONCE)
    watching = asyncio.Event()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def wait(at: int, joined: asyncio.Future[None]) -> None:
            async with ready:
                socket = await _join(http, url, api_name)
            joined.set_result(None)
            async for message in socket:
                if '"place"' in message.data[:20]:
                    now = time.monotonic()
                    if watching.is_set():
                        silences[at] = max(silences[at], now - told[at])
                        counts[at] += 1
                    told[at] = now
                elif '"process_starts"' in message.data:
                    served.add(at)

        loop = asyncio.get_running_loop()
        joined = [loop.create_future() for _ in range(sockets)]
        tasks = [asyncio.create_task(wait(at, future)) for at, future in enumerate(joined)]
        await asyncio.gather(*joined)
        await asyncio.sleep(2)
        used, began = cpu_seconds(pid), time.monotonic()
        told[:] = [began] * sockets
        watching.set()
        await asyncio.sleep(seconds)
        lasted = time.monotonic() - began
        waiting = set(range(sockets)) - served
        held = Held(
            sockets=sockets,
            bytes_each=(memory_bytes(pid) - empty_bytes) / sockets,
            cpu_share=(cpu_seconds(pid) - used) / lasted,
            told_each=sum(counts[at] for at in waiting) / len(waiting) / lasted,
            longest_silence_s=max(max(silences[at], began + lasted - told[at]) for at in waiting),
        )
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return held
