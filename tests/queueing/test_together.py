"""Commands sent together: each gets its own answer, in order, whatever becomes of its neighbours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from queueing.store.pipelining import AT_ONCE, auto_pipeline
from queueing.store.queue import Queue
from tests.valkeys import Valkey


async def test_everybody_gets_his_own_answer_in_order(queue: Queue) -> None:
    ask = auto_pipeline(queue.redis).execute
    many = 3 * AT_ONCE
    answers = await asyncio.gather(*(ask("RPUSH", "together", n) for n in range(many)))
    assert answers == list(range(1, many + 1))
    assert await ask("LRANGE", "together", 0, -1) == [b"%d" % n for n in range(many)]
    await ask("DEL", "together")


async def test_a_refused_command_fails_alone(queue: Queue) -> None:
    ask = auto_pipeline(queue.redis).execute
    asked = [ask("SET", "together", "x"), ask("LPUSH", "together", "y"), ask("GET", "together")]
    good, bad, after = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(bad, ResponseError)
    assert (good, after) == (True, b"x")
    await ask("DEL", "together")


async def test_who_gave_up_waiting_spoils_nobody_elses_answer(queue: Queue) -> None:
    ask = auto_pipeline(queue.redis).execute
    gone, stays = ask("ECHO", "gone"), ask("ECHO", "stays")
    gone.cancel()
    assert await stays == b"stays"


async def test_what_failed_is_not_sent_again_with_the_next(tmp_path: Path) -> None:
    """A claim that is done twice behind our back takes events that nobody knows of."""
    server = Valkey(tmp_path / "valkey").start()
    client = Redis.from_url(server.url)
    ask = auto_pipeline(client).execute
    assert await ask("INCR", "n") == 1
    server.kill()
    for _ in range(3):
        with pytest.raises((RedisError, OSError)):
            await ask("INCR", "n")
    await asyncio.to_thread(server.start)
    while True:
        try:
            after = await ask("INCR", "n")
        except (RedisError, OSError):  # a connection that died with the server
            continue
        break
    assert after == 2
    await client.aclose()
    server.kill()
