"""Gradio's own wire protocol (4.9 to 6.31, `sse_v1` to `sse_v3`) in front of our queue: join, the session's
stream, cancel, the simple call API and direct runs. Its clients need to know nothing of us."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from queueing.app_messages import decode_message, plain
from queueing.delivery.cursors import Cursor
from queueing.delivery.delayed_ends import DelayedEnds
from queueing.delivery.keeping import Keeping
from queueing.delivery.positions import Positions
from queueing.delivery.streams import Delivered, MessageStreams
from queueing.delivery.waiters import Waiter, ignore_place
from queueing.errors import (
    ApiClosed,
    BadRequest,
    NotUpYet,
    PoisonInput,
    Refused,
    UnknownEvent,
    UnknownFunction,
)
from queueing.events import Accepted, Join, encode, new_channel, new_event_id
from queueing.lines import MAIN
from queueing.messages import PAUSED, UnexpectedError, failed
from queueing.messages import encode as encode_message
from queueing.protocols.gradio_diffs import apply
from queueing.protocols.gradio_stream import HEARTBEAT_S, Stream, sse
from queueing.routes import MCP
from queueing.store.keys import SpaceKeys
from queueing.store.options import DEFAULTS, QueueOptions
from queueing.store.queue import Queue

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from queueing.protocols.caller import Caller
    from queueing.routes import Function, Route

#: The keys that a client may set in an event's body. The platform uses others towards the launcher.
BODY_KEYS = {"data", "fn_index", "session_hash", "event_data", "trigger_id", "simple_format"}
WHOLE = {"ws", "sse", "sse_v1"}  # protocols whose every step carries whole values, not differences
FORGOTTEN = "The result of this call is no longer kept here. Please send it again."


@dataclass(frozen=True)
class GradioProtocol:
    """Gradio's requests, as one web process answers them."""

    redis: Redis
    streams: MessageStreams
    positions: Positions
    wake: Callable[[Route], Awaitable[None]]
    delayed_ends: DelayedEnds = field(default_factory=DelayedEnds)
    keeping: Keeping = field(default_factory=Keeping)
    options: QueueOptions = DEFAULTS

    # --- joining ------------------------------------------------------------------------------------

    async def join(self, route: Route, body: dict[str, Any], caller: Caller, *, group: str = "") -> Accepted:
        """`POST queue/join`. `group`: that of a function made later, where it is known.

        Raises:
            QueueError: it was not accepted; `status` and the text are for the client.
        """
        session_hash = body.get("session_hash")
        if not isinstance(session_hash, str) or not 0 < len(session_hash) <= 200:
            raise BadRequest("session_hash is missing.")
        fn_index = body.get("fn_index")
        if not isinstance(fn_index, int) or isinstance(fn_index, bool):
            raise BadRequest("fn_index is missing or no whole number.")
        function = self._function(route, fn_index)
        body = {k: v for k, v in body.items() if k in BODY_KEYS}
        try:
            return await self.enqueue(
                route,
                body,
                caller,
                channel=session_hash,
                fn=fn_index,
                function=function,
                present=True,
                group=group,
            )
        except (ApiClosed, PoisonInput, Refused) as closed:
            if caller.idempotency_key:  # a program that reads the status: it must get no event for its key
                raise
            # gradio_client shows nobody the text of a refused POST (any 503 is a full queue to it), but the
            # text of a failed event.
            return await self._refuse_readably(route, session_hash, str(closed))

    async def enqueue(
        self,
        route: Route,
        body: dict[str, Any],
        caller: Caller,
        *,
        channel: str,
        fn: int,
        function: Function | None,
        present: bool,
        group: str = "",
    ) -> Accepted:
        """Queue an event whose messages go to `channel`.

        Raises:
            QueueError
        """
        if not isinstance(body.get("data", []), list):
            raise BadRequest("data is no list.")
        number = str(route.app.fn(fn))
        event_id = new_event_id(channel, (group and route.app.takes_as_long_as(group)) or number)
        self.delayed_ends.delay(event_id, caller.end_delay_s)
        # Before it joins: its end may arrive before the answer to the join.
        self.streams.expect(SpaceKeys(route.space_id), channel, event_id)
        accepted = await Queue(self.redis, route.space_id, self.options).join(
            Join(
                event_id=event_id,
                fn=number,
                channel=channel,
                body={**body, "mount": route.app.mount} if route.app.number else body,
                request={"headers": caller.headers, "query": caller.query},
                origin=caller.origin,
                lane=function.lane if function else MAIN,
                group=group or route.app.group(fn, function, body),
                batch=function.max_batch_size if function and function.batch else 0,
                after=str(route.app.fn(function.after)) if function and function.after is not None else "",
                visit=caller.visit,
                visitor=caller.visitor or channel,
                idempotency_key=caller.own_key(channel),
                present=present,
                session=_session(body, "" if present or caller.home else channel),
                home=caller.home,
            )
        )
        self.delayed_ends.delay(event_id, caller.end_delay_s)
        await self._accepted(route, channel, accepted)
        return accepted

    async def _accepted(self, route: Route, channel: str, accepted: Accepted) -> None:
        if accepted.wake:
            await self.wake(route)
        self.positions.soon(route.space_id)
        if accepted.end_in_flight:
            await Cursor(self.redis, SpaceKeys(route.space_id), channel).apart()

    async def _refuse_readably(self, route: Route, channel: str, text: str) -> Accepted:
        """Accept nothing, but send the refusal as an event that failed at once."""
        event_id = new_event_id(channel)
        await Queue(self.redis, route.space_id).publish_refusal(event_id, channel, failed(event_id, text))
        return Accepted(event_id=event_id, position=0, size=0, wake=False)

    @staticmethod
    def _function(route: Route, fn_index: int) -> Function | None:
        """None for functions a page made later (`gr.render`): they queue like any other."""
        function = route.app.function(fn_index)
        if function is None and not 0 <= fn_index < MCP:
            raise UnknownFunction(f"This app has no function {fn_index}.")
        return function

    # --- listening ----------------------------------------------------------------------------------

    async def data(self, route: Route, session_hash: str, *, may_keep: bool = True) -> AsyncIterator[bytes]:
        """`GET queue/data`: the session's messages, from the first that its client lacks. `may_keep`:
        whether it may stay for a moment after the last event."""
        cursor = Cursor(self.redis, SpaceKeys(route.space_id), session_hash)
        begin = await cursor.listen()
        if begin is None:
            text = "Session not found. Reload the page."
            yield sse(encode_message(UnexpectedError(message=text, session_not_found=True)))
            return
        for event_id in begin.given_up:
            await Queue(self.redis, route.space_id).cancel(event_id, session_hash)
        if begin.idle:
            yield b""  # it may be long before anything comes: its headers at once
        session = (route.space_id, session_hash)
        keep_s = self.keeping.seconds(session) if may_keep else 0.0
        stream = Stream(self.streams, self.positions, self.delayed_ends, route, cursor, begin, keep_s=keep_s)
        try:
            async with contextlib.aclosing(stream.messages()) as messages:  # type: ignore[type-var]
                async for chunk in messages:
                    yield chunk
        finally:
            self.keeping.ended(session, for_nothing=stream.kept_for_nothing)

    # --- cancelling ---------------------------------------------------------------------------------

    async def cancel(self, route: Route, body: dict[str, Any]) -> None:
        """`POST cancel`: end one event of the caller's own session.

        Raises:
            UnknownEvent
        """
        event_id, session_hash = body.get("event_id"), body.get("session_hash")
        if not isinstance(event_id, str) or not isinstance(session_hash, str):
            raise BadRequest("event_id and session_hash are needed.")
        queue = Queue(self.redis, route.space_id)
        if await queue.cancel(event_id, session_hash) != "unknown":
            return
        # The event is over: there is nothing to do.
        if (await queue.state(event_id, "channel")).get("channel") != session_hash:
            raise UnknownEvent

    async def reset(self, route: Route, body: dict[str, Any]) -> None:
        """`POST reset` of clients before 4.29: cancels the event it names, which is known to nobody else."""
        event_id = body.get("event_id")
        if not isinstance(event_id, str) or route.app.release >= (4, 29):
            return
        with contextlib.suppress(UnknownEvent):
            channel = await self.channel_of(route, event_id)
            await Queue(self.redis, route.space_id).cancel(event_id, channel)

    async def cancel_functions(self, route: Route, session_hash: str, functions: tuple[int, ...]) -> None:
        """End every event of these functions in the session (`cancels=[…]` of older pages)."""
        queue = Queue(self.redis, route.space_id)
        for raw in await self.redis.smembers(queue.keys.open(session_hash)):
            event_id = raw.decode()
            fields = await queue.state(event_id, "fn")
            if fields.get("fn") in {str(route.app.fn(f)) for f in functions}:
                await queue.cancel(event_id, session_hash)

    async def app_event_id(self, route: Route, event_id: str) -> tuple[str, Route]:
        """The app's own id of a running event that takes input chunks (`stream/{event_id}`), and where it
        runs.

        Raises:
            UnknownEvent
        """
        fields = await Queue(self.redis, route.space_id).state(event_id, "app_id", "replica")
        there = route.at(int(fields.get("replica") or 0)) if route.others else route
        if not fields.get("app_id") or there is None:
            raise UnknownEvent
        return fields["app_id"], there

    # --- the simple call API ------------------------------------------------------------------------

    async def call(self, route: Route, api_name: str, body: dict[str, Any], caller: Caller) -> Accepted:
        """`POST call/{api_name}`: queue it; its id is what to listen to.

        Raises:
            QueueError
        """
        function = function_named(route, api_name)
        channel = new_channel()
        session = body.get("session_hash")
        full = {
            "data": body.get("data", []),
            "fn_index": function.id,
            "session_hash": session if isinstance(session, str) and session else channel,
            "event_data": None,
            "trigger_id": None,
        }
        return await self.enqueue(
            route, full, caller, channel=channel, fn=function.id, function=function, present=False
        )

    async def call_data(self, route: Route, event_id: str) -> AsyncIterator[bytes]:
        """`GET call/{api_name}/{event_id}`: generating | complete | error | heartbeat.

        Raises:
            UnknownEvent: before anything is sent.
        """
        values: list[Any] = []
        async for message in self._messages_while_present(route, event_id):
            word = message.get("msg")
            if word == "heartbeat":
                yield b"event: heartbeat\ndata: null\n\n"
            elif message.get("code"):  # a comment: Gradio has no event for it, and people read it
                yield b": " + str(message["log"]).encode() + b"\n\n"
            elif word == "process_generating" and message.get("success"):
                data = plain(message["output"].get("data")) or []
                values = data if route.app.protocol in WHOLE else apply(values, data)
                yield b"event: generating\ndata: " + encode(values) + b"\n\n"
            elif word == "process_completed":
                ok = bool(message.get("success"))
                output = message.get("output") or {}
                value = output.get("data") if ok else output.get("error")
                yield (b"event: complete" if ok else b"event: error") + b"\ndata: " + encode(value) + b"\n\n"

    async def channel_of(self, route: Route, event_id: str) -> str:
        """The message channel of an event.

        Raises:
            UnknownEvent
        """
        fields = await Queue(self.redis, route.space_id).state(event_id, "channel")
        if "channel" not in fields:
            raise UnknownEvent
        return fields["channel"]

    async def _messages_while_present(self, route: Route, event_id: str) -> AsyncIterator[dict[str, Any]]:
        """The same as `event_messages`, for a client whose disconnect counts."""
        waiter = Waiter(route.space_id, await self.channel_of(route, event_id), ignore_place, ticket=True)
        async with (
            self.positions.waiting(waiter),
            contextlib.aclosing(self.event_messages(route, event_id)) as messages,  # type: ignore[type-var]
        ):
            async for message in messages:
                waiter.done = message.get("msg") == "process_completed"
                yield message

    async def event_messages(self, route: Route, event_id: str) -> AsyncIterator[dict[str, Any]]:
        """Messages of one event, from its first, heartbeats between; ends after the final one."""
        channel = await self.channel_of(route, event_id)
        follow = self.streams.follow(SpaceKeys(route.space_id), channel)
        async with contextlib.aclosing(follow):  # type: ignore[type-var]
            pending: asyncio.Future[Delivered] | None = None
            try:
                while True:
                    pending = pending or asyncio.ensure_future(anext(follow))
                    done, _ = await asyncio.wait([pending], timeout=HEARTBEAT_S)
                    if not done:
                        if await self._is_forgotten(route, event_id, channel):
                            yield decode_message(failed(event_id, FORGOTTEN))
                            return
                        yield {"msg": "heartbeat"}
                        continue
                    message = decode_message(pending.result().payload)
                    pending = None
                    if message.get("event_id") == event_id:
                        yield message
                        if message.get("msg") == "process_completed":
                            return
            finally:  # what still runs cannot be closed
                if pending is not None:
                    pending.cancel()
                    await asyncio.gather(pending, return_exceptions=True)

    async def _is_forgotten(self, route: Route, event_id: str, channel: str) -> bool:
        """Whether its messages had to make room for others (`lua/lib/room.lua`)."""
        state = (await Queue(self.redis, route.space_id).state(event_id, "state")).get("state")
        kept: int = await self.redis.xlen(SpaceKeys(route.space_id).messages(channel))
        return state not in ("pending", "running") and not kept

    # --- direct runs --------------------------------------------------------------------------------

    def runs_directly(self, route: Route, name: str, body: dict[str, Any]) -> Function | None:
        """The function a `POST run/{name}` means; its `queue` says whether it is queued."""
        fn_index = body.get("fn_index")
        if isinstance(fn_index, int) and not isinstance(fn_index, bool):
            return route.app.function(fn_index)
        return route.app.named(name)

    async def run(
        self, route: Route, function: Function, body: dict[str, Any], caller: Caller
    ) -> tuple[int, dict[str, Any]]:
        """`POST run/{name}` of a queued function: the response waits until the event has ended.

        Raises:
            QueueError
        """
        if body.get("batched"):
            raise BadRequest("batched calls are made by the queue, not by clients.")
        channel = new_channel()
        session = body.get("session_hash")
        full = {
            **{k: v for k, v in body.items() if k in BODY_KEYS},
            "fn_index": function.id,
            "session_hash": session if isinstance(session, str) and session else channel,
        }
        accepted = await self.enqueue(
            route, full, caller, channel=channel, fn=function.id, function=function, present=False
        )
        async for message in self._messages_while_present(route, accepted.event_id):
            if message.get("code") == PAUSED:  # a plain response cannot carry this message
                await Queue(self.redis, route.space_id).cancel(accepted.event_id, channel)
                raise Refused("The owner paused this Space. Please send it again when it runs.")
            if message.get("msg") == "process_completed":
                output = message.get("output") or {}
                return (200, output) if message.get("success") else (500, {"error": output.get("error")})
        raise AssertionError("an event ends with its final message")


def function_named(route: Route, api_name: str) -> Function:
    """The function that has this name for programs.

    Raises:
        NotUpYet, UnknownFunction
    """
    if (function := route.app.named(api_name)) is not None:
        return function
    if not route.app.functions and not route.address:
        raise NotUpYet(route.stage)
    named = ", ".join(f.api_name for f in route.app.functions if f.api_name) or "none"
    raise UnknownFunction(f"This app has no function named '{api_name[:100]}'. It has: {named}.")


def _session(body: dict[str, Any], private: str) -> str:
    """The app's session that an event is part of; not its private one, which no other event can have."""
    session = body.get("session_hash")
    return session if isinstance(session, str) and session != private else ""
