"""Redis in a backup: every key comes back, with its time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from spaceport.keeping import parts, queue


@pytest.fixture
def other() -> Iterator[str]:
    """A database of Redis that nobody uses."""
    url = os.environ["REDIS_URL"].rpartition("/")[0] + "/9"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


def test_redis_comes_back_key_by_key(other: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(other) as client:
        client.set("text", b"\x00\xff" * 100_000)
        client.set("short", "lived", px=600_000)
        client.hset("hash", mapping={"a": 1, b"\xff": b"\x00"})
        client.rpush("list", 3, 1, 2)
        client.sadd("set", "x")
        client.zadd("zset", {"one": 1.5, "far": 2**52 + 1})
        for number in range(250):
            client.xadd("stream", {"n": number}, id=f"{number + 1}-5")
        before = {name: (client.type(name), client.dump(name)) for name in client.scan_iter()}
        with parts.Writing(tmp_path, "redis.rdb", print) as into:
            queue.dump(other, into)
        client.flushdb()
        client.set("left", "of before")
        assert not queue.is_empty(other)
        assert queue.load(other, tmp_path / "redis.rdb", 9) == len(before)
        after = {name: (client.type(name), client.dump(name)) for name in client.scan_iter()}
        assert after == before
        assert 0 < client.pttl("short") <= 600_000


@pytest.mark.parametrize("kind", ["string", "hash", "list", "set", "zset", "stream"])
def test_a_key_whose_time_ends_while_it_is_copied_is_left_out(other: str, kind: str) -> None:
    with redis.Redis.from_url(other) as client:
        pipe = client.pipeline()
        queue._write(client, pipe, b"ended just now", kind)
        pipe.execute()
        assert client.dbsize() == 0
