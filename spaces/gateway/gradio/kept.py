"""A copy of a Gradio app's own description, `/config` and `/info`, for programs that come while it sleeps or
starts: `gradio_client` waits five seconds for each. It is the answer to a stranger, of the commit that will
run, without the visitor's address."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hardware import app_report, replica_client
from hardware.app_report import Unusable
from hardware.hop.addresses import local
from hardware.replica_client import ReplicaError
from infra.redis_clients import sync_redis
from queueing.store.keys import SpaceKeys
from spaces import publishing
from spaces.gateway.gradio.info import FROM_NOWHERE, NOWHERE_URL
from spaces.models import Space, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis
    from redis.client import Pipeline

    from queueing.routes import Route

What = Literal["config", "info"]

MOST_BYTES = 4 * 1024 * 1024  # of each; an app that sends more has no copy
PACKED_BYTES = 256 * 1024  # of both as they are kept
ANSWER_S = 10.0  # for both together
AT_ONCE = 4  # apps loaded at a time: they may hang, and others need this process's threads
PLAIN = b"serialize=False"  # as the Python client requests `/info`
CHUNK_BYTES = 64 * 1024
#: Stages of a Space that comes by itself; its visitors' events wait.
COMES = {Stage.SLEEPING, Stage.BUILDING, Stage.APP_STARTING, Stage.RUNNING, Stage.STOPPED}


_slots = threading.BoundedSemaphore(AT_ONCE)


class Busy(RuntimeError):
    """The most apps allowed are being loaded; try again."""


def keep(space: Space) -> None:
    """Load the description from the app of a running Space, and keep it; an app that refuses strangers, or
    sends more than is kept, has no copy.

    Raises:
        Busy
    """
    route = publishing.published(space.pk)
    made = space.builds.filter(pk=space.replica.build_id or 0).first() if space.replica else None
    if made is None or route is None or not route.address or route.replica_id != space.replica_id:
        return
    if not _slots.acquire(blocking=False):
        raise Busy
    try:
        load_id = secrets.token_hex(8)
        if _write(route, {"asking": load_id}):
            packed = _packed(route)
            _write(route, {**packed, "sha": made.sha} if packed else {}, load_id)
    finally:
        _slots.release()


def _packed(route: Route) -> dict[str, bytes]:
    """The app's description now; empty where it is not to be kept."""
    until = time.monotonic() + ANSWER_S
    config = _load(route, f"{route.app.mount}/config", until)
    about = _load(route, f"{route.app.prefix}/info", until, PLAIN)
    if not about or not _is_config(config):
        return {}
    packed = {"config": zlib.compress(config), "info": zlib.compress(about)}
    return packed if sum(map(len, packed.values())) <= PACKED_BYTES else {}


def _write(route: Route, values: dict[str, Any], load_id: str = "") -> bool:
    """Replace the copy by these values, or add them to it if `load_id` is ""; False if the replica serves no
    more, or if the copy was forgotten since this load began."""
    k = SpaceKeys(route.space_id)

    def write(pipe: Pipeline) -> bool:
        serving, current = pipe.hget(k.cfg, "replicas"), pipe.hget(k.kept, "asking")
        pipe.multi()
        if str(route.replica_id).encode() not in (serving or b"").split() or (
            load_id and current != load_id.encode()
        ):
            return False
        if load_id:
            pipe.delete(k.kept)
        if values:
            pipe.hset(k.kept, mapping=values)
        return True

    return bool(sync_redis().transaction(write, k.cfg, k.kept, value_from_callable=True))


def forget(space_id: int) -> None:
    """Forget the copy: the app may differ when it runs again."""
    sync_redis().delete(SpaceKeys(space_id).kept)


def described(space_id: int) -> dict[str, Any] | None:
    """The app's functions as it last described them, of whichever commit; None: nothing is kept."""
    packed = sync_redis().hget(SpaceKeys(space_id).kept, "info")
    try:
        value = msgspec.json.decode(zlib.decompressobj().decompress(packed, MOST_BYTES)) if packed else None
    except (zlib.error, msgspec.DecodeError):
        return None
    return value if isinstance(value, dict) else None


async def read(redis: Redis, route: Route, what: What, query: bytes) -> AsyncIterator[bytes] | None:
    """The copy, with `info.NOWHERE_URL` for the visitor's address; None where there is none of the commit
    that will run, or of this one of several apps."""
    if route.stage not in COMES or route.app.number or query not in _alike(route, what):
        return None
    sha, packed = await redis.hmget(SpaceKeys(route.space_id).kept, ["sha", what])
    if packed is None or sha != route.sha.encode():
        return None
    return _chunks(packed)


def _alike(route: Route, what: What) -> tuple[bytes, ...]:
    """The queries that this copy answers. `/info` of Gradio 3 differs without one."""
    if what == "config":
        return (b"",)
    return (PLAIN,) if route.app.release[0] == 3 else (PLAIN, b"")


async def _chunks(packed: bytes) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj()
    while packed:  # its checksum, which comes last, is left until all else is out
        yield unpacker.decompress(packed, CHUNK_BYTES)
        packed = unpacker.unconsumed_tail


def _load(route: Route, path: str, until: float, query: bytes = b"") -> bytes:
    """The answer; empty where there is none for strangers, or none in time."""
    answer = replica_client.fetch(
        route.address,
        path,
        query=query,
        limit=MOST_BYTES,
        total_s=until - time.monotonic(),
        headers=FROM_NOWHERE,
    )
    try:
        status, raw = asyncio.run(answer)
    except ReplicaError:
        return b""
    return raw.replace(f"http://{local(route.address)}".encode(), NOWHERE_URL) if status == 200 else b""


def _is_config(raw: bytes) -> bool:
    try:
        return app_report.config(raw) is not None
    except Unusable:
        return False
