"""An input that kills its container fails by itself: it takes neither its neighbours nor the next
containers with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from queueing.errors import PoisonInput
from queueing.events import Accepted, Call, Event, input_digest
from queueing.messages import completed, failed
from queueing.store.queue import MAX_DEATHS, Queue

Joins = Callable[..., Awaitable[Accepted]]
Configure = Callable[..., Awaitable[None]]


async def container_died(queue: Queue, calls: list[Call]) -> None:
    """What a dispatcher does when the connection broke: each event again, or failed for good."""
    for call in calls:
        for event in call.events:
            if not await queue.requeue(event, call, "deaths", MAX_DEATHS - 1):
                await queue.finish(
                    event, call, "failed", failed(event.id, "crashed"), free=False, took_s=None
                )
        await queue.free(call)


async def complete(queue: Queue, call: Call) -> None:
    for event in call.events:
        assert await queue.finish(event, call, "completed", completed(event.id, {}), free=True, took_s=0)


def is_poison(event: Event) -> bool:
    return bool(event.body["data"] == ["poison"])


def body(text: str) -> dict[str, object]:
    return {"data": [text], "fn_index": 0}


async def run_all(queue: Queue) -> int:
    """Serve until nothing waits; a call with a poison input kills all calls beside it. How many deaths."""
    deaths = 0
    running: list[Call] = []
    while True:
        running += (await queue.claim("d"))[0]
        if not running:
            return deaths
        if any(is_poison(event) for call in running for event in call.events):
            await container_died(queue, running)
            # Deaths within three seconds are one: let the server's clock seem to pass.
            digest = input_digest("0", ["poison"])
            if raw := await queue.redis.get(queue.keys.deaths(digest)):
                count, at = raw.split()
                await queue.redis.set(queue.keys.deaths(digest), b"%s %f" % (count, float(at) - 10), ex=60)
            deaths += 1
            running = []
        else:
            await complete(queue, running.pop(0))


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_one_poison_input_fails_alone_and_costs_two_containers(
    queue: Queue, join: Joins, configure: Configure, concurrency: int
) -> None:
    await configure(concurrency_count=concurrency)
    await queue.acquire("d")
    innocent = [(await join(f"s{n}", body=body(f"i{n}"))).event_id for n in range(3)]
    poison = (await join("p", body=body("poison"))).event_id
    innocent += [(await join(f"t{n}", body=body(f"j{n}"))).event_id for n in range(6)]
    assert await run_all(queue) == 2
    assert (await queue.state(poison, "state"))["state"] == "failed"
    assert {(await queue.state(e, "state"))["state"] for e in innocent} == {"completed"}


async def test_the_same_poison_sent_again_reaches_no_container(queue: Queue, join: Joins) -> None:
    await queue.acquire("d")
    await join("p", body=body("poison"))
    assert await run_all(queue) == 2
    with pytest.raises(PoisonInput, match="crashed the demo twice"):
        await join("another visitor", body=body("poison"))
    assert (await join("p", body=body("other input"))).position == 0


async def test_an_innocent_input_is_not_remembered_once_it_completed(queue: Queue, join: Joins) -> None:
    """Everybody sends the example input: two chance deaths in a day must not close it to all."""
    await queue.acquire("d")
    for _ in range(3):
        await join(body=body("the example"))
        calls, _ = await queue.claim("d")
        await container_died(queue, calls)
        (again,), _ = await queue.claim("d")
        await complete(queue, again)


async def test_two_events_with_one_input_in_one_death_count_once(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    await queue.acquire("d")
    for n in range(2):
        await join(f"s{n}", body=body("the example"))
    calls, _ = await queue.claim("d")
    assert len(calls) == 2
    await container_died(queue, calls)
    raw = await queue.redis.get(queue.keys.deaths(input_digest("0", ["the example"])))
    assert raw is not None
    assert raw.split()[0] == b"1"


async def test_a_suspect_of_one_lane_is_not_starved_by_the_other(
    queue: Queue, join: Joins, configure: Configure
) -> None:
    await configure(concurrency_count=2)
    await queue.acquire("d")
    await join("load", lane="side", body=body("load"))
    calls, _ = await queue.claim("d")
    await container_died(queue, calls)
    for n in range(3):
        await join(f"m{n}", body=body(f"m{n}"))
    (suspect,), _ = await queue.claim("d")
    assert suspect.lane == "side"
    assert (await queue.claim("d"))[0] == []
    await complete(queue, suspect)
    assert len((await queue.claim("d"))[0]) == 2
