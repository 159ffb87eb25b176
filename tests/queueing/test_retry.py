"""Steps that are done again while Redis is away."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest
from redis.exceptions import ConnectionError as Away

from queueing.store.retry import growing, retry_while_away


class Step:
    """Fails in these ways, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def __call__(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "stored"


@pytest.mark.parametrize("failure", [lambda: Away("x"), lambda: OSError("x")])
async def test_a_step_is_done_again_until_redis_is_back(failure: Callable[[], Exception]) -> None:
    assert await retry_while_away(Step(failure(), failure()), delays_s=itertools.repeat(0)) == "stored"


async def test_a_step_of_several_tasks_is_done_again_as_a_whole() -> None:
    lost = Step(Away("one"))

    async def several() -> str:
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(lost()), group.create_task(lost())]
        return answers[0].result()

    assert await retry_while_away(several, delays_s=itertools.repeat(0)) == "stored"


async def test_it_gives_up_with_what_redis_said_last() -> None:
    with pytest.raises(Away, match="first"):
        await retry_while_away(Step(Away("first"), Away("next")), delays_s=itertools.repeat(0), give_up_s=-1)


async def test_any_other_error_is_raised_at_once() -> None:
    with pytest.raises(LookupError):
        await retry_while_away(Step(LookupError("wrong")), delays_s=itertools.repeat(0))


def test_delays_grow_to_their_most_and_are_spread() -> None:
    delays = list(itertools.islice(growing(0.1, 1.0), 6))
    for delay_s, middle_s in zip(delays, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0], strict=True):
        assert middle_s / 2 <= delay_s <= middle_s * 1.5
