"""A message on the broker is a hint: whoever could write one, by a password that leaked, moves nothing that
the rows and the leases do not say, and runs no code."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads
from redis.asyncio import Redis

from hardware.runtimes.base import Artifact
from hardware.runtimes.process import ProcessRuntime
from queueing.dispatch.worker import DispatcherPool
from queueing.errors import Moved
from queueing.store.queue import Queue
from spaceport.celery import app
from spaces import tasks
from spaces.building import leases, runs
from spaces.models import Build, Space
from tests.events import a_join
from tests.people import make_people

OURS = ("spaceport.", "spaces.", "queueing.", "hardware.")


def test_pickles_and_yaml_are_not_read() -> None:
    assert app.conf.accept_content == ["json"]
    for kind, payload in (
        ("application/x-python-serialize", pickle.dumps(1)),
        ("application/x-yaml", b"1"),
        ("application/x-msgpack", b"\x01"),
    ):
        with pytest.raises(ContentDisallowed):
            loads(payload, kind, "binary", accept=app.conf.accept_content)


def test_tasks_take_numbers_only_save_one_that_looks_twice() -> None:
    """What a task is told it looks up: it is never told where to connect, what to run or what to write."""
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if name.startswith(OURS)}
    assert len(ours) >= 10
    for name, task in ours.items():
        for parameter in inspect.signature(task.run).parameters.values():
            if name != "spaces.tasks.forget":
                assert parameter.annotation == "int", (name, parameter)


def test_forgetting_removes_nothing_but_what_a_build_made(tmp_path: Path) -> None:
    runtime = ProcessRuntime(tmp_path)
    kept = tmp_path / "secret_key"
    kept.write_text("x")
    for code in (
        str(kept),
        str(tmp_path),
        f"{tmp_path}/code/../secret_key",
        f"{tmp_path}/code",
        "/",
        "../..",
    ):
        runtime.forget(Artifact(runtime="process", environment="", code=code))
    assert kept.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("status", [Build.Status.SUCCEEDED, Build.Status.RUNNING, Build.Status.CANCELLED])
def test_a_build_that_nobody_ordered_does_not_run(
    settings: Any, tmp_path: Path, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SPACEPORT_HOME = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    space = Space.objects.create(owner=make_people().lab, name="demo", sdk="gradio")
    row = Build.objects.create(space=space, sha="0" * 40, status=status)
    monkeypatch.setattr(runs, "run", lambda *_: pytest.fail("it built"))
    tasks.build(row.pk)
    tasks.build(row.pk + 1000)
    Build.objects.filter(pk=row.pk).update(started_at=timezone.now())
    assert leases.claim("a worker") is None
    row.refresh_from_db()
    assert row.status == status


async def test_a_drain_of_a_space_that_another_node_serves_claims_nothing() -> None:
    redis_url = os.environ["REDIS_URL"]
    async with Redis.from_url(redis_url) as redis:
        queue = Queue(redis, 987_654)
        joined = a_join(body={})
        await queue.join(joined)
        assert await queue.acquire("12:its-own-node")
        drains = DispatcherPool(redis_url, 60)
        # Neither where no route says that it runs here, nor beside the lease of who serves it.
        assert await drains_once(drains, queue.space_id) is None
        assert await queue.pending_ids() == [joined.event_id]
        assert not await queue.acquire("12:another-node")
        await queue.redis.hset(queue.keys.cfg, "replicas", "12")
        assert await queue.acquire("13:another-node")
        with pytest.raises(Moved):
            await queue.claim("13:another-node")
        await redis.flushdb()


async def drains_once(drains: DispatcherPool, space_id: int) -> float | None:
    future = asyncio.run_coroutine_threadsafe(drains._drain_once(space_id, 12), drains._loop)
    return await asyncio.to_thread(future.result)
