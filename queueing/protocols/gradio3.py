"""Gradio 3's wire protocol in front of our queue: one websocket per event, from its hash to its result.

One thing differs from Gradio's own: the inputs are requested at once and not when the event's turn comes, so
a slow upload never blocks a slot, and the event survives its dispatcher.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from queueing.delivery.streams import Delivered
from queueing.delivery.waiters import Place, Waiter
from queueing.errors import BadRequest, QueueError, QueueFull
from queueing.events import encode, new_channel
from queueing.messages import failed
from queueing.protocols.caller import Caller
from queueing.protocols.gradio import GradioProtocol
from queueing.store.keys import SpaceKeys
from queueing.store.queue import Queue

if TYPE_CHECKING:
    from queueing.routes import Route

HASH_S = 30.0
DATA_S = 120.0  # files travel inside the message


class Gone(Exception):
    """The visitor disconnected."""


class Socket(Protocol):
    """The visitor's end."""

    async def send(self, message: bytes) -> None:
        """One text message."""

    async def receive(self) -> dict[str, Any]:
        """The next message.

        Raises:
            Gone, BadRequest
        """


CallerOf = Callable[[dict[str, Any]], Awaitable[Caller]]


async def handle(protocol: GradioProtocol, route: Route, socket: Socket, caller_of: CallerOf) -> None:
    """One event from its join to its final message.

    Raises:
        Gone: its visitor disconnected; the event was cancelled.
    """
    try:
        body = await _request(socket)
        channel = new_channel()
        accepted = await protocol.enqueue(
            route,
            body,
            await caller_of(body),
            channel=channel,
            fn=body["fn_index"],
            function=route.app.function(body["fn_index"]),
            present=True,
        )
    except QueueFull:
        await socket.send(b'{"msg":"queue_full"}')
    except QueueError as error:
        await socket.send(failed("", str(error)))
    else:
        await _Line(protocol, route, socket, channel, accepted.event_id).run()


async def _request(socket: Socket) -> dict[str, Any]:
    """The event as the client gives it: its hash, then its data.

    Raises:
        Gone, BadRequest
    """
    await socket.send(b'{"msg":"send_hash"}')
    hello = await _in_time(socket, HASH_S)
    fn_index, session_hash = hello.get("fn_index"), hello.get("session_hash")
    if not isinstance(fn_index, int) or isinstance(fn_index, bool) or fn_index < 0:
        raise BadRequest("fn_index is missing or no whole number.")
    if not isinstance(session_hash, str) or not 0 < len(session_hash) <= 200:
        raise BadRequest("session_hash is missing.")
    await socket.send(b'{"msg":"send_data"}')
    body = await _in_time(socket, DATA_S)
    return {**body, "fn_index": fn_index, "session_hash": session_hash}


async def _in_time(socket: Socket, seconds: float) -> dict[str, Any]:
    try:
        async with asyncio.timeout(seconds):
            return await socket.receive()
    except TimeoutError as error:
        raise BadRequest("The input did not come in time.") from error


class _Line:
    """One event's place, steps and end, sent over its own socket."""

    def __init__(
        self, protocol: GradioProtocol, route: Route, socket: Socket, channel: str, event_id: str
    ) -> None:
        self.protocol, self.route, self.socket = protocol, route, socket
        self.channel, self.event_id = channel, event_id
        self.out: asyncio.Queue[Delivered | Place] = asyncio.Queue()

    async def run(self) -> None:
        """Send everything to the end.

        Raises:
            Gone
        """
        tasks = [
            asyncio.create_task(self._send_all(), name=f"line {self.event_id}"),
            asyncio.create_task(self._follow()),
            asyncio.create_task(self._until_gone()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        except Gone:
            await Queue(self.protocol.redis, self.route.space_id).cancel(self.event_id, self.channel)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self) -> None:
        waiter = Waiter(self.route.space_id, self.channel, self.out.put_nowait)
        started = False
        async with self.protocol.positions.waiting(waiter):
            while True:
                item = await self.out.get()
                if isinstance(item, Delivered):
                    started = started or b'"msg":"process_starts"' in item.payload[:200]
                    await self.socket.send(item.payload)
                    if item.final:
                        return
                elif not started:
                    await self.socket.send(_estimation(item))

    async def _follow(self) -> None:
        follow = self.protocol.streams.follow(SpaceKeys(self.route.space_id), self.channel)
        async with contextlib.aclosing(follow) as messages:  # type: ignore[type-var]
            async for delivered in messages:
                self.out.put_nowait(delivered)

    async def _until_gone(self) -> None:
        while True:
            with contextlib.suppress(BadRequest):  # unexpected messages are ignored
                await self.socket.receive()


def _estimation(place: Place) -> bytes:
    """A place as Gradio 3 sends it, without the averages that only its own queue knows."""
    return encode(
        {
            "msg": "estimation",
            "rank": place.position,
            "queue_size": place.size,
            "avg_event_process_time": None,
            "avg_event_concurrent_process_time": None,
            "rank_eta": place.eta.likely if place.eta else None,
            "queue_eta": place.eta.at_most if place.eta else None,
        }
    )
