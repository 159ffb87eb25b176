"""How an endpoint in a container is called, by Gradio's public protocol.

An admitted event is posted to the app's own `queue/join` under the visitor's session; ONE reader per
session takes the app's messages from `queue/data` (two would split them, and hanging up kills the
session's events; contract measured on gradio 4.9 to 6.31). A batch is one direct call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec

from hardware.replica_client import BadAnswer, ReplicaClient, Reply, Unreachable
from infra.line_splitter import Cut, Lines
from queueing import app_messages
from queueing.app_messages import Message, NotUnderstood
from queueing.dispatch.backends.backlog import Backlog
from queueing.dispatch.backends.base import AppFault, CallRefused, refusal
from queueing.errors import ContainerDied
from queueing.events import Event, encode
from queueing.routes import SPREAD, Route

logger = logging.getLogger(__name__)

decode = msgspec.json.Decoder().decode
CANCEL_S = 30.0
ANSWER_S = 600.0  # for the app's answer to our POST, before any work of the function
REOPENED = 5  # times a session's stream may end early in a row
REFUSAL_BYTES = 256 * 1024
#: Of messages about events whose ids are not known yet.
MOST_EARLY, EARLY_BYTES = 1000, 1024 * 1024
NO_SUCH_SESSION = 404

#: Messages about the app's own queue; ours replace them.
OWN_WORDS = {"estimation", "heartbeat", "close_stream"}

LINES_A_TURN = 200
JSON = {"Content-Type": "application/json"}


class _Joined(msgspec.Struct):
    event_id: Annotated[str, msgspec.Meta(pattern=r"^[\w-]{1,100}$")]


_joined = msgspec.json.Decoder(_Joined).decode


class _Session:
    """The one reader of a session's messages, alive while any event of it runs."""

    def __init__(self, app: GradioSseClient, session_hash: str) -> None:
        self.app = app
        self.hash = session_hash
        self.bound: dict[str, Backlog[Message]] = {}
        # Messages can overtake the answer of our POST: kept until the id is known.
        self.early: list[tuple[Message, int]] = []
        self.early_bytes = 0
        self.posting = 0
        self.broken = ""  # a message of the app that Gradio's protocol does not have
        self.sender: dict[str, str] = {}  # its visitor's headers: an app may check whose stream it is
        self.reader: asyncio.Task[None] | None = None

    def bind(self, app_event_id: str) -> Backlog[Message]:
        inbox = self.bound[app_event_id] = Backlog()
        early, self.early, self.early_bytes = self.early, [], 0
        for message, size in early:
            self._route(message, size)
        if self.bound and self.reader is None:
            self.broken = ""
            self.reader = asyncio.create_task(self._receive(), name=f"session {self.hash}")
        return inbox

    def unbind(self, app_event_id: str) -> None:
        if (inbox := self.bound.pop(app_event_id, None)) is not None:
            inbox.leave()

    def forget_if_idle(self) -> None:
        """Leave the app's table, unless an event or the reader still needs the session: a second reader
        beside a living one would steal its messages."""
        reading = self.reader is not None and not self.reader.done()
        if not self.bound and not self.posting and not reading:
            self.app.sessions.pop(self.hash, None)

    async def _receive(self) -> None:
        empty_in_a_row = 0
        try:
            while self.bound and empty_in_a_row < REOPENED:
                got = await self._receive_once()
                empty_in_a_row = 0 if got else empty_in_a_row + 1
        except (BadAnswer, NotUnderstood) as error:
            self.broken = str(error)
        except Unreachable as error:
            logger.info("session %s: stream broke: %s", self.hash, error)
        finally:
            for inbox in self.bound.values():
                inbox.break_off()
            self.bound.clear()
            self.reader = None
            self.forget_if_idle()

    async def _receive_once(self) -> bool:
        query = urlencode({"session_hash": self.hash}).encode()
        request = self.app.http.request(
            "GET",
            self.app.route.address,
            f"{self.app.prefix}/queue/data",
            query=query,
            headers=self.sender,
            total_s=None,
        )
        async with request as reply:
            if reply.status == NO_SUCH_SESSION or reply.status >= 500:
                raise Unreachable(f"status {reply.status}")
            if reply.status != 200:
                raise BadAnswer(f"The app answered {reply.status} where its messages should be.")
            return await self._handle_stream(reply)

    async def _handle_stream(self, reply: Reply) -> bool:
        """Until the app ends the stream; whether it sent anything.

        Raises:
            BadAnswer, NotUnderstood, Unreachable
        """
        limits = self.app.http.limits
        lines = Lines(limits.message_bytes)
        got = False
        async for chunk in reply.chunks():
            for number, line in enumerate(lines.feed(chunk), start=1):
                if isinstance(line, Cut):
                    raise BadAnswer(limits.too_large)
                if line.startswith(b"data:"):
                    message = app_messages.parse(line[5:])
                    if message.msg == "close_stream" or _ends_session(message):
                        return got
                    if message.msg not in OWN_WORDS:
                        got = True
                        await self._handle(message, len(line))
                if number % LINES_A_TURN == 0:
                    await asyncio.sleep(0)
            if lines.pending > limits.message_bytes:
                raise BadAnswer(limits.too_large)
        return got

    async def _handle(self, message: Message, size: int) -> None:
        if (inbox := self._route(message, size)) is not None and inbox.is_full:
            await inbox.room()

    def _route(self, message: Message, size: int) -> Backlog[Message] | None:
        inbox = self.bound.get(message.head.event_id or "")
        if inbox is not None:
            inbox.put(message, size)
            if message.head.ends:
                del self.bound[message.head.event_id or ""]
        elif self.posting and len(self.early) < MOST_EARLY and self.early_bytes < EARLY_BYTES:
            self.early.append((message, size))
            self.early_bytes += size
        return inbox


