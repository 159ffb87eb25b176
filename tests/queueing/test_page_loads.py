"""Loads of pages: so many at once, then one by one as they flow back; each visitor by itself."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from queueing.store import keys
from spaces.gateway.identity import page_rate_limit
from tests.waiting import eventually


async def load(
    redis: Redis, per_minute: int, user_id: int | None = None, address: str = "192.0.2.1"
) -> float:
    return await page_rate_limit.retry_after_s(redis, per_minute, user_id=user_id, address=address)


async def test_so_many_at_once_and_then_one_after_the_other(redis: Redis) -> None:
    # One flows back within ten seconds: none within this test's first steps.
    assert [await load(redis, 6) for _ in range(6)] == [0.0] * 6
    assert 0 < await load(redis, 6) <= 10
    quick = [await load(redis, 600, address="198.51.100.7") for _ in range(5000)]
    assert quick[:600] == [0.0] * 600
    assert max(quick) <= 0.1, "what was refused takes nothing"

    async def one_more() -> bool:
        return await load(redis, 600, address="198.51.100.7") == 0

    await eventually(one_more, "one has flowed back")


async def test_neighbours_share_and_accounts_do_not(redis: Redis) -> None:
    for _ in range(2):
        assert await load(redis, 2, address="192.0.2.1") == 0
    assert await load(redis, 2, address="192.0.2.200") > 0
    assert await load(redis, 2, address="192.0.3.1") == 0
    assert await load(redis, 2, user_id=1, address="192.0.2.1") == 0


@pytest.mark.parametrize("per_minute", [1, 300])
async def test_a_full_bucket_leaves_nothing_behind_for_longer_than_it_takes_to_flow_back(
    redis: Redis, per_minute: int
) -> None:
    while not await load(redis, per_minute):
        pass
    assert 0 < await redis.pttl(keys.loads("address:192.0.2.0/24")) <= 61_000


async def test_no_limit_asks_nobody(redis: Redis) -> None:
    assert await load(redis, 0) == 0
    assert await redis.exists(keys.loads("address:192.0.2.0/24")) == 0
