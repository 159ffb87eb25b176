"""The limit on websocket handshakes: a burst is spread, and nobody is left outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest

from infra.token_bucket import Bucket
from queueing.messages import COME_LATER
from spaceport.web.admission import BACK_MS
from tests.platform_server import ROOT, free_port
from tests.waiting import eventually

PER_SECOND = 20
BURST = 100


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(bucket: Bucket, tries: int) -> int:
    return sum(bucket.take() for _ in range(tries))


def test_a_bucket_gives_no_more_than_flows_in_and_keeps_a_seconds_worth() -> None:
    clock = Clock()
    bucket = Bucket(200, clock)
    assert taken(bucket, 1000) == 200
    clock.now += 0.25
    assert taken(bucket, 1000) == 50
    clock.now += 3600
    assert taken(bucket, 1000) == 200


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The greeter, served by Daphne in a process of its own."""
    port = free_port()
    path = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daphne", "-p", str(port), "tests.spaceport.greeter:application",
        cwd=ROOT, env={**os.environ, "PYTHONPATH": path, "PER_SECOND": str(PER_SECOND)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await eventually(lambda: _listens(port), "it listens", 60)
        yield f"ws://127.0.0.1:{port}/"
    finally:
        server.kill()
        await server.wait()


async def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


async def test_a_burst_is_spread_by_moments_told_to_each(url: str) -> None:
    began = time.monotonic()
    greeted: list[float] = []  # when, since the burst
    told: list[int] = []
    codes: Counter[int | None] = Counter()

    async def come(http: aiohttp.ClientSession) -> None:
        """As the page does: back at the moment told, as often as it is told."""
        while True:
            async with http.ws_connect(url) as socket:
                message = json.loads((await socket.receive(timeout=60)).data)
                if message["msg"] == "hello":
                    greeted.append(time.monotonic() - began)
                    return
                assert message["msg"] == "goodbye"
                told.append(message["retry_after_ms"])
                await socket.receive(timeout=60)
                codes[socket.close_code] += 1
            await asyncio.sleep(message["retry_after_ms"] / 1000)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await asyncio.gather(*(come(http) for _ in range(BURST)))
    for number, at in enumerate(sorted(greeted), start=1):
        assert number <= PER_SECOND * (1 + at) + 1, "no more than the limit, at any moment"
    assert len(told) >= BURST / 2
    assert set(codes) == {COME_LATER}
    assert all(BACK_MS[0] <= moment < BACK_MS[1] for moment in told)
    assert len(set(told)) > len(told) / 2, "each its own moment"
