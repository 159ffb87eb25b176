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

#: Where a request can be asked for that did not wait for its answer.
TICKET = re.compile(r"/_queue/(?P<event>[0-9a-f]{32})")
ASK_AGAIN_S = 1
LATER_S = 5  # when to try again where nothing is known of the line
TRY_AGAIN = {429, 503}
#: Not the visitor's to say to the container: these concern the way to us.
NOT_REPLAYED = {"expect", "prefer"}

Extra = tuple[tuple[bytes, bytes], ...]


class QueuedPaths:
    """Their handling in one web process."""

    def __init__(self, context: GatewayContext) -> None:
        self.context = context
        self.protocol = HttpProtocol(context.gradio)

    async def handle(self, asked: SpaceRequest, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a request that is the queue's; False for all others.

        Raises:
            NoSuchPath: the path only resembles a queued one.
        """
        if ticket := TICKET.fullmatch(asked.path):
            await self._answered(asked, send, self._ticket(asked, ticket["event"], scope, send))
            return True
        # A browser asks before it sends another host's request; it never is that request.
        if scope["method"] == "OPTIONS":
            return False
        queued = asked.route.app.paths
        index = paths.queued(asked.path, queued)
        if index is None:
            if paths.resembles(asked.path, queued):
                raise NoSuchPath
            return False
        await self._answered(asked, send, self._request(asked, index, scope, receive, send))
        return True

    async def _request(
        self, asked: SpaceRequest, index: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        length = head.first(scope["headers"], "content-length")
        if length.isdigit() and int(length) > BODY_LIMIT:
            raise BodyTooLarge(BODY_LIMIT)
        try:
            body = await http.read_body(receive, BODY_LIMIT)
        except http.TooLarge:
            raise BodyTooLarge(BODY_LIMIT) from None
        request = Request(
            path=index,
            method=scope["method"],
            target=target_of(asked.path, scope["query_string"]),
            body=body,
        )
        caller = await self._caller(asked, scope)
        if responds_async(scope):
            event_id = await self.protocol.begin(asked.route, request, caller)
            await self.context.visited(asked.route)
            place = await self.protocol.poll(asked.route, event_id)
            await self._respond_place(
                asked, send, event_id, place, ((b"preference-applied", b"respond-async"),)
            )
            return
        await self.context.visited(asked.route)

        async def wait() -> None:
            answer = await self.protocol.answer(asked.route, request, caller)
            await self._pass_on(asked, scope["method"], send, answer)

        await http.until_gone(receive, wait())

    async def _ticket(self, asked: SpaceRequest, event_id: str, scope: Scope, send: Send) -> None:
        """A place to ask: where the request stands, then its answer; `DELETE` gives the place up."""
        match scope["method"]:
            case "GET":
                found = await self.protocol.poll(asked.route, event_id)
                await self._respond_place(asked, send, event_id, found)
            case "DELETE":
                await self.protocol.cancel(asked.route, event_id)
                await http.respond(send, 200, b'{"success":true}', "application/json")
            case _:
                text = b'{"error":"Here is GET, which asks for the answer, and DELETE, which cancels."}'
                await http.respond(send, 405, text, "application/json", ((b"allow", b"GET, DELETE"),))

    # --- answers ------------------------------------------------------------------------------------

    async def _respond_place(
        self, asked: SpaceRequest, send: Send, event_id: str, found: Place | Answer, extra: Extra = ()
    ) -> None:
        if isinstance(found, Answer):
            await self._pass_on(asked, "GET", send, found)
            return
        place = {
            "event_id": event_id,
            "state": found.state,
            "position": found.position,
            "size": found.size,
            **eta_fields(found.eta),
        }
        door = asked.host.partition("/")[2]  # "" on the Space's own host
        location = f"/{door}/_queue/{event_id}" if door else f"/_queue/{event_id}"
        extra = ((b"location", location.encode()), (b"retry-after", b"%d" % ASK_AGAIN_S), *extra)
        await http.respond(send, 202, encode(place), "application/json", extra)

    @staticmethod
    async def _pass_on(asked: SpaceRequest, method: str, send: Send, answer: Answer) -> None:
        headers = head.to_visitor(answer.headers, asked.door)
        if asked.program and (refused := http.as_attachment(headers)) is not None:
            await http.respond(send, 406, refused, "application/json")
            return
        if method != "HEAD" and answer.status not in (204, 304):
            headers = [h for h in headers if h[0] != b"content-length"]
            headers.append((b"content-length", b"%d" % len(answer.body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answered(self, asked: SpaceRequest, send: Send, work: Awaitable[None]) -> None:
        """Do it; a refusal says when to try again, where that makes sense."""
        try:
            await work
        except QueueError as error:
            extra: Extra = ()
            if error.status in TRY_AGAIN:
                room = await self.protocol.room_in(asked.route)
                extra = ((b"retry-after", b"%d" % (math.ceil(room.at_most) if room else LATER_S)),)
            text = encode({"detail": str(error), "error": str(error), "code": error.code})
            await http.respond(send, error.status, text, "application/json", extra)

    # --- the caller ---------------------------------------------------------------------------------

    async def _caller(self, asked: SpaceRequest, scope: Scope) -> Caller:
        # A page was opened under an address that proves its visit: a browser names it with every request.
        visit = asked.visit
        replayed = callers.to_container(asked, scope)
        caller = await self.context.callers.replay(asked, scope, "page" if visit else "api")
        return replace(
            caller,
            headers={name: value for name, value in replayed.items() if name not in NOT_REPLAYED},
            visitor=visitor(
                user_id=asked.user_id or await account_of(scope, address=asked.client),
                page=visit,
                address=asked.client,
            ),
            end_delay_s=0.0,
        )


def responds_async(scope: Scope) -> bool:
    """Whether the request says that its sender will not wait (RFC 7240)."""
    told = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"prefer"]
    return any(
        word.partition(";")[0].strip().lower() == "respond-async" for word in ",".join(told).split(",")
    )
