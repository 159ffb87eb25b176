"""A copy of what a Gradio app says of itself, `/config` and `/info`, for programs that come while it sleeps
or starts: `gradio_client` waits five seconds for each. It is the answer to a stranger, of the commit that
will run, without the visitor's address."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Literal

from hardware import app_report, replica_client
from hardware.app_report import Unusable
from hardware.replica_client import ReplicaError
from infra.redis_clients import sync_redis
from queueing.store.keys import SpaceKeys
from spaces import publishing
from spaces.gateway.gradio.info import FROM_NOWHERE, NOWHERE_URL
from spaces.models import Space, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis

    from queueing.routes import Route

What = Literal["config", "info"]

MOST_BYTES = 4 * 1024 * 1024  # of each; an app that says more has no copy
ANSWER_S = 20.0
PLAIN = b"serialize=False"  # as the Python client asks for `/info`
CHUNK_BYTES = 64 * 1024
#: Stages of a Space that comes by itself; its visitors' events wait.
COMES = {Stage.SLEEPING, Stage.BUILDING, Stage.APP_STARTING, Stage.RUNNING, Stage.STOPPED}


def keep(space: Space) -> None:
    """Ask the app of a Space that runs, and keep its answers; one that refuses strangers has no copy."""
    route = publishing.published(space.pk)
    made = space.builds.filter(pk=space.replica.build_id or 0).first() if space.replica else None
    if made is None or route is None or not route.address or route.replica_id != space.replica_id:
        return
    config = _ask(route, f"{route.app.mount}/config")
    about = _ask(route, f"{route.app.prefix}/info", PLAIN)
    if not about or not _is_config(config):
        forget(space.pk)
        return
    packed = {"config": zlib.compress(config), "info": zlib.compress(about)}
    sync_redis().hset(SpaceKeys(space.pk).kept, mapping={**packed, "sha": made.sha})


def forget(space_id: int) -> None:
    """It may say something else when it runs again."""
    sync_redis().delete(SpaceKeys(space_id).kept)


async def read(redis: Redis, route: Route, what: What, query: bytes) -> AsyncIterator[bytes] | None:
    """The copy, with `info.NOWHERE_URL` for the visitor's address; None where there is none of the commit
    that will run, or of this one of several apps."""
    if route.stage not in COMES or route.app.number or query not in _alike(route, what):
        return None
    sha, packed = await redis.hmget(SpaceKeys(route.space_id).kept, ["sha", what])
    if packed is None or sha != route.sha.encode():
        return None
    return _chunks(zlib.decompress(packed))


def _alike(route: Route, what: What) -> tuple[bytes, ...]:
    """The queries that this copy answers. `/info` of Gradio 3 differs without one."""
    if what == "config":
        return (b"",)
    return (PLAIN,) if route.app.release[0] == 3 else (PLAIN, b"")


async def _chunks(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), CHUNK_BYTES):
        yield raw[start : start + CHUNK_BYTES]


def _ask(route: Route, path: str, query: bytes = b"") -> bytes:
    """The answer; empty where there is none for strangers."""
    try:
        status, raw = replica_client.fetch(
            route.address, path, query=query, limit=MOST_BYTES, total_s=ANSWER_S, headers=FROM_NOWHERE
        )
    except ReplicaError:
        return b""
    return raw.replace(f"http://{route.address}".encode(), NOWHERE_URL) if status == 200 else b""


def _is_config(raw: bytes) -> bool:
    try:
        return app_report.config(raw) is not None
    except Unusable:
        return False
