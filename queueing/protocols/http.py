"""Plain HTTP in front of our queue: a request to a queued path of a Docker Space waits its turn like any
event, and is answered with what the container answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from queueing.delivery.waiters import Place, Waiter, ignore_place
from queueing.errors import AlreadyEnded, BodyTooLarge, Gone, NoAnswer, Refused, UnknownEvent
from queueing.events import decode, new_channel, prefix_of, prefix_of_id
from queueing.lines import MAIN
from queueing.messages import PAUSED
from queueing.routes import is_path, path_fn
from queueing.store import snapshot
from queueing.store.http_results import BODY_LIMIT, Answer, ResponseStore
from queueing.store.keys import SpaceKeys
from queueing.store.queue import Queue

if TYPE_CHECKING:
    from queueing.eta import Eta
    from queueing.protocols.caller import Caller
    from queueing.protocols.gradio import GradioProtocol
    from queueing.routes import Route


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the container will be sent. `path` is the index of the queued path it was matched with; `target`
    is the path and query as they are sent."""

    path: int
    method: str
    target: str
    body: bytes


@dataclass(frozen=True)
class HttpProtocol:
    """Queued requests of one web process."""

    gradio: GradioProtocol

    # --- waiting for the answer -----------------------------------------------------------------------

    async def answer(self, route: Route, request: Request, caller: Caller) -> Answer:
        """Queue it and wait for its answer; a client that disconnects before gives its place up.

        Raises:
            QueueError: it was not accepted, or the app gave no answer.
        """
        channel = new_channel()
        event_id = await self._enqueue(route, request, caller, channel, present=True)
        if prefix_of_id(event_id) != prefix_of(channel):  # an earlier request had the same idempotency key
            return await self._answer(route, await self._end(route, event_id), keep=True)
        try:
            async with self.gradio.positions.waiting(Waiter(route.space_id, channel, ignore_place)):
                message = await self._end(route, event_id)
        except BaseException:
            await Queue(self.gradio.redis, route.space_id).cancel(event_id, channel)
            raise
        return await self._answer(route, message, keep=bool(caller.idempotency_key))

    async def _end(self, route: Route, event_id: str) -> dict[str, Any]:
        async for message in self.gradio.event_messages(route, event_id):
            if message.get("code") == PAUSED:  # a plain response cannot carry this message
                raise Refused("The owner paused this Space. Please send it again when it runs.")
            if message.get("msg") == "process_completed":
                return message
        raise AssertionError("an event ends with its final message")

    async def _answer(self, route: Route, message: dict[str, Any], *, keep: bool) -> Answer:
        """The container's answer that a final message names.

        Raises:
            NoAnswer, Gone
        """
        output = message.get("output") or {}
        if "answer" in output:
            answers = ResponseStore(self.gradio.redis, route.space_id)
            answer = await (answers.load if keep else answers.take)(output["answer"])
            if answer is None:
                raise Gone("The answer was kept for an hour; that is over.")
            return answer
        if message.get("success"):
            raise Gone("This request was cancelled.")
        raise NoAnswer(str(output.get("error") or ""))

    # --- coming back for it ---------------------------------------------------------------------------

    async def begin(self, route: Route, request: Request, caller: Caller) -> str:
        """Queue it without waiting: the event's id, for `look` and `cancel`.

        Raises:
            QueueError
        """
        return await self._enqueue(route, request, caller, new_channel(), present=False)

    async def poll(self, route: Route, event_id: str) -> Place | Answer:
        """Its place in line (or that it runs), or its answer.

        Raises:
            UnknownEvent, NoAnswer, Gone
        """
        fields = await self._fields(route, event_id)
        if fields["state"] == "running":
            return Place(event_id, 0, 0, None, "running")
        if fields["state"] == "pending":
            return await self._place(route, event_id)
        key = SpaceKeys(route.space_id).messages(fields["channel"])
        newest = await self.gradio.redis.xrevrange(key, count=1)
        if not newest:
            raise Gone("This request ended long ago.")
        return await self._answer(route, decode(newest[0][1][b"d"]), keep=True)

    async def cancel(self, route: Route, event_id: str) -> None:
        """End it: a waiting one leaves the line, a running one sends nothing more.

        Raises:
            UnknownEvent, AlreadyEnded
        """
        fields = await self._fields(route, event_id)
        if fields["state"] == "cancelled":
            return
        word = await Queue(self.gradio.redis, route.space_id).cancel(event_id, fields["channel"])
        if word == "unknown":
            raise AlreadyEnded

    async def _fields(self, route: Route, event_id: str) -> dict[str, str]:
        fields = await Queue(self.gradio.redis, route.space_id).state(event_id, "state", "channel", "fn")
        if not is_path(fields.get("fn", "")):
            raise UnknownEvent
        return fields

    async def _place(self, route: Route, event_id: str) -> Place:
        own = await self._line(route)
        everyone = [*own.first, *own.wait]
        if event_id.encode() not in everyone:  # its turn came just now
            return Place(event_id, 0, 0, None, "running")
        at = everyone.index(event_id.encode())
        size = max(len(own.wait), 1)
        return Place(event_id, max(at - len(own.first), 0), size, own.starts.at(at))

    async def room_in(self, route: Route) -> Eta | None:
        """When somebody leaves the line, as far as that is known."""
        return (await self._line(route)).starts.at(0)

    async def _line(self, route: Route) -> snapshot.Line:
        """That of queued paths: they have no groups."""
        return (await snapshot.load(self.gradio.redis, route.space_id)).by_name[MAIN]

    # --- joining --------------------------------------------------------------------------------------

    async def _enqueue(
        self, route: Route, request: Request, caller: Caller, channel: str, *, present: bool
    ) -> str:
        if len(request.body) > BODY_LIMIT:
            raise BodyTooLarge(BODY_LIMIT)
        accepted = await self.gradio.enqueue(
            route,
            {"data": [request.method, request.target, request.body]},
            caller,
            channel=channel,
            fn=path_fn(request.path),
            function=None,
            present=present,
        )
        return accepted.event_id
