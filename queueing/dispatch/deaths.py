"""Handles events whose container went away while they ran, and logs the cause for its owner."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from hardware.upkeep import death_notes
from queueing.dispatch.ends import INTERRUPTED
from queueing.dispatch.owner_log import OwnerLog, name_of
from queueing.lines import group_of
from queueing.messages import failed, interrupted
from queueing.routes import Routes
from queueing.stats import memory_ends
from queueing.stats.memory_ends import MemoryEnd, Ran
from queueing.store.queue import ANY_NUMBER, MAX_DEATHS, MAX_LOSSES, Queue, Requeued
from queueing.store.retry import retry_until_stored

if TYPE_CHECKING:
    from hardware.upkeep.death_notes import DeathNote
    from queueing.events import Call, Event
    from queueing.routes import Route

CRASHED = "This input crashed the demo twice, so it was not tried again."
AGAIN = "The demo went away while it worked on this. It is tried again as soon as the demo is back."
#: How long the replica's node has to notice its end and to note the cause: it checks every second.
NOTED_WITHIN_S, CHECK_S = 5.0, 0.1


class Deaths:
    """The deaths that one dispatcher sees: its replica can die once, and has another dispatcher
    afterwards."""

    def __init__(self, queue: Queue, route: Route, owner_log: OwnerLog) -> None:
        self._queue, self._route, self._owner_log = queue, route, owner_log
        self._calls: dict[int, Call] = {}
        self._cause: asyncio.Task[DeathNote | None] | None = None
        self._at_once = 0  # events that ran when it died
        self.restarted = False  # on our order, for the sake of one call
        self.happened = asyncio.Event()

    @contextlib.contextmanager
    def running(self, call: Call) -> Iterator[None]:
        """The call is in the container."""
        self._calls[call.token] = call
        try:
            yield
        finally:
            del self._calls[call.token]

    async def died(self, call: Call, events: tuple[Event, ...]) -> None:
        """The container went away: each event is tried again, but not one that did this twice. One that ran
        out of memory with nothing beside it is not tried again: what it needs is known."""
        # The agent restarts it; until then every claim would only burn attempts of innocent events.
        self.happened.set()
        kind: Requeued = "deaths"
        most, why, title, notice = MAX_DEATHS - 1, CRASHED, "Error", AGAIN
        if self.restarted:  # because of another call: this one is not to blame
            kind, most = "losses", MAX_LOSSES
        elif await retry_until_stored(self._stopped_on_order):
            kind, most = "moves", ANY_NUMBER
        elif (note := await self._found_out()) is not None and note.out_of_memory:
            most = MAX_DEATHS - 1 if self._at_once > 1 else 0
            why, title = _ran_out(note), "Out of memory"
            notice = _ran_out_together(note, self._at_once)
        for event in reversed(events):
            if not event.retry:
                await self._fail(call, event, INTERRUPTED if why == CRASHED else why, title)
                continue
            if kind != "moves" and call.lane == "main" and most:
                message = interrupted(event.id, notice)
                await retry_until_stored(partial(self._queue.emit, event, call.token, message))
            if not await retry_until_stored(partial(self._queue.requeue, event, call, kind, most)):
                await self._fail(call, event, why, title)

    async def _fail(self, call: Call, event: Event, why: str, title: str) -> None:
        last = failed(event.id, why, title)
        await retry_until_stored(
            lambda: self._queue.finish(event, call, "failed", last, free=False, took_s=None)
        )

    async def _stopped_on_order(self) -> bool:
        """Whether the container was stopped on purpose (its Space was paused, asleep, deleted or moved)."""
        route = await Routes(self._queue.redis).by_id(self._route.space_id, fresh=True)
        if route is None or route.stopped:
            return True
        mine = self._route.replica_id
        return bool(route.address) and mine not in route.coming and route.at(mine) is None

    async def _found_out(self) -> DeathNote | None:
        """How the container ended; the calls that ran in it share one query."""
        if self._cause is None:
            self._at_once = sum(len(call.events) for call in self._calls.values())
            self._cause = asyncio.create_task(self._find_out(tuple(self._calls.values())), name="cause")
        return await asyncio.shield(self._cause)

    async def _find_out(self, calls: tuple[Call, ...]) -> DeathNote | None:
        redis, deadline = self._queue.redis, time.monotonic() + NOTED_WITHIN_S
        read = partial(death_notes.read, redis, self._route.replica_id)
        while (note := await retry_until_stored(read)) is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(CHECK_S)
        if note is not None and note.out_of_memory:
            await self._log_for_owner(note, calls)
        return note

    async def _log_for_owner(self, note: DeathNote, calls: tuple[Call, ...]) -> None:
        ran = [
            Ran(
                function=name_of(self._route.app, fn),
                group=group,
                # What was sent ahead of its turn waited in the app.
                calls=min(len(those), those[0].slots or len(those)),
                inputs=max(len(call.events) for call in those),
            )
            for (group, fn), those in _by_function(calls).items()
        ]
        end = MemoryEnd(ran=tuple(ran), limit_bytes=note.limit_bytes, peak_bytes=note.peak_bytes)
        await retry_until_stored(partial(memory_ends.keep, self._queue.redis, self._route.space_id, end))
        await self._owner_log.write(f"{end.sentence} Fewer calls at once, or larger hardware, would help.")


def _by_function(calls: tuple[Call, ...]) -> dict[tuple[str, str], list[Call]]:
    found: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        found.setdefault((group_of(call.line), call.events[0].fn), []).append(call)
    return found


def _ran_out(note: DeathNote) -> str:
    return (
        f"The demo ran out of memory ({note.memory}) while it worked on this. It was not tried again; a "
        "smaller input may fit."
    )


def _ran_out_together(note: DeathNote, at_once: int) -> str:
    others = "another one" if at_once == 2 else f"{at_once - 1} others"
    return (
        f"The demo ran out of memory ({note.memory}) while it worked on this and {others}. It is tried "
        "again, alone, as soon as the demo is back."
    )
