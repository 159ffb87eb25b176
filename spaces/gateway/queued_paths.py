"""Queued paths of Docker Spaces: requests to them do not go to the container, but into its queue."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hardware.replica_client import target_of
from queueing.errors import BodyTooLarge, NoSuchPath, QueueError
from queueing.eta import eta_fields
from queueing.events import encode
from queueing.identity import visitor
from queueing.protocols.http import HttpProtocol, Request
from queueing.store.http_results import BODY_LIMIT, Answer
from spaces.gateway import paths
from spaces.gateway.identity import caller as callers
from spaces.gateway.identity.visitor import account_of
from spaces.gateway.proxy import headers as head
from spaces.gateway.proxy import http

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from queueing.delivery.waiters import Place
    from queueing.protocols.caller import Caller
    from spaces.gateway.context import GatewayContext
    from spaces.gateway.proxy.http import Receive, Scope, Send
    from spaces.gateway.request import SpaceRequest

#: The address of a request that did not wait for its answer.
TICKET = re.compile(r"/_queue/(?P<event>[0-9a-f]{32})")
POLL_AFTER_S = 1
LATER_S = 5  # when to try again where nothing is known of the line
TRY_AGAIN = {429, 503}
#: Headers that are not passed on to the container: they concern the connection to us.
NOT_REPLAYED = {"expect", "prefer"}

Extra = tuple[tuple[bytes, bytes], ...]


class QueuedPaths:
    """Handles queued paths in one web process."""

    def __init__(self, context: GatewayContext) -> None:
        self.context = context
        self.protocol = HttpProtocol(context.gradio)

    async def handle(self, request: SpaceRequest, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a request that is the queue's; False for all others.

        Raises:
            NoSuchPath: the path only resembles a queued one.
        """
        if ticket := TICKET.fullmatch(request.path):
            await self._answered(request, send, self._ticket(request, ticket["event"], scope, send))
            return True
        # A browser's preflight for another host's request; it is never that request itself.
        if scope["method"] == "OPTIONS":
            return False
        queued = request.route.app.paths
        index = paths.queued(request.path, queued)
        if index is None:
            if paths.resembles(request.path, queued):
                raise NoSuchPath
            return False
        await self._answered(request, send, self._queue(request, index, scope, receive, send))
        return True

    async def _queue(
        self, request: SpaceRequest, index: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        length = head.first(scope["headers"], "content-length")
        if length.isdigit() and int(length) > BODY_LIMIT:
            raise BodyTooLarge(BODY_LIMIT)
        try:
            body = await http.read_body(receive, BODY_LIMIT)
        except http.TooLarge:
            raise BodyTooLarge(BODY_LIMIT) from None
        queued = Request(
            path=index,
            method=scope["method"],
            target=target_of(request.path, scope["query_string"]),
            body=body,
        )
        caller = await self._caller(request, scope)
        if responds_async(scope):
            event_id = await self.protocol.begin(request.route, queued, caller)
            await self.context.visited(request.route)
            place = await self.protocol.poll(request.route, event_id)
            await self._respond_place(
                request, send, event_id, place, ((b"preference-applied", b"respond-async"),)
            )
            return
        await self.context.visited(request.route)

        async def wait() -> None:
            answer = await self.protocol.answer(request.route, queued, caller)
            await self._pass_on(request, scope["method"], send, answer)

        await http.until_gone(receive, wait())

    async def _ticket(self, request: SpaceRequest, event_id: str, scope: Scope, send: Send) -> None:
        """An address to poll: the request's place, then its answer; `DELETE` cancels it."""
        match scope["method"]:
            case "GET":
                found = await self.protocol.poll(request.route, event_id)
                await self._respond_place(request, send, event_id, found)
            case "DELETE":
                await self.protocol.cancel(request.route, event_id)
                await http.respond(send, 200, b'{"success":true}', "application/json")
            case _:
                text = b'{"error":"Here is GET, which asks for the answer, and DELETE, which cancels."}'
                await http.respond(send, 405, text, "application/json", ((b"allow", b"GET, DELETE"),))

    # --- answers ------------------------------------------------------------------------------------

    async def _respond_place(
        self, request: SpaceRequest, send: Send, event_id: str, found: Place | Answer, extra: Extra = ()
    ) -> None:
        if isinstance(found, Answer):
            await self._pass_on(request, "GET", send, found)
            return
        place = {
            "event_id": event_id,
            "state": found.state,
            "position": found.position,
            "size": found.size,
            **eta_fields(found.eta),
        }
        door = request.host.partition("/")[2]  # "" on the Space's own host
        location = f"/{door}/_queue/{event_id}" if door else f"/_queue/{event_id}"
        extra = ((b"location", location.encode()), (b"retry-after", b"%d" % POLL_AFTER_S), *extra)
        await http.respond(send, 202, encode(place), "application/json", extra)

    @staticmethod
    async def _pass_on(request: SpaceRequest, method: str, send: Send, answer: Answer) -> None:
        headers = head.to_visitor(answer.headers, request.door)
        if request.program and (refused := http.as_attachment(headers)) is not None:
            await http.respond(send, 406, refused, "application/json")
            return
        if method != "HEAD" and answer.status not in (204, 304):
            headers = [h for h in headers if h[0] != b"content-length"]
            headers.append((b"content-length", b"%d" % len(answer.body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answered(self, request: SpaceRequest, send: Send, work: Awaitable[None]) -> None:
        """Await the work; a refusal carries the time to try again, where that makes sense."""
        try:
            await work
        except QueueError as error:
            extra: Extra = ()
            if error.status in TRY_AGAIN:
                room = await self.protocol.room_in(request.route)
                extra = ((b"retry-after", b"%d" % (math.ceil(room.at_most) if room else LATER_S)),)
            text = encode({"detail": str(error), "error": str(error), "code": error.code})
            await http.respond(send, error.status, text, "application/json", extra)

    # --- the caller ---------------------------------------------------------------------------------

    async def _caller(self, request: SpaceRequest, scope: Scope) -> Caller:
        # A page was opened under an address that proves its visit: a browser names it with every request.
        visit = request.visit
        replayed = callers.to_container(request, scope)
        caller = await self.context.callers.replay(request, scope, "page" if visit else "api")
        return replace(
            caller,
            headers={name: value for name, value in replayed.items() if name not in NOT_REPLAYED},
            visitor=visitor(
                user_id=request.user_id or await account_of(scope, address=request.client),
                page=visit,
                address=request.client,
            ),
            end_delay_s=0.0,
        )


def responds_async(scope: Scope) -> bool:
    """Whether the request's `Prefer` header declares that its sender will not wait (RFC 7240)."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"prefer"]
    return any(
        word.partition(";")[0].strip().lower() == "respond-async" for word in ",".join(values).split(",")
    )
