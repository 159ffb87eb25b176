"""The calls of an earlier visit of a demo's page: a visitor who reloads it, or loses the network, keeps the
place and gets the result. The demo's own page forgets them on a reload; the page around it requests them
here, by the earlier visit."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queueing import app_messages
from queueing.delivery.cursors import last_received
from queueing.delivery.positions import Positions
from queueing.delivery.streams import Delivered, MessageStreams, from_stream
from queueing.delivery.waiters import Place, Waiter
from queueing.store.keys import SpaceKeys
from queueing.store.retry import retry_while_away

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from queueing.routes import Route

#: The demo's own page has this long to confirm a result; then it is not sent here too.
GRACE_S = 1.0
RETRY_DELAY_S = 1.0
MOST_BYTES = 1024 * 1024  # of one result
MOST_EVENTS = 200  # of one visit: a page in use makes many small ones

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _EarlierCall:
    """One call of the visit, as it was at the request."""

    event_id: str
    channel: str
    name: str  # of its function, "" where it has none
    ended: bool


class VisitResumer:
    """Follows one earlier visit for one socket."""

    def __init__(
        self,
        redis: Redis,
        streams: MessageStreams,
        positions: Positions,
        route: Route,
        visit: str,
        on_place: Callable[[Place], None],
        send: Send,
    ) -> None:
        self.redis, self.streams, self.positions = redis, streams, positions
        self.route, self.visit = route, visit
        self.on_place, self.send = on_place, send
        self.keys = SpaceKeys(route.space_id)

    async def run(self) -> None:
        """Send `earlier` with the list of calls; then their places, and `ended` for each, until all have
        ended."""
        await retry_while_away(self._once, delays_s=itertools.repeat(RETRY_DELAY_S))

    async def _once(self) -> None:
        channels: dict[str, list[_EarlierCall]] = defaultdict(list)
        known = await self._load_calls()
        for call in known:
            channels[call.channel].append(call)
        await self.send({"msg": "earlier", "calls": {call.event_id: call.name for call in known}})
        async with asyncio.TaskGroup() as group:
            for channel, calls in channels.items():
                group.create_task(self._channel(channel, calls), name=f"earlier {channel}")

    async def _load_calls(self) -> list[_EarlierCall]:
        """The calls that the visitor started, without those that the page makes by itself."""
        ids = sorted(raw.decode() for raw in await self.redis.smembers(self.keys.visit(self.visit)))
        pipe = self.redis.pipeline(transaction=False)
        for event_id in ids:
            pipe.hmget(self.keys.event(event_id), "lane", "channel", "fn", "state")
        found = []
        for event_id, values in zip(ids, await pipe.execute(), strict=True):
            lane, channel, fn, state = (value.decode() if value is not None else "" for value in values)
            if lane == "main" and state != "cancelled":
                function = self.route.app.function(int(fn))
                name = function.api_name if function is not None else ""
                found.append(_EarlierCall(event_id, channel, name, ended=state not in ("pending", "running")))
        return found[-MOST_EVENTS:]

    async def _channel(self, channel: str, calls: list[_EarlierCall]) -> None:
        """The messages about one session's calls."""
        open_ids = {call.event_id for call in calls}
        after = 0
        for delivered in await self._ends(channel):
            after = max(after, delivered.number)
            if delivered.event_id in open_ids:
                open_ids.discard(delivered.event_id)
                await self._end(channel, delivered)
        waits = {call.event_id for call in calls if call.event_id in open_ids and not call.ended}
        if not waits:
            return
        waiter = Waiter(self.route.space_id, channel, self.on_place, visit=self.visit)
        follow = self.streams.follow(self.keys, channel, after=after)
        # While somebody waits here, its session counts as present: its events keep their place.
        async with self.positions.waiting(waiter), contextlib.aclosing(follow):  # type: ignore[type-var]
            async for delivered in follow:
                if not delivered.final:
                    continue
                if delivered.event_id in waits:
                    waits.discard(delivered.event_id)
                    await asyncio.sleep(GRACE_S)
                    await self._end(channel, delivered)
                if not waits:
                    return

    async def _ends(self, channel: str) -> list[Delivered]:
        """The final messages that the session has had."""
        entries = await self.redis.xrange(self.keys.messages(channel))
        return [delivered for entry in entries if (delivered := from_stream(*entry)).final]

    async def _end(self, channel: str, delivered: Delivered) -> None:
        note = await self.redis.get(self.keys.cursor(channel))
        if last_received(note) >= delivered.number:
            return  # the demo's own page has it
        message = app_messages.decode_message(delivered.payload)
        if message.get("success") and not message.get("output"):
            return  # cancelled
        output = message.get("output") or {}
        value = {"msg": "ended", "event_id": delivered.event_id, "success": bool(message.get("success"))}
        if len(delivered.payload) > MOST_BYTES:
            value["too_large"] = True
        elif value["success"]:
            value["data"] = app_messages.plain(output.get("data")) or []
        else:
            value["error"] = str(output.get("error") or "")
        await self.send(value)