def _ends_session(message: Message) -> bool:
    return message.msg == "unexpected_error" and not message.head.event_id


class GradioSseClient:
    """One replica's app."""

    def __init__(self, http: ReplicaClient, route: Route) -> None:
        self.http = http
        self.route = route
        self.prefix = route.app.prefix
        self.sessions: dict[str, _Session] = {}
        self.app_ids: dict[str, str] = {}  # our event id -> the app's

    async def call(self, event: Event) -> AsyncIterator[Message]:
        """The app's messages about this event, its own event ids in them; ends after the final one.

        Raises:
            CallRefused: the app did not take it, or does not speak Gradio's protocol.
            ContainerDied: the connection broke and the event's end will never arrive.
        """
        session_hash = event.body.get("session_hash") or event.id
        session = self.sessions.setdefault(session_hash, _Session(self, session_hash))
        session.posting += 1
        session.sender = event.request.get("headers") or {}
        try:
            app_event_id = await self._post(event, session_hash)
            inbox = session.bind(app_event_id)
        finally:
            session.posting -= 1
            session.forget_if_idle()
        self.app_ids[event.id] = app_event_id
        try:
            while True:
                for message in await inbox.take():
                    yield message
                    if message.head.ends:
                        return
        except ContainerDied:
            if session.broken:
                raise AppFault(session.broken) from None
            raise
        finally:
            self.app_ids.pop(event.id, None)
            session.unbind(app_event_id)
            session.forget_if_idle()

    async def _post(self, event: Event, session_hash: str) -> str:
        raw = await self._post_json(
            "/queue/join",
            {**event.body, "session_hash": session_hash},
            headers=_headers(event),
            query=(event.request.get("query") or "").encode("latin-1", "replace"),
            total_s=ANSWER_S,
            limit=REFUSAL_BYTES,
        )
        try:
            return _joined(raw).event_id
        except app_messages.FAILURES as error:
            raise AppFault(app_messages.NOT_UNDERSTOOD) from error

    async def _post_json(
        self,
        path: str,
        body: dict[str, Any],
        *,
        headers: dict[str, str],
        query: bytes = b"",
        total_s: float | None,
        limit: int,
    ) -> bytes:
        """The app's answer to a POST.

        Raises:
            CallRefused: the answer is an error, or no answer at all.
            ContainerDied
        """
        request = self.http.request(
            "POST", self.route.address, f"{self.prefix}{path}",
            query=query, headers=headers, data=encode(body), total_s=total_s,
        )  # fmt: skip
        try:
            async with request as reply:
                if reply.status != 200:
                    raise CallRefused(_refusal(reply.status, await reply.read(REFUSAL_BYTES)))
                return await reply.read(limit)
        except BadAnswer as error:
            raise AppFault(str(error)) from error
        except Unreachable as error:
            raise ContainerDied from error

    async def batch(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """One direct call for all of them (column-major, as Gradio's own queue makes it); one output each.

        Raises:
            CallRefused: the function failed, for all of them.
            ContainerDied
        """
        columns = [list(column) for column in zip(*(e.body.get("data") or [] for e in events), strict=True)]
        first = events[0]
        body = {
            "data": columns,
            "fn_index": int(first.fn) % SPREAD,
            "session_hash": first.body.get("session_hash") or first.id,
            "batched": True,
        }
        limit = self.http.limits.message_bytes
        raw = await self._post_json("/run/predict", body, headers=_headers(first), total_s=None, limit=limit)
        try:
            return app_messages.rows_of(raw, len(events))
        except ValueError as error:
            raise AppFault(str(error)) from error

    async def cancel(self, event: Event) -> None:
        """Ask the app to end a running generator."""
        app_event_id = self.app_ids.get(event.id)
        if app_event_id is not None:
            await self.notify(
                "/cancel",
                {
                    "session_hash": event.body.get("session_hash") or event.id,
                    "fn_index": event.body.get("fn_index"),
                    "event_id": app_event_id,
                },
            )

    async def notify(self, path: str, body: dict[str, Any]) -> None:
        """Send the app a request and ignore its answer."""
        with contextlib.suppress(CallRefused, ContainerDied):
            await self._post_json(path, body, headers=JSON, total_s=CANCEL_S, limit=REFUSAL_BYTES)


def _headers(event: Event) -> dict[str, str]:
    """The visitor's own headers, replayed: they decide the URLs in results and what `gr.Request` shows."""
    return {**(event.request.get("headers") or {}), **JSON}


def _refusal(status: int, raw: bytes) -> dict[str, Any]:
    """Gradio's error output for an answer that was not 200."""
    detail: Any = None
    with contextlib.suppress(*app_messages.FAILURES, AttributeError):
        value = decode(raw)
        detail = value.get("detail") or value.get("error")
    if isinstance(detail, list | dict):  # 422 of a validator: the page paints it on the inputs
        return {"error": detail if isinstance(detail, list) else [detail], "visible": True, "title": "Error"}
    return refusal(str(detail) if detail else f"The app answered {status} to this request.")
