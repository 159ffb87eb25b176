"""The gateway: finds the Space, checks rights, wakes it, queues or forwards. Plain ASGI, before Django.

Two ways in: a demo host, `<subdomain>.<demo domain>`, for browsers; and `/run/<owner>/<name>/…` on the
platform's host for programs, which never serves a page.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from hardware.replica_client import ReplicaError, Unreachable, target_of
from queueing.errors import QueueError, TooManyTokens
from queueing.events import encode
from queueing.identity import client_of
from queueing.routes import Route
from spaces.gateway import page_tokens, paths, status_pages
from spaces.gateway.context import EVENT_BYTES, GatewayContext
from spaces.gateway.gradio import pages
from spaces.gateway.gradio import websocket as gradio_websocket
from spaces.gateway.gradio.router import GradioRouter
from spaces.gateway.identity import caller, entry, page_rate_limit
from spaces.gateway.identity.visitor import account_of, visitor_of
from spaces.gateway.proxy import headers as head
from spaces.gateway.proxy import http, static_files, websocket
from spaces.gateway.proxy.door import Door
from spaces.gateway.proxy.http import Receive, Scope, Send
from spaces.gateway.queued_paths import QueuedPaths
from spaces.gateway.request import SpaceRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from queueing.protocols.context import WebContext

logger = logging.getLogger(__name__)

REQUEST = "spaceport.request"  # in a scope
NO_LONGER = 4404  # closes a websocket whose visitor may not see its Space any more


class Gateway:
    """One web process's gateway. `key` signs page tokens; a visitor who opens a private Space's own host is
    redirected to `platform_url` to be identified. `web`: shared with the websockets."""

    def __init__(
        self,
        web: Callable[[], WebContext],
        *,
        key: str,
        demo_domain: str,
        platform_url: str,
        proxies: int = 0,
        loads_per_minute: int = 0,
        upload_bytes: int = EVENT_BYTES,
        event_bytes: int = EVENT_BYTES,
    ) -> None:
        self._web = web
        self.event_bytes = event_bytes
        self.key = key
        self.platform_url = platform_url
        self.loads_per_minute = loads_per_minute
        self.upload_bytes = upload_bytes
        self.proxies = proxies  # of one's own, between visitors and this process
        self.demo_domain = demo_domain

    # Made on the running loop, at the first request.

    @functools.cached_property
    def context(self) -> GatewayContext:
        return GatewayContext(self._web(), self.event_bytes)

    @functools.cached_property
    def _queued_paths(self) -> QueuedPaths:
        return QueuedPaths(self.context)

    @functools.cached_property
    def _router(self) -> GradioRouter:
        return GradioRouter(self.context)

    def is_demo_host(self, host: str) -> bool:
        """Whether this Host header names a demo."""
        name = host.partition(":")[0].lower().rstrip(".")
        return name.endswith(f".{self.demo_domain}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, for as long as its visitor may have it."""
        is_demo_host = self.is_demo_host(head.first(scope["headers"], "host"))
        sends = http.with_head(send, head.with_referrer_policy) if is_demo_host else send
        try:
            request = await self._request_of(scope)
        except http.BadPath:
            await self._refuse(scope, receive, sends, 400, "This path is not allowed.")
            return
        except TooManyTokens as error:
            await self._refuse(scope, receive, sends, error.status, str(error))
            return
        if request is None:
            await self._refuse(scope, receive, sends, 404, "There is no such Space.")
            return
        if request.route.headers and not request.program:
            sends = http.with_headers(sends, request.route.headers)
        # The app never sees what the gateway put into its address.
        scope = {**scope, "query_string": page_tokens.own_query(scope["query_string"])}
        work = self._handle(request, scope, receive, sends)
        watched, viewer = self.context.watched, request.visitor.viewer
        with contextlib.suppress(http.HungUp):  # there is nobody to answer
            if not await watched.while_allowed(request.route.space_id, viewer, work):
                await self._break_off(scope, sends)

    async def largest_body(self, scope: Scope) -> int | None:
        """How many bytes a Space may be sent with this request: an event's, or an upload's; None where there
        is no such Space for its sender.

        Raises:
            RightsUnknown
        """
        try:
            request = await self._request_of(scope)
        except (http.BadPath, TooManyTokens):
            return None
        if request is None:
            return None
        return self.event_bytes if paths.runs(request.path, request.route.app) else self.upload_bytes

    async def _request_of(self, scope: Scope) -> SpaceRequest | None:
        """The request of this scope; parsed once, though `largest_body` comes before it is served."""
        request: SpaceRequest | None = scope.get(REQUEST) or await self._parse(scope)
        scope[REQUEST] = request
        return request

    async def _parse(self, scope: Scope) -> SpaceRequest | None:
        host = head.first(scope["headers"], "host")
        path = http.checked(scope["path"])
        program = not self.is_demo_host(host)
        if program:
            parts = path.split("/", 4)
            if len(parts) < 4:
                return None
            route = await self.context.routes.by_name(parts[2], parts[3])
            path = f"/{parts[4]}" if len(parts) > 4 else "/"
        else:
            label = self._label(host)
            route = await self.context.routes.by_host(label) if label else None
        if route is None:
            return None
        prefix = f"/run/{route.owner}/{route.name}" if program else ""
        raw_token, path = ("", path) if program else page_tokens.split(path, route.app.mount)
        token = page_tokens.verify(self.key, route.space_id, raw_token) if raw_token else None
        client = client_of(scope["headers"], (scope.get("client") or ("", 0))[0], self.proxies)
        visitor = await visitor_of(self.context.watched, route, scope, token, self.key, program=program)
        if visitor is None:
            await account_of(scope, address=client)
            return None
        route = paths.routed(route, path)
        route = await self.context.places.choose(route, scope, path, visit=visitor.visit, client=client)
        secure = self._is_secure(scope)
        return SpaceRequest(
            route=route,
            path=path,
            host=f"{host}{prefix}",
            scheme="https" if secure else "http",
            client=client,
            program=program,
            token=token,
            raw_token=raw_token,
            visitor=visitor,
            door=Door(
                space_id=route.space_id,
                host=host,
                path=prefix,
                at=path,
                token=f"{page_tokens.PREFIX}{raw_token}" if token is not None else "",
                private=route.private,
                # A browser comes to a demo's host as it comes to the platform.
                secure=secure or (not program and self.platform_url.startswith("https://")),
                browser=program and head.is_browser(scope["headers"], secure=secure),
                third_party=head.first(scope["headers"], "sec-fetch-storage-access") in {"none", "inactive"},
            ),
        )

    def _is_secure(self, scope: Scope) -> bool:
        """Whether the visitor came by https, according to the connection or our outermost proxy."""
        forwarded = head.first(scope["headers"], "x-forwarded-proto") if self.proxies else ""
        return scope.get("scheme") in ("https", "wss") or forwarded.strip().lower() in ("https", "wss")

    async def _break_off(self, scope: Scope, send: Send) -> None:
        """End what was begun before its visitor lost the right to it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": NO_LONGER})
            return
        try:
            await send({"type": "http.response.body", "body": b""})
        except (RuntimeError, ValueError):  # nothing was sent yet
            await self._error(send, 404, "There is no such Space.")

    def _label(self, host: str) -> str:
        """The one label below the demo domain that names a Space; "" where there are more."""
        name = host.partition(":")[0].lower().rstrip(".").removesuffix(f".{self.demo_domain}")
        return "" if "." in name else name

    async def _handle(self, request: SpaceRequest, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(request, scope, receive, send)
        elif first := entry.redirection(request, scope, self.key):
            where, cookie = first
            await http.see_other(send, where, cookie)
        else:
            await self._http(request, scope, receive, send)

    # --- http ---------------------------------------------------------------------------------------

    async def _http(self, request: SpaceRequest, scope: Scope, receive: Receive, send: Send) -> None:
        route = request.route
        if route.sdk == "static":
            if request.program:
                await self._refuse(scope, receive, send, 404, "A static Space has a page only.")
                return
            await self.context.visited(route)
            await static_files.send_file(route, request.path, request.client, scope, receive, send)
            return
        try:
            if route.app.paths and await self._queued_paths.handle(request, scope, receive, send):
                return
            if await self._router.handle(request, scope, receive, send):
                return
        except QueueError as error:
            await self._error(send, error.status, str(error), retry_after_s=5 if error.status == 503 else 0)
            return
        except http.TooLarge as error:
            await self._error(send, 413, str(error))
            return
        except ReplicaError as error:
            await self._failed(request, route, scope, receive, send, error)
            return
        if not route.address:
            route = paths.routed(await self.context.running(route), request.path)
            if route.address:
                # Only now are the app's functions known, and so what has to queue.
                await self._http(replace(request, route=route), scope, receive, send)
                return
        if not route.address:
            await self._not_running(request, route, scope, send)
            return
        await self._forward(request, route, scope, receive, send)

    async def _forward(
        self, request: SpaceRequest, route: Route, scope: Scope, receive: Receive, send: Send
    ) -> None:
        page = entry.is_page(request, scope)
        if page or entry.is_home(request, scope):
            await self.context.visited(route)
        if not page and route.app.home and entry.is_home(request, scope):
            await http.redirect(send, f"{route.app.home}?{scope['query_string'].decode('latin-1')}")
            return
        token = ""
        if page and not request.program and not await self._is_fresh(request):
            if wait_s := await self._too_many(request):
                await self._later(send, wait_s)
                return
            user_id = request.user_id or 0
            token = page_tokens.make(self.key, route.space_id, visit=request.visit, user_id=user_id)
            if entry.stays_under_token(request):
                where = target_of(f"{page_tokens.PREFIX}{token}{request.path}", scope["query_string"])
                await http.redirect(send, where)
                return
        elsewhere = bool(token) and request.inner_path != "/"
        headers = caller.to_container(request, scope, token="" if elsewhere else token)
        changes = [pages.with_token(token)] if elsewhere else []
        if page and entry.in_a_frame(scope):
            changes.append(pages.with_storage())
        if changes:
            headers["accept-encoding"] = "identity"
        path = paths.in_container(request.route.app, request.path, request.inner_path)
        length = head.first(scope["headers"], "content-length")
        has_body = bool(length and length != "0") or bool(head.first(scope["headers"], "transfer-encoding"))
        if has_body and length:
            headers["content-length"] = length
        target = target_of(path, scope["query_string"])
        door = replace(request.door, page=page)

        async def send_to(address: str) -> None:
            await http.forward(
                self.context.http, scope, receive, send, address=address, target=target, headers=headers,
                door=door, has_body=has_body, changes=changes,
            )  # fmt: skip

        try:
            await self.context.places.forward(request, route, scope, target, headers, send_to)
        except ReplicaError as error:
            await self._failed(request, route, scope, receive, send, error)

    async def _failed(
        self,
        request: SpaceRequest,
        route: Route,
        scope: Scope,
        receive: Receive,
        send: Send,
        error: ReplicaError,
    ) -> None:
        """The container gave no answer that can be passed on."""
        logger.info("space %s does not answer: %s", route.space_id, error)
        if isinstance(error, Unreachable):
            await self._not_running(request, route, scope, send)
        else:
            await self._refuse(scope, receive, send, 502, str(error))

    async def _too_many(self, request: SpaceRequest) -> int:
        wait_s = await page_rate_limit.retry_after_s(
            self.context.redis, self.loads_per_minute, user_id=request.user_id, address=request.client
        )
        return math.ceil(wait_s)

    @staticmethod
    async def _later(send: Send, wait_s: int) -> None:
        body = await status_pages.too_many(wait_s)
        extra = ((b"retry-after", str(wait_s).encode()),)
        await http.respond(send, 429, body, "text/html; charset=utf-8", extra)

    async def _is_fresh(self, request: SpaceRequest) -> bool:
        """Whether the page has come with a token that no session has used yet."""
        token = request.token
        if token is None or not token.of_page:
            return False
        return not await self.context.callers.is_used(token, request.route.space_id)

    async def _not_running(self, request: SpaceRequest, route: Route, scope: Scope, send: Send) -> None:
        if request.program or not head.wants_page(scope["headers"]):
            text = status_pages.sentence(route)
            await self._error(send, 503, text, retry_after_s=5)
            return
        body = await status_pages.page(route)
        await http.respond(send, 503, body, "text/html; charset=utf-8", ((b"retry-after", b"5"),))

    # --- websockets ---------------------------------------------------------------------------------

    async def _websocket(self, request: SpaceRequest, scope: Scope, receive: Receive, send: Send) -> None:
        if await gradio_websocket.handle(self.context, request, scope, receive, send):
            return
        if not request.route.address:
            route = paths.routed(await self.context.running(request.route), request.path)
            if route.address:
                await self._websocket(replace(request, route=route), scope, receive, send)
                return
            await receive()
            await send({"type": "websocket.close", "code": 1013})
            return
        headers = caller.to_container(request, scope)
        target = target_of(request.path, scope["query_string"])
        await websocket.forward(
            self.context.http,
            scope,
            receive,
            send,
            address=request.route.address,
            target=target,
            headers=headers,
        )

    # --- refusals -----------------------------------------------------------------------------------

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4000 + status})
            return
        host = head.first(scope["headers"], "host")
        label = self._label(host) if status == 404 and self.is_demo_host(host) else ""
        enter = entry.by_platform(self.platform_url, label, scope) if label else ""
        if enter and entry.in_a_tab(scope):
            await http.see_other(send, enter)
        elif head.wants_page(scope["headers"]):
            body = await status_pages.refusal(status, text, enter)
            await http.respond(send, status, body, "text/html; charset=utf-8")
        else:
            await self._error(send, status, text)

    @staticmethod
    async def _error(send: Send, status: int, text: str, *, retry_after_s: int = 0) -> None:
        extra = ((b"retry-after", str(retry_after_s).encode()),) if retry_after_s else ()
        await http.respond(send, status, encode({"detail": text, "error": text}), "application/json", extra)
