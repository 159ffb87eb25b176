"""Clients under Daphne: how much of a request is taken before it is understood, how long that may take, and
how much of an answer waits for one that reads slowly. Twisted by itself collects every body on disk, of any
size, and waits for a client that sends a byte a minute; Daphne keeps all of an answer in memory."""

from __future__ import annotations

import asyncio
import io
import logging
import tempfile
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from daphne.http_protocol import WebRequest
from daphne.server import HTTPFactory
from twisted.web.http import HTTPChannel

from infra.away import away
from spaceport.redaction import AccessStream
from spaceport.web.away import for_programs
from spaceport.web.bodies import CHECK_EVERY_BYTES, ORDINARY, Limits, Refusal, refusal
from spaceport.web.monitor import App, Message, Receive, Scope, Send
from spaceport.web.uvicorn_http import BODY_BYTES_A_SECOND, BODY_EVERY_S, HEAD_S, LINGER_S

CHUNK = 64 * 1024
REQUEST = "spaceport.request"  # in a scope

logger = logging.getLogger(__name__)


class Request(WebRequest):  # type: ignore[misc]
    """One request; its body is taken up to the connection's limit, and a large one stays on disk."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # Twisted would read forms, uploads included, into memory for us.
        super().__init__(*args, **options, parsePOSTFormSubmission=False)
        self.content: Any  # Twisted's: a file, once there is a body
        self.on_disk: Any = None

    def gotLength(self, length: int | None) -> None:  # Twisted's name
        super().gotLength(length)
        limits = self.channel.limits
        if limits.on_disk is not None and not isinstance(self.content, io.BytesIO):
            self.content.close()  # it would be where there may be little room
            self.content = tempfile.TemporaryFile(dir=limits.on_disk.folder())  # noqa: SIM115  # closed with it

    def handleContentChunk(self, data: bytes) -> None:  # Twisted's name
        if self.channel.takes(len(data)):
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Daphne would put all of the body into the application's queue."""
        if self.content.seek(0, io.SEEK_END) > ORDINARY:
            self.on_disk, self.content = self.content, io.BytesIO()
            self.on_disk.seek(0)
        return super().process()

    def connectionLost(self, reason: Any) -> None:
        self._close()
        super().connectionLost(reason)

    def finish(self) -> None:
        self._close()
        super().finish()

    def _close(self) -> None:
        if self.on_disk is not None:
            self.on_disk.close()


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection for http."""

    limits: Limits

    def __init__(self) -> None:
        super().__init__()
        self._state = ""  # "head" or "body" while more of one is to come
        self._clock: Any = None
        self._body_bytes = self._in_window = self._checked = 0
        self._most: int | None = None  # None: not known yet
        self._refused = False
        self._task: asyncio.Task[None] | None = None
        self._drained = asyncio.Event()
        self._drained.set()

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            return  # the client reads its refusal once it has sent all
        super().dataReceived(data)
        self._watch()

    def rawDataReceived(self, data: bytes) -> None:
        if not self._refused:
            super().rawDataReceived(data)

    def connectionLost(self, reason: Any) -> None:
        self._stop_clock()
        self._drained.set()
        super().connectionLost(reason)

    # --- how much is on its way -------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._drained.clear()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self._drained.set()

    async def drained(self) -> None:
        """Once the client has taken most of what was sent, or has gone."""
        await self._drained.wait()

    # --- how much ---------------------------------------------------------------------------------------

    def allHeadersReceived(self) -> None:
        self._body_bytes, self._checked, self._most = 0, 0, None
        super().allHeadersReceived()
        if (self.length or 0) > ORDINARY:
            self._find_limit()

    def takes(self, size: int) -> bool:
        """Whether this many more bytes of the body are taken."""
        self._body_bytes += size
        self._in_window += size
        if self._body_bytes - self._checked > CHECK_EVERY_BYTES and self.limits.on_disk is not None:
            self._checked = self._body_bytes
            if fault := self.limits.on_disk.fault():
                self._refuse(refusal(0, fault))
                return False
        if self._most is None:
            if self._body_bytes > ORDINARY and self._task is None:
                self._find_limit()
        elif self._body_bytes > self._most:
            self._refuse(refusal(self._most))
        return not self._refused

    def _find_limit(self) -> None:
        """Load the limit, and read on only once it is known."""
        self._networkProducer.pauseProducing()
        self._task = asyncio.ensure_future(self._load_limit(self.requests[-1]))

    async def _load_limit(self, request: Request) -> None:
        most, answer = ORDINARY, None
        scope = scope_of(request)
        try:
            most = await self.limits.most(scope)
        except Exception as error:
            if (problem := away(error)) is None:
                logger.exception("whether a large body is taken")
            else:
                answer = for_programs(problem, scope)
        self._task = None
        if not self.requests:  # the client has gone
            return
        self._most = most
        if answer is not None or max(self.length or 0, self._body_bytes) > most:
            self._refuse(answer or refusal(most))
        self._networkProducer.resumeProducing()

    def _refuse(self, answer: Refusal) -> None:
        self._refused = True
        self._stop_clock()
        self.setTimeout(None)
        self.requests[-1].content.close()
        status, headers, body = answer
        lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()), b"connection: close"]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.loseWriteConnection()
        self._clock = self.callLater(LINGER_S, self.transport.abortConnection)

    # --- how long ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        state = self._awaited()
        if state == self._state or self._refused:
            return
        self._stop_clock()
        self._state, self._in_window = state, 0
        if state:
            self._clock = self.callLater(HEAD_S if state == "head" else BODY_EVERY_S, self._check)

    def _awaited(self) -> str:
        if self._handlingRequest:
            return ""
        if not self.line_mode:
            return "body"
        return "head" if self._receivedHeaderSize or self._buffer else ""

    def _check(self) -> None:
        self._clock = None
        if self._state == "body" and (
            self._in_window >= BODY_EVERY_S * BODY_BYTES_A_SECOND or self._task is not None
        ):
            self._in_window = 0
            self._clock = self.callLater(BODY_EVERY_S, self._check)
        else:
            self.transport.abortConnection()

    def _stop_clock(self) -> None:
        if self._clock is not None and self._clock.active():
            self._clock.cancel()
        self._clock = None


def scope_of(request: Any) -> Scope:
    """A request's scope as far as its head alone gives it."""
    path, _, query = request.channel._path.partition(b"?")
    return {
        "type": "http",
        "method": request.channel._command.decode("latin-1"),
        "path": unquote(path.decode("latin-1")),
        "query_string": query,
        "headers": [(n.lower(), v) for n, vs in request.requestHeaders.getAllRawHeaders() for v in vs],
        "client": [request.client.host, request.client.port],
    }


