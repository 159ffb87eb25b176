"""Requests to an upload's address (the specification's "CAS API"; `/v2/shards` as `hf_xet` 1.8 has it),
beside Django, as in `spaces.lfs.door`. ASGI."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from typing import IO, Any

from channels.db import database_sync_to_async

from spaces.gateway.proxy.http import Receive, Scope, Send, respond, until_gone
from spaces.lfs import store
from spaces.lfs.door import pieces, refusing
from spaces.lfs.store import Refused, full_disk
from spaces.xet import sessions, xorbs
from spaces.xet.assembly import Progress, store_files
from spaces.xet.sessions import Session

logger = logging.getLogger(__name__)

JSON = "application/json"
LINES = "application/x-ndjson"
BEAT_S = 5.0  # between two lines about how far it is: a proxy gives up on a silent answer after a minute
AT_ONCE = 2  # shards of which files are made in this process
_turns = asyncio.Semaphore(AT_ONCE)


async def door(scope: Scope, receive: Receive, send: Send) -> None:
    """One request at an upload's address."""
    async with refusing(send, 401):
        session, path = sessions.read(scope["path"])
        fields = dict(scope["headers"])
        sessions.check_token(session, fields.get(b"authorization", b"").decode("latin-1"))
        await _served(session, scope["method"], path, receive, send)


async def _served(session: Session, method: str, path: str, receive: Receive, send: Send) -> None:
    match method, path.split("/"):
        case "POST", ["v1", "xorbs", _, name]:
            await _take_xorb(session, name, receive)
            await respond(send, 200, b'{"was_inserted":true}', JSON)
        case "POST", ["v1" | "v2" as version, "shards"]:
            with tempfile.TemporaryFile(dir=store.spool()) as shard:
                await _take_shard(shard, receive)
                answer = _by_lines if version == "v2" else _at_once
                await until_gone(receive, answer(session, shard, send))
        case _:
            # Also for queries about pieces stored before: there are none.
            raise Refused(404, "This is not here.")


async def _take_xorb(session: Session, name: str, receive: Receive) -> None:
    incoming = await asyncio.to_thread(xorbs.Incoming, session, name)
    with incoming:
        async for piece in pieces(receive):
            await asyncio.to_thread(incoming.write, piece)
        await asyncio.to_thread(incoming.keep)


async def _take_shard(shard: IO[bytes], receive: Receive) -> None:
    size = 0
    async for piece in pieces(receive):
        size += len(piece)
        if size > sessions.SHARD_BYTES:
            raise Refused(413, f"A shard has at most {sessions.SHARD_BYTES:,} bytes.")
        with full_disk():
            await asyncio.to_thread(shard.write, piece)


async def _at_once(session: Session, shard: IO[bytes], send: Send) -> None:
    """The protocol's first form: an answer when all is done."""
    progress = Progress()
    work = asyncio.ensure_future(_stored(session, shard, progress))
    try:
        await asyncio.wait([work])
    finally:
        await _ended(work, progress)
    await work
    await respond(send, 200, b'{"result":1}', JSON)


async def _by_lines(session: Session, shard: IO[bytes], send: Send) -> None:
    """Its second form: how far it is, line by line, and how it ended. Of this form a client shows errors."""
    headers = [(b"content-type", LINES.encode()), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    progress = Progress()
    work = asyncio.ensure_future(_stored(session, shard, progress))
    try:
        while not (await asyncio.wait([work], timeout=BEAT_S))[0]:
            progress_line = {"type": "validating", "verified": progress.done, "total": progress.total}
            await send({"type": "http.response.body", "body": _line(progress_line), "more_body": True})
    finally:
        await _ended(work, progress)
    await send({"type": "http.response.body", "body": _line(_outcome(work))})


async def _stored(session: Session, shard: IO[bytes], progress: Progress) -> None:
    async with _turns:
        # A thread of its own: those that share one would wait for gigabytes.
        await database_sync_to_async(store_files, thread_sensitive=False)(session, shard, progress)


async def _ended(work: asyncio.Future[None], progress: Progress) -> None:
    """Its thread reads the shard until it ends."""
    progress.stop.set()
    await asyncio.gather(work, return_exceptions=True)


def _outcome(work: asyncio.Future[None]) -> dict[str, Any]:
    match work.exception():
        case None:
            return {"type": "result"}
        case Refused() as error:
            return {"type": "error", "message": str(error), "retryable": error.status >= 500}
        case error:
            logger.error("A shard's files were not stored", exc_info=error)
            text = "Spaceport failed here; its log tells why."
            return {"type": "error", "message": text, "retryable": True}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
