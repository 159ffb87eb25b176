"""One open `queue/data` of Gradio's protocol: a session's messages, its places in line, heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from infra import shutdown
from queueing.delivery.cursors import Begin, Cursor
from queueing.delivery.streams import Delivered
from queueing.delivery.waiters import Place, Waiter
from queueing.messages import CLOSE_STREAM, HEARTBEAT, Estimation, encode
from queueing.protocols.reading_ahead import ReadingAhead

if TYPE_CHECKING:
    from queueing.delivery.delayed_ends import DelayedEnds
    from queueing.delivery.positions import Positions
    from queueing.delivery.streams import MessageStreams
    from queueing.routes import Route

HEARTBEAT_S = 15.0
#: Clients before sse_v3 disconnect by themselves at the end. Some of their pages would open a stream again
#: that the server ended first.
HANG_UP_WITHIN_S = 0.25
V3 = "sse_v3"

_ending: set[asyncio.Task[None]] = set()  # followers of streams that are over


class Stream:
    """One session's, for one connection."""

    def __init__(
        self,
        streams: MessageStreams,
        positions: Positions,
        delayed_ends: DelayedEnds,
        route: Route,
        cursor: Cursor,
        begin: Begin,
        *,
        keep_s: float,
    ) -> None:
        """`keep_s`: how long to stay when all is over, for a client that comes back at once."""
        self.streams, self.positions, self.delayed_ends = streams, positions, delayed_ends
        self.route, self.cursor, self.dropped = route, cursor, begin.dropped
        #: Whether the client waits for `close_stream`.
        self.closes = route.app.protocol in ("", V3)
        self.keep_s = keep_s if self.closes else HANG_UP_WITHIN_S
        self.number = self.written = begin.after  # the last message taken, and the last one written
        self.ended = False  # an event's end was taken and is not written yet
        self.silent = True  # nothing was sent yet
        self.kept = False  # nothing is open, and it stays for a moment
        self.came_back = False  # its client made a new call meanwhile
        self.kept_for_nothing = False
        self.out: asyncio.Queue[Delivered | str | BaseException] = asyncio.Queue()
        self.places: dict[str, Place] = {}  # event -> the newest, not sent yet; `out` holds the event's id
        self.estimated: set[str] = set()
        self.ahead = ReadingAhead()

    async def messages(self) -> AsyncIterator[bytes]:
        """Server-sent events as they come, until nothing more is to come."""
        waiter = Waiter(self.route.space_id, self.cursor.channel, self.place)
        follower = asyncio.create_task(self._follow(), name=f"stream {self.cursor.channel}")
        last = False
        try:
            async with self.positions.waiting(waiter):
                while not last:
                    chunk = await self._next()
                    noted = self.ended or chunk is None or shutdown.begun()
                    if noted:
                        self.ended = False
                        over = await self.cursor.begins(self.number)
                        last = over and (chunk is None or not self.keep_s or shutdown.begun())
                        self.kept = over and chunk is not None and not last
                        self.kept_for_nothing |= self.kept and not self.came_back
                    self.written, waiter.done = self.number, last
                    # The stream's end in one piece with the event's: a client gets both or neither.
                    if chunk is None:
                        chunk = b"" if last else sse(HEARTBEAT)
                    if last and self.closes:
                        chunk += sse(CLOSE_STREAM)
                    if chunk:
                        yield chunk
                    if noted and not last:
                        self.cursor.written(self.written)
        finally:
            self.cursor.written(self.written, "closed" if last or shutdown.begun() else "hung_up")
            # Not waited for: the response ends in one write with the last message.
            _ending.add(follower)
            follower.add_done_callback(_ending.discard)
            follower.cancel()

    async def _next(self) -> bytes | None:
        """The next bytes to write, possibly none; None: perhaps nothing else will come. The stream was kept
        and no call came, or its client listens for events that are over."""
        try:
            async with asyncio.timeout(self.keep_s if self.kept else HEARTBEAT_S):
                item = await self.out.get()
        except TimeoutError:
            return None if self.kept or self.silent else sse(HEARTBEAT)
        if self.kept:
            self.came_back, self.kept, self.kept_for_nothing = True, False, False
        chunk = await self._chunk_of(item)
        # What came together is sent together: each write costs the server a system call.
        while not self.out.empty():
            chunk += await self._chunk_of(self.out.get_nowait())
        return chunk

    def place(self, place: Place) -> None:
        """Queue a place, to be sent once the client has taken what came before; only the newest of each
        event."""
        if place.event_id in self.dropped:
            return
        if place.event_id not in self.places:
            self.out.put_nowait(place.event_id)
        self.places[place.event_id] = place

    async def _follow(self) -> None:
        cursor = self.cursor
        try:
            async for delivered in self.streams.follow(cursor.keys, cursor.channel, after=self.number):
                await self.ahead.read(len(delivered.payload))
                self.out.put_nowait(delivered)
        except Exception as error:  # the reader of `out` must not wait for ever
            self.out.put_nowait(error)

    async def _chunk_of(self, item: Delivered | str | BaseException) -> bytes:
        """What to write of it."""
        self.silent = False
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, str):
            return sse(self._estimation(self.places.pop(item)))
        self.ahead.written(len(item.payload))
        if item.final:
            await self.delayed_ends.wait(item.event_id)
        self.number = item.number
        self.ended = self.ended or item.final
        return b"" if item.event_id in self.dropped else self._message(item)

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
        """The message unchanged; before the start of an event that had no estimation, the one that Gradio
        sends."""
        chunk = sse(item.payload)
        if b'"msg":"process_starts"' in item.payload[:200] and item.event_id not in self.estimated:
            first = encode(Estimation(event_id=item.event_id, rank=0, queue_size=1))
            return sse(first) + chunk
        return chunk


def sse(payload: bytes) -> bytes:
    """One message as a server-sent event."""
    return b"data: " + payload + b"\n\n"
