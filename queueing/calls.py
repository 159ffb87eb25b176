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
from functools import partial
from typing import Any, Protocol

import aiohttp
import msgspec

from queueing.answers import Answers
from queueing.errors import ContainerDied
from queueing.events import Event, encode
from queueing.routes import SPREAD, Route

logger = logging.getLogger(__name__)

decode = msgspec.json.Decoder().decode
CONNECT_S = 10.0
ANSWER_S = 600.0  # for the app's answer to our POST, before any work of the function
REOPENED = 5  # times a session's stream may end early in a row

#: The app's words about its own queue; ours are told instead.
OWN_WORDS = {"estimation", "heartbeat", "close_stream"}


class CallRefused(Exception):
    """The app refused the event; `output` is what the visitor is told (Gradio's error output)."""

    def __init__(self, output: dict[str, Any]) -> None:
        super().__init__(str(output.get("error")))
        self.output = output


class Container(Protocol):
    """What the dispatcher needs of a replica, whatever its app speaks."""

    @property
    def app_ids(self) -> dict[str, str]:
        """Our event id -> the app's, while it runs."""

    def call(self, event: Event) -> AsyncIterator[dict[str, Any]]:
        """The messages about this event; ends after the final one.

        Raises:
            CallRefused: the app did not take it.
            ContainerDied: its end will never be heard.
        """

    async def batch(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """One call for all of them; one output each.

        Raises:
            CallRefused, ContainerDied
        """

    async def cancel(self, event: Event) -> None:
        """Ask the app to end a running generator."""


class _Session:
    """The one reader of a session's messages, alive while any event of it runs."""

    def __init__(self, app: GradioApp, session_hash: str) -> None:
        self.app = app
        self.hash = session_hash
        self.bound: dict[str, asyncio.Queue[dict[str, Any] | None]] = {}
        # Messages can overtake the answer of our POST: kept until the id is known.
        self.early: dict[str, list[dict[str, Any]]] = {}
        self.posting = 0
        self.reader: asyncio.Task[None] | None = None

    def bind(self, app_event_id: str) -> asyncio.Queue[dict[str, Any] | None]:
        inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.bound[app_event_id] = inbox
        for message in self.early.pop(app_event_id, []):
            self._route(message)
        if self.bound and self.reader is None:
            self.reader = asyncio.create_task(self._read(), name=f"session {self.hash}")
        return inbox

    def forget_if_idle(self) -> None:
        """Leave the app's table, unless an event or the reader still needs the session: a second reader
        beside a living one would steal its messages."""
        reading = self.reader is not None and not self.reader.done()
        if not self.bound and not self.posting and not reading:
            self.app.sessions.pop(self.hash, None)

    async def _read(self) -> None:
        empty_in_a_row = 0
        try:
            while self.bound and empty_in_a_row < REOPENED:
                got = await self._read_once()
                empty_in_a_row = 0 if got else empty_in_a_row + 1
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.info("session %s: stream broke: %r", self.hash, error)
        finally:
            for inbox in self.bound.values():
                inbox.put_nowait(None)
            self.bound.clear()
            self.reader = None
            self.forget_if_idle()

    async def _read_once(self) -> bool:
        got = False
        url = f"{self.app.base}/queue/data"
        async with self.app.http.get(
            url,
            params={"session_hash": self.hash},
            headers={"Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S),
        ) as answer:
            answer.raise_for_status()
            async for line in _lines(answer.content):
                if not line.startswith(b"data:"):
                    continue
                message = decode(line[5:])
                word = message.get("msg")
                if word == "close_stream":
                    break
                if word in OWN_WORDS:
                    continue
                if word == "unexpected_error" and not message.get("event_id"):
                    break
                got = True
                self._route(message)
        return got

    def _route(self, message: dict[str, Any]) -> None:
        app_event_id = message.get("event_id") or ""
        inbox = self.bound.get(app_event_id)
        if inbox is not None:
            inbox.put_nowait(message)
            if message.get("msg") == "process_completed":
                del self.bound[app_event_id]
        elif self.posting:
            self.early.setdefault(app_event_id, []).append(message)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length (aiohttp's own `readline` stops at 512 KiB)."""
    rest = b""
    async for chunk in content.iter_any():
        rest += chunk
        while (end := rest.find(b"\n")) >= 0:
            yield rest[:end]
            rest = rest[end + 1 :]


class GradioApp:
    """One replica's app."""

    def __init__(self, http: aiohttp.ClientSession, route: Route) -> None:
        self.http = http
        self.route = route
        self.base = f"http://{route.address}{route.app.prefix}"
        self.sessions: dict[str, _Session] = {}
        self.app_ids: dict[str, str] = {}  # our event id -> the app's

    async def call(self, event: Event) -> AsyncIterator[dict[str, Any]]:
        """The app's messages about this event, its own event ids in them; ends after the final one.

        Raises:
            CallRefused: the app did not take it.
            ContainerDied: the connection broke and the event's end will never be heard.
        """
        session_hash = event.body.get("session_hash") or event.id
        session = self.sessions.setdefault(session_hash, _Session(self, session_hash))
        session.posting += 1
        try:
            app_event_id = await self._post(event, session_hash)
            inbox = session.bind(app_event_id)
        finally:
            session.posting -= 1
            session.forget_if_idle()
        self.app_ids[event.id] = app_event_id
        try:
            while (message := await inbox.get()) is not None:
                yield message
                if message.get("msg") == "process_completed":
                    return
            raise ContainerDied
        finally:
            self.app_ids.pop(event.id, None)
            session.bound.pop(app_event_id, None)
            session.forget_if_idle()

    async def _post(self, event: Event, session_hash: str) -> str:
        body = {**event.body, "session_hash": session_hash}
        try:
            async with self.http.post(
                f"{self.base}/queue/join",
                params=event.request.get("query") or None,
                data=encode(body),
                headers=_headers(event),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S),
            ) as answer:
                raw = await answer.read()
                if answer.status != 200:
                    raise CallRefused(_refusal(answer.status, raw))
                return str(decode(raw)["event_id"])
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
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
        try:
            async with self.http.post(
                f"{self.base}/run/predict",
                data=encode(body),
                headers=_headers(first),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S),
            ) as answer:
                raw = await answer.read()
                if answer.status != 200:
                    raise CallRefused(_refusal(answer.status, raw))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ContainerDied from error
        output = decode(raw)
        rows = list(zip(*output["data"], strict=True)) if output["data"] else [()] * len(events)
        if len(rows) != len(events):
            text = f"The batch function answered {len(rows)} results for {len(events)} inputs."
            raise CallRefused({"error": text, "visible": True, "title": "Error", "duration": 10})
        return [{**output, "data": list(row)} for row in rows]

    async def cancel(self, event: Event) -> None:
        """Ask the app to end a running generator."""
        app_event_id = self.app_ids.get(event.id)
        if app_event_id is None:
            return
        body = {
            "session_hash": event.body.get("session_hash") or event.id,
            "fn_index": event.body.get("fn_index"),
            "event_id": app_event_id,
        }
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self.http.post(
                f"{self.base}/cancel",
                json=body,
                timeout=aiohttp.ClientTimeout(total=30, connect=CONNECT_S),
            ) as answer:
                await answer.read()


def connect(http: aiohttp.ClientSession, route: Route, answers: Answers) -> Container:
    """What calls this replica: by the protocol of its app, and by plain HTTP where paths queue."""
    from queueing.calls_http import PathsContainer
    from queueing.calls_mounted import MountedApps

    several = bool(route.app.mounted)
    app = MountedApps(route, partial(_gradio, http)) if several else _gradio(http, route)
    return PathsContainer(http, route, answers, app) if route.app.paths else app


def _gradio(http: aiohttp.ClientSession, route: Route) -> Container:
    from queueing.calls_reset import ResetApp
    from queueing.calls_ws import WebSocketApp

    if route.app.protocol == "ws":
        return WebSocketApp(http, route)
    if (4, 0) <= route.app.release < (4, 29):
        return ResetApp(http, route)
    return GradioApp(http, route)


def _headers(event: Event) -> dict[str, str]:
    """The visitor's own headers, replayed: they decide the URLs in results and what `gr.Request` shows."""
    return {
        **(event.request.get("headers") or {}),
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
    }


def _refusal(status: int, raw: bytes) -> dict[str, Any]:
    """Gradio's error output for an answer that was not 200."""
    detail: Any = None
    with contextlib.suppress(msgspec.DecodeError, AttributeError):
        value = decode(raw)
        detail = value.get("detail") or value.get("error")
    if isinstance(detail, list | dict):  # 422 of a validator: the page paints it on the inputs
        return {"error": detail if isinstance(detail, list) else [detail], "visible": True, "title": "Error"}
    text = str(detail) if detail else f"The app answered {status} to this request."
    return {"error": text, "visible": True, "title": "Error", "duration": 10}
