"""The calls that the platform has in one app (`wire`).

A call goes through Gradio's own `Queue.process_events` (5.x and 6.x), so sessions, generators, progress, logs
and errors are exactly its own; what is left out is its queue. A call outlives its connection: it runs on, its
messages are kept, and the next connection that requests the same id gets those after the `n` it names. So a
prediction survives the process that requested it, and is not run twice.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
import time
import traceback
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from spaceport_launcher import entrance, mcp_calls, report
from spaceport_launcher.call_log import Call, Connection, Work
from spaceport_launcher.groups import Groups, below
from spaceport_launcher.slot_limiter import SlotLimiter, Ticket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEPT_S = 120.0  # an ended call that nobody has requested, and a generator that nobody reads
CANCELLED = b'{"msg":"process_completed","event_id":"%s","output":{},"success":true}'
CLEAN_S = 10.0


class Service:
    """The calls of one app."""

    def __init__(self, app: Any, beside: str) -> None:
        """`beside`: the app's mount, where the Space has another one before it."""
        import orjson
        from gradio import queueing, utils

        self.app, self.beside = app, beside
        self.queueing, self.utils = queueing, utils
        self.dumps = orjson.dumps
        self.calls: dict[str, Call] = {}
        self.newest: Connection | None = None
        self.slots = SlotLimiter()
        self.groups = Groups(report.block_functions(app.get_blocks()))
        self.numbers = itertools.count(1)
        self.leader = 0  # the newest connection that has requested a call
        self._cleaner = asyncio.create_task(self._clean())
        queue = app.get_blocks()._queue
        if queue.server_app is None:
            queue.set_server_app(app)
        self._redirect(queue)

    def _redirect(self, queue: Any) -> None:
        """Send the messages of our events to us, and spare them what only Gradio's own queue needs."""
        original = queue.send_message
        module = self.queueing
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        def send_message(event: Any, message: Any) -> None:
            call = getattr(event, "spaceport_call", None)
            if call is None:
                original(event, message)
            elif event.alive:
                message.event_id = event._id
                if threading.get_ident() == thread:
                    self._say(call, message)
                else:  # `gr.Info` and its like, of a function in a thread
                    loop.call_soon_threadsafe(self._say, call, message)

        queue.send_message = send_message
        run_sync = module.run_sync

        async def run_sync_if_needed(function: Any, *args: Any) -> Any:
            # Statistics of all events so far, anew after each one: only its monitoring page reads them.
            if function == queue.compute_analytics_summary and not self.app.monitoring_enabled:
                return None
            return await run_sync(function, *args)

        module.run_sync = run_sync_if_needed
        process_events = queue.process_events

        @wraps(process_events)
        async def process_events_of_anybody(*args: Any, **kwargs: Any) -> None:
            try:
                await process_events(*args, **kwargs)
            finally:
                self.slots.admit()

        queue.process_events = process_events_of_anybody
        entrance.guard(self.utils)

    def _publish_starts(self, work: Work) -> None:
        starts, work.starts = work.starts, []
        for call, message in starts:
            self._put(call, message)

    # --- connections --------------------------------------------------------------------------------

    def connect(self, connection: Connection) -> None:
        self.newest = connection
        running = [call.id for call in self.calls.values() if not call.ended]
        connection.send(b"hello %s\n" % " ".join(running).encode())

    def disconnect(self, connection: Connection) -> None:
        if self.newest is connection:
            self.newest = None
        for call in self.calls.values():
            if call.reader is connection:
                call.reader = None
                call.unread_since = time.monotonic()

    def order(self, connection: Connection, order: dict[str, Any]) -> None:
        call = self.calls.get(order.get("id", ""))
        match order["do"]:
            case "call":
                self._handle_call(connection, order)
            case "cancel" if call is not None:
                self._cancel(call)
            case "back" if call is not None:
                self._back(call)
            case "forget" if call is not None and call.ended:
                del self.calls[call.id]

    def _is_stale(self, connection: Connection) -> bool:
        self.leader = max(self.leader, connection.number)
        return connection.number < self.leader

    # --- calls --------------------------------------------------------------------------------------

    def _handle_call(self, connection: Connection, message: dict[str, Any]) -> None:
        """Begin the events of one call; of those that have begun before, send the remaining messages."""
        stale = self._is_stale(connection)
        group, slots = message.get("group", ""), message["places"]
        if slots and not stale:
            self.slots.allow(group, slots, each=message.get("each", slots), total=message.get("total", 0))
        new = []
        for order in message["calls"]:
            call = self.calls.get(order["id"])
            if stale or (call is None and not order["again"]):
                connection.send(b"%s 1 ? \n" % order["id"].encode())
            elif call is not None:
                call.attach(connection, order["after"])
            else:
                new.append(order)
        if new:
            self._begin(connection, new, group, limited=bool(slots))

    def _begin(
        self, connection: Connection, orders: list[dict[str, Any]], group: str, *, limited: bool
    ) -> None:
        calls = [Call(order["id"]) for order in orders]
        for call in calls:
            call.reader = connection
        if "mcp" in orders[0]["body"]:
            work = Work(calls, [], Ticket(None, None, limited=limited, group=group))
            self._start(work, partial(self._mcp, work, orders[0]["body"], orders[0]["request"]))
            return
        try:
            made = [self._event(call, order) for call, order in zip(calls, orders, strict=True)]
        except Exception as error:
            for call in calls:
                call.publish(b"f", self._failure(call, error))
            return
        events = [event for event in made if event is not None]
        if len(events) < len(made):
            for call in calls:
                call.publish(b"-", b"")
            return
        function = events[0].fn
        queue = self.app.get_blocks()._queue
        queue.create_event_queue_for_fn(function)
        inner = queue.event_queue_per_concurrency_id[events[0].concurrency_id]
        ticket = Ticket(
            inner,
            events[0].session_hash,
            limited=limited,
            # The request's may be of another version of the app, or stand for many.
            group=below(self.beside, self.groups.name(function)),
            limit=self.groups.limit(function),
        )
        work = Work(calls, events, ticket)
        self._start(work, partial(self._run, work, function, inner))

    def _start(self, work: Work, doing: Callable[[], Awaitable[None]]) -> None:
        for call in work.calls:
            self.calls[call.id] = call
        apart = self.slots.arrive(work.ticket)
        work.task = asyncio.create_task(self._do(work, doing, apart=apart))
        # Also of a task that was cancelled before it began.
        work.task.add_done_callback(partial(self._done, work))

    def _event(self, call: Call, order: dict[str, Any]) -> Any | None:
        """Gradio's own event; None for a function that needs its own queue (input streams, validators,
        cached results)."""
        from gradio import route_utils
        from gradio.data_classes import PredictBodyInternal

        request = _request(self.app, order["request"])
        body = PredictBodyInternal(**order["body"], request=request)
        function = route_utils.get_fn(self.app.get_blocks(), None, body)
        own = getattr(function, "validator", None) is not None or hasattr(function.fn, "cache")
        if own or getattr(function, "connection", "sse") == "stream":
            return None
        event = self.queueing.Event(body.session_hash, function, request, None)
        event._id = call.id
        event.data = body
        event.spaceport_call = call
        body.event_id = call.id
        return event

    async def _run(self, work: Work, function: Any, inner: Any) -> None:
        entrance.entry.set(entrance.Entry(work, self.slots, self._publish_starts))
        queue = self.app.get_blocks()._queue
        began = time.time()
        inner.current_concurrency += 1
        work.ticket.counted = True  # and Gradio takes it off at the end
        inner.start_times_per_fn[function].add(began)
        for event in work.events:
            queue.event_analytics[event._id] = {
                "time": began,
                "status": "processing",
                "process_time": None,
                "function": function.api_name,
                "session_hash": event.session_hash,
            }
        jobs = list(work.events)
        self._take_slot(queue, jobs)
        arguments = {"events": jobs, "batch": function.batch, "begin_time": began, "fn": function}
        wanted = inspect.signature(queue.process_events).parameters
        try:
            await queue.process_events(**{k: v for k, v in arguments.items() if k in wanted})
        finally:
            work.ticket.counted = False
            if not self.app.monitoring_enabled:
                for event in work.events:
                    queue.event_analytics.pop(event._id, None)

    async def _mcp(self, work: Work, body: dict[str, Any], request: dict[str, Any]) -> None:
        """A request to the app's MCP server; pieces of its answer are messages."""
        (call,) = work.calls

        def publish(text: str) -> None:
            call.publish(b"m", self.dumps({"msg": "answer", "event_id": call.id, "text": text}))

        await self.slots.enter(work.ticket)
        call.publish(b"m", self.dumps({"msg": "process_starts", "event_id": call.id}))
        status = await mcp_calls.answer(self.app, body["mcp"], request, body.get("query", ""), publish)
        output = {"data": [], "status": status}
        values = {"msg": "process_completed", "event_id": call.id, "output": output, "success": True}
        call.publish(b"c", self.dumps(values))

    async def _do(self, work: Work, doing: Callable[[], Awaitable[None]], *, apart: bool) -> None:
        try:
            if not apart:
                await self.slots.enter(work.ticket)
            await doing()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            for call in work.calls:
                call.publish(b"f", self._failure(call, error))
            if not isinstance(error, Exception):  # Gradio catches none of these either
                raise
            traceback.print_exc()

    def _done(self, work: Work, _: object) -> None:
        """Give each call its one end, whatever the outcome."""
        self.slots.depart(work.ticket)
        for call in work.calls:
            self._ended(call, work)

    def _ended(self, call: Call, work: Work) -> None:
        if work.back:
            call.publish(b"b", b"")
            del self.calls[call.id]
        # No effect where the end is published already.
        call.publish(b"x", CANCELLED % call.id.encode())
        call.unread_since = time.monotonic()
        if call.reader is None and self.newest is not None:
            self.newest.send(b"%s 0 e \n" % call.id.encode())

    @staticmethod
    def _take_slot(queue: Any, jobs: list[Any]) -> None:
        """Put the jobs where Gradio finds running events (progress, logs)."""
        if None in queue.active_jobs:
            queue.active_jobs[queue.active_jobs.index(None)] = jobs
        else:
            queue.active_jobs.append(jobs)

    def _cancel(self, call: Call) -> None:
        """End it where it can be ended; a batch goes on for the others."""
        work = call.work
        if work is None or work.task is None or len(work.calls) > 1:
            return
        if work.stoppable or self.slots.withdraw(work.ticket):
            work.task.cancel()

    def _back(self, call: Call) -> None:
        """It has waited too long for a slot: back to the platform's line."""
        work = call.work
        if work is None or work.task is None or work.ticket.since:
            return
        if self.slots.withdraw(work.ticket):
            work.back = True
            work.task.cancel()

    # --- messages -----------------------------------------------------------------------------------

    def _say(self, call: Call, message: Any) -> None:
        work = call.work
        if work is not None:
            if message.msg == "process_starts" and not work.ticket.inside:
                work.starts.append((call, message))
                return
            self._publish_starts(work)
        self._put(call, message)

    def _put(self, call: Call, message: Any) -> None:
        values = message.model_dump()
        kind = b"m"
        if values["msg"] == "process_completed":
            kind = b"c" if values["success"] else b"f"
        call.publish(kind, self.dumps(values, default=str))

    def _failure(self, call: Call, error: BaseException) -> bytes:
        show = getattr(self.app.get_blocks(), "show_error", False)
        output = {"error": str(error) if show else None, "visible": True, "duration": 10, "title": "Error"}
        values = {"msg": "process_completed", "event_id": call.id, "output": output, "success": False}
        return bytes(self.dumps({**values, "title": "Error"}))

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(CLEAN_S)
            late = time.monotonic() - KEPT_S
            for call in tuple(self.calls.values()):
                if call.reader is not None and not call.ended:
                    continue
                if call.unread_since < late:
                    if call.ended:
                        del self.calls[call.id]
                    else:
                        self._cancel(call)


def _request(app: Any, values: dict[str, Any]) -> Any:
    """The visitor's request, as the function sees it (`gr.Request`)."""
    import fastapi

    headers = {k.lower(): v for k, v in (values.get("headers") or {}).items()}
    path = "/gradio_api/queue/join"
    host, _, port = headers.get("host", "localhost").partition(":")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": headers.get("x-forwarded-proto", "http"),
        "path": path,
        "raw_path": path.encode(),
        "query_string": (values.get("query") or "").encode("latin-1"),
        "root_path": "",
        "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
        "client": (headers.get("x-forwarded-for", "").partition(",")[0].strip() or "127.0.0.1", 0),
        "server": (host, int(port) if port.isdigit() else 80),
        "app": app,
        "state": {},
    }
    return fastapi.Request(scope)
