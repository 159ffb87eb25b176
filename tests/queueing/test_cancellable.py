"""A task that asks Redis ends when it is cancelled, at whatever moment that comes."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError  # noqa: A004

from infra.cancellable import cancellable
from tests.queueing.conftest import redis

__all__ = ["redis"]

#: Turns of the event loop after which it is cancelled; a command takes about a dozen.
TURNS = range(40)


@pytest.mark.parametrize("turns", TURNS)
async def test_a_cancelled_task_ends_wherever_its_command_is(redis: Redis, turns: int) -> None:
    failed = asyncio.Event()

    async def ask() -> None:
        while not failed.is_set():
            await redis.ping()

    task = asyncio.create_task(ask())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=1)
    failed.set()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_write_that_cannot_end_is_given_up() -> None:
    """The timeout counts while it writes: a Redis that reads nothing holds nobody for ever."""

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"PING" not in await reader.read(4096):
            writer.write(b"+OK\r\n" * 2)
        writer.write(b"+PONG\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"redis://127.0.0.1:{port}?protocol=2"
    client = cancellable(Redis.from_url(url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)))
    await client.ping()
    with pytest.raises(TimeoutError, match="Timeout writing"):
        await client.set("key", b"x" * 64 * 1024 * 1024)
    await client.aclose()
    server.close()
