"""An app that runs out of memory for real: from its calls to its visitors' answers and its owner's view."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from hardware import redis_keys, replicas
from hardware.agent import Agent
from hardware.models import Replica
from hardware.runtimes.base import BuildSpec, ReplicaSpec
from hardware.tiers import Limits
from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.dispatch.worker import DispatcherPool
from queueing.stats.memory_ends import Ran
from queueing.store.queue import Queue
from spaces import lifecycle
from spaces.room import memory
from tests.events import a_join
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.process import ProcessRuntime
    from spaces.models import Space

MIB = 1024**2
TINY = Limits(cpus=1, memory_bytes=400 * MIB, pids=64)
APP = """
import time
import gradio as gr

def hog(megabytes):
    kept = [bytearray(b"x" * 10**6) for _ in range(int(megabytes))]
    time.sleep(60)

gr.Interface(hog, gr.Number(), None, api_name="hog").launch()
"""


@pytest.fixture
def served(space: Space, runtime: ProcessRuntime, tmp_path: Path) -> Iterator[tuple[Replica, DispatcherPool]]:
    """The Space runs on tiny hardware, and two calls of it may run at once."""
    (tmp_path / "app.py").write_text(APP)
    built = runtime.build(
        BuildSpec(space="alice/demo", space_id=space.pk, sha="9" * 40, sdk="gradio", source=tmp_path),
        lambda _line: None,
    )
    agent = Agent("here", {"cpu": False}, runtime)
    agent.start()
    spec = ReplicaSpec(
        space="alice/demo", space_id=space.pk, sdk="gradio", artifact=built, tier="cpu", limits=TINY
    )
    replica = replicas.order(space_id=space.pk, build_id=None, spec=spec)

    def is_ready() -> bool:
        replica.refresh_from_db()
        return replica.state == Replica.State.READY

    wait_until(is_ready, "it runs", 40)
    queue_settings.change(space.pk, {"concurrency_count": 2})
    lifecycle.take_over(space, replica)
    pool = DispatcherPool(os.environ["REDIS_URL"], 60)
    yield replica, pool
    pool.stop()
    agent.stop()


def test_two_calls_that_run_out_of_memory_together_are_tried_again_and_their_owner_is_told(
    space: Space, served: tuple[Replica, DispatcherPool]
) -> None:
    replica, pool = served
    asyncio.run(join(space.pk, 2))
    drain = asyncio.run_coroutine_threadsafe(pool._drain(space.pk), pool._loop)
    (end,) = wait_until(lambda: memory.ends(space), "both run out of memory", 30)
    assert end.ran == (Ran(function="hog", group="/hog", calls=2),)
    assert end.limit_bytes == TINY.memory_bytes < end.peak_bytes
    assert memory.change(space, [end]) == {"concurrency_count": 1}
    memory.lower(space)
    assert queue_settings.effective(space.pk).concurrency_count == 1
    # It serves again: what was noted of its end says nothing of the next one.
    note = redis_keys.death(replica.pk)
    wait_until(lambda: not sync_redis().exists(note), "it is started again", 30)
    drain.cancel()


async def join(space_id: int, count: int) -> None:
    async with Redis.from_url(os.environ["REDIS_URL"]) as client:
        for n in range(count):
            body = {"data": [250 + n], "fn_index": 0, "session_hash": f"s{n}"}
            await Queue(client, space_id).join(a_join(f"s{n}", body=body, group="/hog", origin="api"))
