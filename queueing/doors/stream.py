"""One open `queue/data` of Gradio's protocol: a session's messages, its places in line, heartbeats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from queueing import leaving
from queueing.delivery import Delivered
from queueing.keys import SpaceKeys
from queueing.messages import CLOSE_STREAM, HEARTBEAT, Estimation, encode
from queueing.positions import Place, Waiter

if TYPE_CHECKING:
    from queueing.doors.gradio import GradioDoor
    from queueing.routes import Route

HEARTBEAT_S = 15.0
#: A stream with nothing open stays this long before it is closed. A client whose next event is on its way
#: when it hears `close_stream` may lose that event; and a program in a loop saves a stream for each call.
#: A browser has six connections for a host, so its pages give theirs back sooner.
LINGER_S = {"page": 1.0, "api": 10.0}
#: A client that was told something and is still here after so long surely has it.
NOTED_AFTER_S = 0.5
NOTED_AFTER = 64  # messages, at the latest
AHEAD = 64  # messages read for a client that has not taken those before
V3 = "sse_v3"


class Stream:
    """One session's, for one connection."""

    def __init__(self, door: GradioDoor, route: Route, channel: str, cursor: int, *, linger_s: float) -> None:
        self.door, self.route, self.channel = door, route, channel
        self.linger_s = linger_s
        self.idle = False  # nothing of the session was open when we looked last
        self.number = self.noted = cursor  # what the client was told, and what is written down of that
        self.out: asyncio.Queue[Delivered | str | BaseException] = asyncio.Queue()
        self.places: dict[str, Place] = {}  # event -> the newest, not told yet; `out` holds the event's id
        self.estimated: set[str] = set()
        self.ahead = asyncio.Semaphore(AHEAD)

    async def messages(self) -> AsyncIterator[bytes]:
        """Server-sent events as they come, until nothing more is to come."""
        waiter = Waiter(self.route.space_id, self.channel, self.place)
        follower = asyncio.create_task(self._follow(), name=f"stream {self.channel}")
        try:
            async with self.door.positions.waiting(waiter):
                while True:
                    try:
                        async with asyncio.timeout(self._patience_s()):
                            item = await self.out.get()
                        chunk = await self._told(item)
                    except TimeoutError:
                        if self.noted < self.number:
                            await self._note()
                            continue
                        if self.idle and not await self.door.still_open(self.route, self.channel):
                            if self.closes:
                                yield sse(CLOSE_STREAM)
                            return
                        self.idle = False
                        chunk = sse(HEARTBEAT)
                    # What came together is told together: each write costs the server a system call.
                    while not self.out.empty():
                        chunk += await self._told(self.out.get_nowait())
                    # A client that hears of its last event's end and of the stream's in one breath opens
                    # another stream for its next event, which another process serves; one that is cut between
                    # gives that event up (gradio_client).
                    ends = self.idle and leaving.begun()
                    if ends or (self.idle and not self.closes) or self.number - self.noted > NOTED_AFTER:
                        await self._note()
                    yield chunk + sse(CLOSE_STREAM) if ends and self.closes else chunk
                    if ends:
                        return
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    def place(self, place: Place) -> None:
        """To be told when the client has taken what came before; of one event only the newest."""
        if place.event_id not in self.places:
            self.out.put_nowait(place.event_id)
        self.places[place.event_id] = place

    async def _follow(self) -> None:
        key = SpaceKeys(self.route.space_id).messages(self.channel)
        try:
            async for delivered in self.door.delivery.follow(key, after=self.number):
                await self.ahead.acquire()
                self.out.put_nowait(delivered)
        except Exception as error:  # whoever reads `out` must not wait for ever
            self.out.put_nowait(error)

    @property
    def closes(self) -> bool:
        """Whether the client waits for `close_stream`; those before sse_v3 hang up by themselves."""
        return self.route.app.protocol in ("", V3)

    def _patience_s(self) -> float:
        if self.noted < self.number:
            return NOTED_AFTER_S
        return self.linger_s if self.idle else HEARTBEAT_S

    async def _note(self) -> None:
        """A client that is still here has what it was told: its next stream begins behind that."""
        self.noted = self.number
        await self.door.delivered(self.route, self.channel, self.number)

    async def _told(self, item: Delivered | str | BaseException) -> bytes:
        """What to write of it."""
        self.idle = False
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, str):
            return sse(self._estimation(self.places.pop(item)))
        self.ahead.release()
        if item.final and self.door.held:
            until = self.door.held.pop(item.event_id, 0.0)
            await asyncio.sleep(max(0.0, until - time.monotonic()))
        self.number = item.number
        self.idle = item.final and await self._nothing_open(item)
        return self._message(item)

    async def _nothing_open(self, item: Delivered) -> bool:
        if item.left < 0:  # read back from the stream
            return not await self.door.still_open(self.route, self.channel)
        return item.left == 0

    def _estimation(self, place: Place) -> bytes:
        self.estimated.add(place.event_id)
        return encode(
            Estimation(
                event_id=place.event_id,
                rank=place.position,
                queue_size=place.size,
                rank_eta=place.eta.likely if place.eta else None,
                rank_eta_max=place.eta.at_most if place.eta else None,
            )
        )

    def _message(self, item: Delivered) -> bytes:
        """The message as it is; before an event's start that had no estimation, the one Gradio sends."""
        chunk = sse(item.payload)
        if b'"msg":"process_starts"' in item.payload[:200] and item.event_id not in self.estimated:
            first = encode(Estimation(event_id=item.event_id, rank=0, queue_size=1))
            return sse(first) + chunk
        return chunk


def sse(payload: bytes) -> bytes:
    """One message as a server-sent event."""
    return b"data: " + payload + b"\n\n"
