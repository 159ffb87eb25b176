"""The requests of a Gradio app that do not go straight to its container: those that queue, listen, cancel."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from infra.json_bodies import BadJson, parse_object
from queueing.errors import ApiClosed, BadRequest, NoSuchPath
from queueing.events import Accepted, encode
from queueing.protocols.gradio_stream import HEARTBEAT_S
from spaces.gateway import paths
from spaces.gateway.gradio import info, kept, made, mcp
from spaces.gateway.identity import caller as callers
from spaces.gateway.proxy import headers as head
from spaces.gateway.proxy import http
from spaces.gateway.request import query_of
from spaces.models import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from spaces.gateway.context import GatewayContext
    from spaces.gateway.proxy.http import Receive, Scope, Send
    from spaces.gateway.request import SpaceRequest

    Handler = Callable[[SpaceRequest, re.Match[str], Scope, Receive, Send], Awaitable[bool]]
    Change = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]

CHUNK_S = 60.0
CHUNK_ANSWER_BYTES = 1024 * 1024
CONFIG_S = 60.0
TAIL_BYTES = 64
#: What a program may still send while the API is closed: the app's own password form.
WITHOUT_API = {"/login", "/login/"}
READS = {"GET", "HEAD"}
#: gradio_client has one stream for all its sessions: after `reset_session()` it takes the old session's,
#: while that is open, for the new one's.
ONE_STREAM = re.compile(r"gradio_client/")


class GradioRouter:
    """Picks the handler of a Gradio request."""

    def __init__(self, context: GatewayContext) -> None:
        self.context = context
        self._table: list[tuple[str, re.Pattern[str], Handler]] = [
            ("POST", re.compile(r"/queue/join"), self._join),
            ("GET", re.compile(r"/queue/data"), self._data),
            ("POST", re.compile(r"/cancel"), self._cancel),
            ("POST", re.compile(r"/reset"), self._reset),
            ("POST", re.compile(r"/stream/(?P<event>[^/]+)(?P<close>/close)?"), self._chunk),
            ("GET", re.compile(r"/call/(?:v2/)?(?P<name>.+)/(?P<event>[^/]+)"), self._call_data),
            ("POST", re.compile(r"/call/(?P<v2>v2/)?(?P<name>.+)"), self._call),
            ("POST", re.compile(r"/(?:run|api)/(?P<name>.+)"), self._run),
            ("GET", re.compile(r"/config"), self._config),
            ("GET", re.compile(r"/info/?"), self._info),
            ("GET", re.compile(r"/heartbeat/[^/]+"), self._heartbeat),
        ]

    async def handle(self, request: SpaceRequest, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a request that is the queue's; False for all others.

        Raises:
            QueueError, http.TooLarge
        Unreachable, BadAnswer: the app did not answer, or broke the protocol.
        """
        app = request.route.app
        if paths.is_own(scope["method"], request.path, app):
            return False
        path = request.inner_path if app.protocol else None
        if self._passes_by(request, path):
            raise NoSuchPath
        if not app.protocol:
            return False
        for method, pattern, handler in self._table:
            if path and scope["method"] == method and (match := pattern.fullmatch(path)):
                return await handler(request, match, scope, receive, send)
        if scope["method"] == "OPTIONS":
            return False
        if path is not None and paths.is_mcp(path):
            return await mcp.handle(self.context, request, scope, receive, send)
        if paths.runs(request.path, app):
            raise NoSuchPath
        if path is None and not paths.of_another(request.path, app):
            return False  # the author's own server, around the app
        reads = scope["method"] in READS and not (path is None and paths.runs_in_another(request.path, app))
        if not reads and path not in WITHOUT_API and await self.context.closed_for(request):
            raise ApiClosed
        return False

    @staticmethod
    def _passes_by(request: SpaceRequest, path: str | None) -> bool:
        """Whether this would run a function of an unknown app that guards none. While no app runs, this is
        decided again once one does."""
        app = request.route.app
        if not request.route.address:
            return False
        unknown = request.route.sdk == "gradio" and not app.guarded and path is None
        return unknown and not paths.of_another(request.path, app) and paths.runs_somewhere(request.path)

    # --- one request --------------------------------------------------------------------------------

    async def _join(self, request: SpaceRequest, _: Any, scope: Scope, receive: Receive, send: Send) -> bool:
        body = await self._body(receive)
        request = await self.context.places.of_session(request, body)
        caller = await self.context.caller_of(request, scope, body)
        group = await made.group(self.context.http, request, body)
        accepted = await self.context.gradio.join(request.route, body, caller, group=group)
        await self.context.visited(request.route)
        await _joined(send, accepted)
        return True

    async def _data(self, request: SpaceRequest, _: Any, scope: Scope, receive: Receive, send: Send) -> bool:
        session_hash = query_of(scope).get("session_hash", "")
        may_keep = not ONE_STREAM.match(head.first(scope["headers"], "user-agent"))
        await http.stream(
            send, receive, self.context.gradio.data(request.route, session_hash, may_keep=may_keep)
        )
        return True

    async def _cancel(
        self, request: SpaceRequest, _: Any, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        await self.context.gradio.cancel(request.route, await self._body(receive))
        await http.respond(send, 200, b'{"success":true}', "application/json")
        return True

    async def _reset(self, request: SpaceRequest, _: Any, scope: Scope, receive: Receive, send: Send) -> bool:
        await self.context.gradio.reset(request.route, await self._body(receive))
        await http.respond(send, 200, b'{"success":true}', "application/json")
        return True

    async def _chunk(
        self, request: SpaceRequest, match: re.Match[str], scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """An input chunk of a `.stream()` event: straight to the app, under the app's own id."""
        app_id, there = await self.context.gradio.app_event_id(request.route, match["event"])
        raw = await http.read_body(receive, self.context.event_bytes)
        path = f"{request.route.app.prefix}/stream/{app_id}{match['close'] or ''}"
        sent = self.context.http.request(
            "POST", there.address, path,
            headers={"content-type": "application/json"}, data=raw, total_s=CHUNK_S,
        )  # fmt: skip
        async with sent as reply:
            await http.respond(send, reply.status, await reply.read(CHUNK_ANSWER_BYTES), reply.content_type)
        return True

    async def _call(
        self, request: SpaceRequest, match: re.Match[str], scope: Scope, receive: Receive, send: Send
    ) -> bool:
        body = await self._body(receive)
        if match["v2"]:
            if await self.context.closed_for(request):  # before the names are loaded from the app
                raise ApiClosed
            body = {"data": await info.in_order(self.context.http, request, match["name"], body)}
        caller = await self.context.callers.replay(request, scope)
        caller = await self.context.places.settled(request, scope, body, caller)
        accepted = await self.context.gradio.call(request.route, match["name"], body, caller)
        await self.context.visited(request.route)
        await _joined(send, accepted)
        return True

    async def _call_data(
        self, request: SpaceRequest, match: re.Match[str], scope: Scope, receive: Receive, send: Send
    ) -> bool:
        await self.context.gradio.channel_of(request.route, match["event"])
        await http.stream(send, receive, self.context.gradio.call_data(request.route, match["event"]))
        return True

    async def _run(
        self, request: SpaceRequest, match: re.Match[str], scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """A direct run. Unqueued functions of the page go straight to the app, with its queue's leave."""
        body = await self._body(receive)
        request = await self.context.places.of_session(request, body)
        caller = await self.context.caller_of(request, scope, body)
        function = self.context.gradio.runs_directly(request.route, match["name"], body)
        if function is None:
            function = await made.function(self.context.http, request, match["name"], body)
        session_hash = body.get("session_hash")
        if function is not None and function.cancels and isinstance(session_hash, str):
            await self.context.gradio.cancel_functions(request.route, session_hash, function.cancels)
        if function is None:
            await http.respond(send, 404, b'{"detail":"This app has no such function."}', "application/json")
            return True
        status, output = await self.context.gradio.run(request.route, function, body, caller)
        await http.respond(send, status, encode(output), "application/json")
        return True

    async def _config(
        self, request: SpaceRequest, _: Any, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """Apps before 5.0 do not send their prefix; newer clients then expect it at the host's root."""
        app = request.route.app
        change = None if app.prefix.endswith(paths.PREFIX) else _with_prefix
        if not request.route.address:
            return await self._kept("config", request, scope, receive, send, change)
        if change is None:
            return False
        call = self.context.http.request(
            "GET", request.route.address, f"{app.mount}/config",
            query=scope["query_string"], headers=callers.to_container(request, scope), total_s=CONFIG_S,
        )  # fmt: skip
        async with call as reply:
            chunks = change(reply.chunks()) if reply.status == 200 else reply.chunks()
            await http.pass_on(send, receive, reply.status, chunks, "application/json")
        return True

    async def _info(self, request: SpaceRequest, _: Any, scope: Scope, receive: Receive, send: Send) -> bool:
        if not request.route.address:
            return await self._kept("info", request, scope, receive, send)
        async with info.for_visitor(self.context.http, request, scope) as reply:
            chunks = info.rewritten(reply.chunks(), request)
            await http.pass_on(send, receive, reply.status, chunks, "application/json")
        return True

    async def _kept(
        self,
        what: kept.What,
        request: SpaceRequest,
        scope: Scope,
        receive: Receive,
        send: Send,
        change: Change | None = None,
    ) -> bool:
        """The app's last known answer; clients give up long before a slow start has ended."""
        chunks = await kept.read(self.context.redis, request.route, what, scope["query_string"])
        if chunks is None:
            return False
        if request.route.stage == Stage.SLEEPING:
            await self.context.web.wakeup.wake(request.route)
        chunks = info.rewritten(change(chunks) if change else chunks, request)
        await http.pass_on(send, receive, 200, chunks, "application/json")
        return True

    async def _heartbeat(
        self, request: SpaceRequest, _: Any, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """The app runs what is bound to `unload` when a heartbeat ends, so a closed API's programs get one of
        ours: refused, older clients would request it again and again."""
        if not await self.context.closed_for(request):
            return False
        await http.stream(send, receive, _alive())
        return True

    # --- parsing a request --------------------------------------------------------------------------

    async def _body(self, receive: Receive) -> dict[str, Any]:
        raw = await http.read_body(receive, self.context.event_bytes)
        try:
            return parse_object(raw or b"{}", "body")
        except BadJson as error:
            raise BadRequest(str(error)) from error


async def _with_prefix(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A configuration as it comes, with the prefix of its API added; of repeated names the last counts."""
    front, end = b'{"connect_heartbeat":false', b',"api_prefix":"%s"}' % paths.PREFIX.encode()
    begun, buffered = False, b""
    async for chunk in chunks:
        buffered += chunk
        found = buffered.lstrip()
        if not begun and (rest := found[1:].lstrip()):
            begun = True
            if found.startswith(b"{"):
                buffered = front + (b"" if rest.startswith(b"}") else b",") + rest
        yield buffered[:-TAIL_BYTES]
        buffered = buffered[-TAIL_BYTES:]
    last = buffered.rstrip()
    yield last[:-1] + end if last.endswith(b"}") else buffered


async def _alive() -> AsyncIterator[bytes]:
    while True:
        yield b"data: ALIVE\n\n"
        await asyncio.sleep(HEARTBEAT_S)


async def _joined(send: Send, accepted: Accepted) -> None:
    """The answer to a join; one repeated by its key gets the same event."""
    headers = ((b"idempotent-replayed", b"true"),) if accepted.replayed else ()
    await http.respond(
        send, 200, encode({"event_id": accepted.event_id}), "application/json", headers=headers
    )
