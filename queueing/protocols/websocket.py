"""The queue's websocket, `/ws/spaces/<owner>/<name>/queue`: the state of the line, joining, cancelling, and
coming back for a result. Messages are JSON objects with a `msg`, as in Gradio's protocol."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from redis.exceptions import RedisError

from accounts.rights import RightsUnknown, Viewer
from infra import json_bodies
from infra.json_bodies import BadJson
from infra.token_bucket import Bucket
from queueing.delivery.outbox import Outbox, TooSlow
from queueing.delivery.resume import VisitResumer
from queueing.delivery.streams import Delivered
from queueing.delivery.waiters import Place, Waiter
from queueing.errors import BadRequest, QueueError
from queueing.eta import eta_fields
from queueing.events import encode, new_channel
from queueing.identity import client_of, visitor
from queueing.messages import COME_LATER, GOING_AWAY
from queueing.protocols.caller import Caller
from queueing.protocols.context import WebContext
from queueing.protocols.gradio import function_named
from queueing.routes import Route
from queueing.store.keys import SpaceKeys

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
NO_SUCH_SPACE = 4404
TOO_MANY_MESSAGES = 4008  # 1008 in an application's own range: Daphne sends no other
MESSAGES_PER_SECOND, MESSAGES_AT_ONCE = 20, 200  # of one socket; a page sends a few a minute
MOST_EARLIER = 20  # earlier visits that one socket follows
BACK_WITHIN_MS = 5000  # each socket gets its own moment, so that they do not come back all at once

logger = logging.getLogger(__name__)

HomeOf = Callable[["Route", Any, str], str]
IdentityHeaders = Callable[[list[tuple[bytes, bytes]], int], dict[str, str]]
ReadVisit = Callable[[str, int], tuple[str, int | None] | None]


class QueueConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """One socket. It joins no channel layer: deliveries come by this process's one subscription."""

    channel_layer_alias = None
    #: Reads a visit's token; set by the subclass that knows Spaces.
    read_visit: ReadVisit | None = None
    #: The headers that identify the caller to the app, picked from the socket's own; set by the same
    #: subclass.
    identity_headers: IdentityHeaders | None = None
    #: The replica where the files are that the data names; set by the same subclass.
    home_of: HomeOf | None = None

    def __init__(self, context: Callable[[], WebContext]) -> None:
        super().__init__()
        self.context = context()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """One event of the socket's life. (Channels' own visits a thread each time, to close old connections
        to the database: nearly half of the cost of closing a socket. Here only code that queries it uses a
        thread.)"""
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        """Accept a visitor who may read the Space, and begin to send the state of its queue."""
        kwargs = self.scope["url_route"]["kwargs"]
        route = await self.context.routes.by_name(kwargs["owner"], kwargs["name"])
        await self.accept()
        self.viewer = Viewer(self._user_id())
        if route is None or not await self._may_see(route):
            await self._refuse()
            return
        self.context.sockets.add(self)
        self._connection = self.context.watched.watch(route.space_id, self.viewer, self._lose)
        self.route: Route = route
        self.session = new_channel()
        self._rate = Bucket(MESSAGES_PER_SECOND, most=MESSAGES_AT_ONCE)
        self._follower: asyncio.Task[None] | None = None
        self._waiters: list[Waiter] = []
        self._earlier: list[asyncio.Task[None]] = []
        self._outbox = Outbox(self._write)
        self.context.status.add(route, self._on_state)
        if visit := self._visit():
            self._send_places("", visit)

    async def disconnect(self, code: int) -> None:
        """Send nothing more; pending events keep their place for a minute (`queueing.dispatch.reaper`)."""
        self.context.sockets.discard(self)
        if not hasattr(self, "_outbox"):
            return
        self.context.watched.drop(self._connection)
        self.context.status.drop(self.route, self._on_state)
        for waiter in self._waiters:
            self.context.positions.drop(waiter)
        self._outbox.close()
        for task in (self._follower, *self._earlier):
            if task is not None:
                task.cancel()

    async def send_away(self) -> None:
        """Close with 4012. The moment to come back is a message: Daphne drops a close frame's reason."""
        retry_after_ms = random.randrange(BACK_WITHIN_MS)  # noqa: S311
        await self._write_message({"msg": "goodbye", "retry_after_ms": retry_after_ms})
        await self.close(GOING_AWAY)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One message of the client; a bad one is answered, the socket stays open."""
        if not hasattr(self, "route"):
            return
        if not self._rate.take():
            await self.close(TOO_MANY_MESSAGES)
            return
        try:
            if not await self._may_see(await self.context.routes.by_id(self.route.space_id) or self.route):
                await self._refuse()
                return
            await self._handle(self._parsed(text_data, bytes_data))
        except QueueError as error:
            await self._write_message({"msg": "error", "code": error.code, "message": str(error)})
        except (RedisError, OSError) as error:
            logger.warning("a socket's message: %s", error)
            text = "The queue does not answer for a moment. Please send it again."
            await self._write_message(
                {"msg": "error", "code": "queue.away", "message": text, "retry_after_ms": 2000}
            )

    # --- messages -----------------------------------------------------------------------------------

    @staticmethod
    def _parsed(text: str | None, raw: bytes | None) -> dict[str, Any]:
        if raw is not None or text is None:
            raise BadRequest("Send text messages, one JSON object each.")
        if len(text) > MAX_MESSAGE_BYTES:
            raise BadRequest(f"A message may have at most {MAX_MESSAGE_BYTES:,} bytes.")
        try:
            message: Any = json_bodies.parse(text, object)
        except BadJson as error:
            raise BadRequest(f"The message is no JSON: {error}") from error
        if not isinstance(message, dict) or not isinstance(message.get("msg"), str):
            raise BadRequest('A message is a JSON object with "msg": "join", "cancel", "follow" or "status".')
        return message

    async def _handle(self, message: dict[str, Any]) -> None:
        match message["msg"]:
            case "join":
                await self._join(message)
            case "cancel":
                await self.context.gradio.cancel(
                    self.route, {"session_hash": self.session, "event_id": message.get("event_id")}
                )
            case "follow":
                await self._resume(message)
            case "status":
                await self._write(self.context.status.state(self.route))
            case "earlier":
                self._resume_visit(str(message.get("visit") or ""))
            case other:
                raise BadRequest(
                    f"There is no message '{other[:40]}'. There are: join, cancel, follow, status, earlier."
                )

    async def _join(self, message: dict[str, Any]) -> None:
        route = await self.context.routes.by_id(self.route.space_id) or self.route
        fn_index = message.get("fn_index")
        if fn_index is None:
            name = str(message.get("api_name") or "")
            if route.app.named(name) is None:  # what is remembered may be from before the app was up
                route = await self.context.routes.by_id(route.space_id, fresh=True) or route
            fn_index = function_named(route, name).id
        body = {
            "data": message.get("data", []),
            "fn_index": fn_index,
            "session_hash": self.session,
            "event_data": None,
            "trigger_id": None,
        }
        if self._follower is None:
            self._send_places(self.session)
            self._follow(self.session)
        key = message.get("idempotency_key")
        caller = Caller(
            headers={
                **(
                    self.identity_headers(self.scope["headers"], route.space_id)
                    if self.identity_headers
                    else {}
                ),
                "host": self._host(),
                "x-forwarded-host": f"{self._host()}/run/{route.owner}/{route.name}{route.app.mount}",
            },
            visitor=visitor(user_id=self._user_id(), page=self._visit(), address=self._address()),
            idempotency_key=key if isinstance(key, str) else "",
            home=self.home_of(route, body["data"], self._address()) if self.home_of else "",
        )
        event_id = (await self.context.gradio.join(route, body, caller)).event_id
        await self._write_message({"msg": "joined", "event_id": event_id, "session_hash": self.session})

    async def _resume(self, message: dict[str, Any]) -> None:
        """Take an earlier socket's session up again; its messages come from the first."""
        session = message.get("session_hash")
        if not isinstance(session, str) or len(session) != len(self.session):
            raise BadRequest("follow needs the session_hash from `joined`.")
        self.session = session
        if self._follower is not None:
            self._follower.cancel()
        self._follow(session)
        self._send_places(session)

    def _resume_visit(self, token: str) -> None:
        """Send the places and ends of the calls of an earlier opening of the page, named by its visit."""
        visit = self._visit_of(token)
        self._earlier = [task for task in self._earlier if not task.done()]
        if not visit or len(self._earlier) >= MOST_EARLIER:
            raise BadRequest("earlier needs the visit of an earlier opening of this Space's page.")
        earlier = VisitResumer(
            self.context.redis,
            self.context.streams,
            self.context.positions,
            self.route,
            visit,
            self._on_place,
            self._send_message,
        )
        self._earlier.append(asyncio.create_task(earlier.run(), name="ws earlier"))

    async def _send_message(self, message: dict[str, Any]) -> None:
        await self._outbox.message(encode(message))

    # --- sending ------------------------------------------------------------------------------------

    def _follow(self, channel: str) -> None:
        self._follower = asyncio.create_task(self._forward(channel), name="ws follow")

    async def _forward(self, channel: str) -> None:
        delivered: Delivered
        try:
            async for delivered in self.context.streams.follow(SpaceKeys(self.route.space_id), channel):
                await self._outbox.message(delivered.payload)
        except TooSlow:
            await self.close(COME_LATER)

    def _send_places(self, channel: str, visit: str = "") -> None:
        """This socket's places, or those of the visit its page belongs to; of a session only the latest."""
        for old in [w for w in self._waiters if w.visit == visit]:
            self.context.positions.drop(old)
            self._waiters.remove(old)
        waiter = Waiter(self.route.space_id, channel, self._on_place, visit=visit)
        self._waiters.append(waiter)
        self.context.positions.add(waiter)

    def _on_state(self, payload: bytes) -> None:
        self._outbox.state("", payload)

    def _on_place(self, place: Place) -> None:
        self._outbox.state(
            place.event_id,
            encode(
                {
                    "msg": "place",
                    "event_id": place.event_id,
                    "position": place.position,
                    "size": place.size,
                    "state": place.state,
                    "group": place.group,
                    "waits_for": place.waits_for,
                    **eta_fields(place.eta),
                }
            ),
        )

    async def _write(self, payload: bytes) -> None:
        with contextlib.suppress(RuntimeError, OSError):  # the socket closed meanwhile
            await self.base_send({"type": "websocket.send", "text": payload.decode()})

    async def _write_message(self, message: dict[str, Any]) -> None:
        await self._write(encode(message))

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        """Close the socket; one that is closed already stays so, as several things may close it at once."""
        with contextlib.suppress(RuntimeError, OSError):
            await super().close(code, reason)

    # --- the visitor --------------------------------------------------------------------------------

    async def _may_see(self, route: Route) -> bool:
        try:
            return await self.context.watched.may_see(self.viewer, route)
        except RightsUnknown:
            return False

    async def _refuse(self) -> None:
        await self._write_message(
            {"msg": "error", "code": "space.unknown", "message": "There is no such Space."}
        )
        await self.close(NO_SUCH_SPACE)

    def _lose(self) -> None:
        """The visitor may not see the Space any more."""
        self._refusal = asyncio.create_task(self._refuse(), name="ws refused")

    def _user_id(self) -> int | None:
        user = self.scope.get("user")
        return user.pk if user is not None and user.is_authenticated else None

    def _visit(self) -> str:
        return self._visit_of(parse_qs(self.scope["query_string"].decode("latin-1")).get("visit", [""])[-1])

    def _visit_of(self, token: str) -> str:
        if not token or self.read_visit is None:
            return ""
        found = self.read_visit(token, self.route.space_id)
        return found[0] if found else ""

    def _address(self) -> str:
        peer = (self.scope.get("client") or ("", 0))[0]
        return client_of(self.scope["headers"], peer, settings.SPACEPORT_TRUSTED_PROXY_COUNT)

    def _host(self) -> str:
        return next((v.decode("latin-1") for n, v in self.scope["headers"] if n == b"host"), "localhost")