def from_disk(body: Any, receive: Receive) -> Receive:
    """A large body as an application receives it: piece by piece, on demand."""
    left = True

    async def receiving() -> Message:
        nonlocal left
        if not left or body.closed:
            return await receive()
        chunk = body.read(CHUNK)
        left = len(chunk) == CHUNK
        if not left:
            await receive()  # the empty body that stands for it
        return {"type": "http.request", "body": chunk, "more_body": left}

    return receiving


def factory(limits: Limits) -> type[HTTPFactory]:
    """What makes a connection of each client, in place of Daphne's own."""
    bound = type("Channel", (Channel,), {"limits": limits})

    class Factory(HTTPFactory):  # type: ignore[misc]
        protocol = bound

        def __init__(self, server: Any) -> None:
            super().__init__(server)
            if server.action_logger is not None:
                server.action_logger.stream = AccessStream(server.action_logger.stream)
            server.application = _in_step(server.application)
            self._create = server.create_application
            server.create_application = self._created

        def _created(self, protocol: Any, scope: Scope) -> Any:
            if isinstance(protocol, Request):
                scope[REQUEST] = protocol
            return self._create(protocol, scope)

        def buildProtocol(self, addr: Any) -> Any:
            protocol = super().buildProtocol(addr)
            protocol.requestFactory = Request
            return protocol

    return Factory


def _in_step(app: App) -> App:
    """The application, with large bodies on demand, and answers at its clients' pace."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = scope.pop(REQUEST, None)
        if request is None:
            await app(scope, receive, send)
            return
        channel = request.channel
        if request.on_disk is not None:
            receive = from_disk(request.on_disk, receive)

        async def sending(message: Message) -> None:
            await send(message)
            await channel.drained()

        await app(scope, receive, sending)

    return application
