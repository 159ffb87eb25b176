"""One call, from its claim until its slot is free again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from queueing.dispatch.backends.base import AppFault, CallRefused
from queueing.dispatch.backends.launcher import LauncherClient, LauncherMessage
from queueing.dispatch.deaths import Deaths
from queueing.dispatch.ends import KeptBytes, TooMuch, an_end, message_of, refused, unknown
from queueing.dispatch.owner_log import OwnerLog
from queueing.dispatch.prefetch import PrefetchPolicy
from queueing.errors import ContainerDied
from queueing.messages import ProcessStarts, cancelled, completed, encode, failed
from queueing.store.queue import ANY_NUMBER, Final, Queue
from queueing.store.retry import retry_until_stored

if TYPE_CHECKING:
    from hardware.replica_client import Limits
    from queueing.dispatch.backends.base import AppClient
    from queueing.events import Call, Event
    from queueing.routes import Function, Route

logger = logging.getLogger(__name__)

UNFORESEEN = "Something went wrong here while this ran. Please send it again."
STOP_S = 5.0  # for a call to end that was cancelled


class CallRunner:
    """The calls of one dispatcher."""

    def __init__(
        self,
        queue: Queue,
        route: Route,
        app: AppClient,
        direct: LauncherClient | None,
        *,
        event_timeout_s: float,
        limits: Limits,
        restart: Callable[[Route], Awaitable[None]],
        freed: Callable[[], None],
    ) -> None:
        """`freed` is called when a slot is about to be free: commands are executed in order, so a claim sent
        right after the end finds the slot free."""
        self._freed = freed
        self.queue, self.route, self.app, self.direct = queue, route, app, direct
        self.ahead = PrefetchPolicy(direct, gate=route.app.gate)
        self.event_timeout_s = event_timeout_s
        self.limits = limits
        self._restart = restart
        self._not_direct: set[str] = set()  # functions that need Gradio's own protocol
        self._events: dict[str, tuple[Event, Call, Function | None]] = {}
        self._batches = 0  # that run by Gradio's own protocol
        self._owner_log = OwnerLog(queue.redis, route.space_id)
        self._deaths = Deaths(queue, route, self._owner_log)
        self.died = self._deaths.happened  # the container went away

    def can_be_left(self) -> bool:
        """Whether all running calls continue in the container, for another dispatcher to take over."""
        direct = all(event.fn not in self._not_direct for event, _, _ in self._events.values())
        return self.direct is not None and direct and not self._batches

    async def run(self, call: Call) -> None:
        """Work on the call; its slot is free when this returns."""
        first = call.events[0]
        function = self.route.app.function(int(first.fn))
        freed = False
        try:
            with self.ahead.busy(call), self._deaths.running(call):
                # Cancelled while nobody served the queue. An event that came back is never part of a batch.
                if first.cancel:
                    await self._finish(call, first, "cancelled", cancelled(first.id))
                elif function is not None and function.batch:
                    freed = await self._run_batch(call)
                else:
                    freed = await self._run_one(call, first, function)
        finally:
            if not freed:
                await asyncio.shield(retry_until_stored(lambda: self.queue.free(call)))
                self._freed()

    # --- one event ----------------------------------------------------------------------------------

    async def _run_one(self, call: Call, event: Event, function: Function | None) -> bool:
        """True when its slot was freed together with its end."""
        self._events[event.id] = (event, call, function)
        try:
            async with asyncio.timeout(self.event_timeout_s):
                return await self._stream(call, event, function)
        except TimeoutError:
            text = f"Timed out after {self.event_timeout_s:g} s, the longest one run may take here."
            await self._finish(call, event, "failed", failed(event.id, text))
            await self._end_work(event, function)
        except TooMuch as why:
            await self._finish(call, event, "failed", refused(event, why))
            await self._owner_log.call_failed(self.route.app, event.fn, str(why))
            await self._end_work(event, function)
        except CallRefused as why:
            await self._finish(call, event, "failed", refused(event, why))
            await self._owner_log.call_failed(
                self.route.app, event.fn, str(why) if isinstance(why, AppFault) else ""
            )
        except ContainerDied:
            await self._deaths.died(call, (event,))
        except (RedisError, OSError):
            raise
        except Exception:  # a fault here: but its visitor has an answer all the same
            logger.exception("space %s: event %s", self.route.space_id, event.id)
            await self._finish(call, event, "failed", failed(event.id, UNFORESEEN))
            self._drop(call)
        finally:
            self._events.pop(event.id, None)
        return False

    async def _stream(self, call: Call, event: Event, function: Function | None) -> bool:
        ours = True  # False: ended by a cancel, or no longer ours; read on, its slot stays taken
        kept = KeptBytes(self.limits)
        async for taken in self._by_backend(call, event):
            if taken[-1].kind == "back":
                await self._back(call)
                return False
            if taken[0].number == 1 and function is not None and function.streams:
                await self._publish_app_id(event)
            *before, last = taken
            if ours:
                kept.add(taken)
            if not last.ends:
                ours = ours and await self._emit(call, event, taken)
            elif ours:
                await self._end(call, event, before, last)
                return True
        return False

    async def _by_backend(self, call: Call, event: Event) -> AsyncIterator[list[LauncherMessage]]:
        """The app's messages about the event, by the direct way where there is one."""
        if self.direct is not None and event.fn not in self._not_direct:
            with self.ahead.begun(call) as arrived:
                async for taken in self._by_launcher(event, arrived):
                    if taken[-1].kind == "elsewhere":
                        break
                    yield taken
                else:
                    return
            self._elsewhere(event)
        if not event.may_begin:
            yield [unknown(event)]
            return
        number = 0
        async for message in self.app.call(event):
            number += 1
            yield [message_of(number, message, event.id)]

    def _elsewhere(self, event: Event) -> None:
        """Its function needs Gradio's own protocol."""
        self._not_direct.add(event.fn)
        self.ahead.never()

    async def _by_launcher(
        self, event: Event, arrived: Callable[[], None]
    ) -> AsyncIterator[list[LauncherMessage]]:
        """The app's messages by the direct way."""
        assert self.direct is not None
        async for taken in self.direct.messages(event.id):
            arrived()
            yield [unknown(event)] if taken[-1].kind == "unknown" else taken

    async def _back(self, call: Call) -> None:
        """Prefetched in vain: back to the front of the line."""
        for event in reversed(call.events):
            await retry_until_stored(partial(self.queue.requeue, event, call, "backs", ANY_NUMBER))

    async def _emit(self, call: Call, event: Event, taken: list[LauncherMessage]) -> bool:
        payloads = [one.payload for one in taken]
        return await retry_until_stored(
            lambda: self.queue.emit(event, call.token, *payloads, published=taken[-1].number)
        )

    async def _end(
        self, call: Call, event: Event, before: list[LauncherMessage], last: LauncherMessage
    ) -> None:
        status: Final = last.kind  # type: ignore[assignment]  # the kinds that end are the statuses
        payloads = [one.payload for one in before]
        if self.direct is not None and event.fn not in self._not_direct:
            self.ahead.ended(event.fn, last.took_s)
        self._freed()
        await self._owner_log.call_failed(self.route.app, event.fn, last.fault)
        ended = await retry_until_stored(
            lambda: self.queue.finish(
                event,
                call,
                status,
                last.payload,
                *payloads,
                free=True,
                took_s=last.took_s if last.number else None,
            )
        )
        if ended and self.direct is not None:
            # Not if another dispatcher has it by now: that one needs the messages that the app keeps.
            self.direct.forget(event.id)

    async def _publish_app_id(self, event: Event) -> None:
        """Publish the app's own id of the event: the gateway needs it to forward input chunks."""
        key = self.queue.keys.event(event.id)
        await self.queue.redis.hset(key, "app_id", self.app.app_ids.get(event.id, ""))

    # --- a batch ------------------------------------------------------------------------------------

    async def _run_batch(self, call: Call) -> bool:
        """One call for all; a failed batch is tried again one by one, so one bad input fails alone. True when
        its slot was freed together with the ends."""
        try:
            async with asyncio.timeout(self.event_timeout_s):
                ends = await self._ends(call)
            if {last.kind for _, last in ends} != {"back"}:
                ends = [
                    (before, an_end(event, last))
                    for event, (before, last) in zip(call.events, ends, strict=True)
                ]
        except CallRefused as why:
            fault = str(why) if isinstance(why, AppFault) else ""
            ends = [
                ([], LauncherMessage(0, "failed", refused(event, why), fault=fault)) for event in call.events
            ]
            self._drop(call)
        except TimeoutError:
            text = f"Timed out after {self.event_timeout_s:g} s, the longest one run may take here."
            for event in call.events:
                await self._finish(call, event, "failed", failed(event.id, text))
            await self._restart_container()
            return False
        except ContainerDied:
            await self._deaths.died(call, call.events)
            return False
        except (RedisError, OSError):
            raise
        except Exception:
            logger.exception("space %s: a batch of %s", self.route.space_id, call.events[0].fn)
            ends = [([], LauncherMessage(0, "failed", failed(event.id, UNFORESEEN))) for event in call.events]
            self._drop(call)
        kinds = {last.kind for _, last in ends}
        if kinds == {"back"}:
            await self._back(call)
            return False
        if kinds == {"failed"} and len(call.events) > 1 and call.events[0].retry:
            for event in reversed(call.events):
                again = await self.queue.requeue(event, call, "splits", len(call.events))
                if again and self.direct is not None:
                    self.direct.forget(event.id)  # or the app would send the old end again
            return False
        await asyncio.gather(*(
            self._end(call, event, before, last)
            for event, (before, last) in zip(call.events, ends, strict=True)
        ))  # fmt: skip
        return True

    async def _ends(self, call: Call) -> list[tuple[list[LauncherMessage], LauncherMessage]]:
        """Each event's end with the messages not sent yet; through the launcher if there is one."""
        first = call.events[0]
        if self.direct is not None and first.fn not in self._not_direct:
            with self.ahead.begun(call) as arrived:
                ends = await asyncio.gather(*(self._until_end(call, event, arrived) for event in call.events))
            if ends[0][1].kind != "elsewhere":
                return ends
            self._elsewhere(first)
        if not all(event.may_begin for event in call.events):
            return [([], unknown(event)) for event in call.events]
        self._batches += 1
        # In one write; the call need not wait for it, and its ends are written behind it.
        published = asyncio.gather(*(self._emit_start(call, event) for event in call.events))
        try:
            outputs = await self.app.batch(call.events)
        finally:
            self._batches -= 1
            await asyncio.gather(published, return_exceptions=True)
        return [
            ([], LauncherMessage(1, "completed", completed(event.id, output)))
            for event, output in zip(call.events, outputs, strict=True)
        ]

    def _drop(self, call: Call) -> None:
        """Ignore further messages of the app about these events."""
        if self.direct is not None:
            for event in call.events:
                self.direct.drop(event.id)

    async def _until_end(
        self, call: Call, event: Event, arrived: Callable[[], None]
    ) -> tuple[list[LauncherMessage], LauncherMessage]:
        kept = KeptBytes(self.limits)
        async for taken in self._by_launcher(event, arrived):
            kept.add(taken)
            *before, last = taken
            if last.ends:
                return before, last
            await self._emit(call, event, taken)
        raise ContainerDied

    async def _emit_start(self, call: Call, event: Event) -> None:
        await self.queue.emit(event, call.token, encode(ProcessStarts(event_id=event.id)))

    # --- when something is wrong ------------------------------------------------------------------------

    async def _end_work(self, event: Event, function: Function | None) -> None:
        """End a timed-out call completely: if it cannot be stopped, its container is restarted."""
        try:
            async with asyncio.timeout(STOP_S):
                if self.direct is not None and event.fn not in self._not_direct:
                    self.direct.cancel(event.id)
                    await self.direct.rest(event.id)
                    self.direct.forget(event.id)
                    return
                await self.app.cancel(event)
                if function is not None and function.generator:
                    return
        except ContainerDied:
            return
        except TimeoutError:
            pass
        logger.warning("space %s: restarted, for a call did not end", self.route.space_id)
        await self._restart_container()

    async def _restart_container(self) -> None:
        self._deaths.restarted = True
        await self._restart(self.route)

    async def _finish(self, call: Call, event: Event, status: Final, payload: bytes) -> None:
        await retry_until_stored(
            lambda: self.queue.finish(event, call, status, payload, free=False, took_s=None)
        )

    def call_of(self, event_id: str) -> Call | None:
        """The call that the event runs in; None where it does not run here."""
        found = self._events.get(event_id)
        return found[1] if found is not None else None

    async def cancel(self, event_id: str, why: str) -> None:
        """End a running event for its visitor. What can be stopped is stopped; a plain function keeps its
        slot until it ends. The visitor may still get its result, unless the reason is "cancel". Other
        reasons: away for long ("leave"), away for a while with others waiting ("away"), or disconnected in a
        Space with `cancel_on_disconnect` ("gone")."""
        if (found := self._events.get(event_id)) is None:
            return
        event, call, function = found
        stoppable = function is not None and (function.generator or function.streams)
        if why == "leave" and not stoppable:
            return
        if self.direct is not None and event.fn not in self._not_direct:
            self.direct.cancel(event_id)
        elif stoppable:
            await self.app.cancel(event)
        if not stoppable and why == "cancel":
            await self._finish(call, event, "cancelled", cancelled(event_id))

    async def occupy_stray_slot(self, call_id: str) -> None:
        """Keep a slot for a call that still runs in the container though its event has ended."""
        if self.direct is None or not (line := await self.queue.occupy_slot(call_id, self.route.replica_id)):
            return
        try:
            await self.direct.stray_ended(call_id)
        finally:
            await asyncio.shield(
                retry_until_stored(lambda: self.queue.release_slot(call_id, line, self.route.replica_id))
            )
            self._freed()
