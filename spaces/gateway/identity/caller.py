"""The caller of an event: the demo's own page or a program, and the parts of the request that are replayed to
the app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from queueing.identity import visitor
from queueing.protocols.caller import Caller
from queueing.store.keys import SpaceKeys
from spaces.gateway import page_tokens
from spaces.gateway.identity.visitor import account_of
from spaces.gateway.proxy import headers as head

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from queueing.routes import Route
    from spaces.gateway.proxy.http import Scope
    from spaces.gateway.request import SpaceRequest

REMEMBERED = 50_000
#: gradio_client before 2 breaks off all its jobs when one ends before its own POST was fully answered. Its
#: servers polled their queue every 50 ms, so it never met that; a delay of 0.2 s avoids it.
HASTY_CLIENT = re.compile(r"gradio_client/[01]\.")
END_DELAY_S = 0.2


class Callers:
    """One web process's knowledge of page tokens: each counts for the first session that uses it."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._sessions: dict[str, str] = {}

    async def of(self, request: SpaceRequest, scope: Scope, body: dict[str, Any]) -> Caller:
        """The caller of an event with this body."""
        session_hash = body.get("session_hash")
        page = isinstance(session_hash, str) and await self.is_page(request, session_hash)
        return await self.replay(request, scope, "page" if page else "api")

    async def is_page(self, request: SpaceRequest, session_hash: str) -> bool:
        """Whether this session belongs to a page that the gateway served."""
        if request.token is None or not request.token.of_page or not session_hash:
            return False
        nonce = request.token.nonce
        if nonce not in self._sessions:
            key = SpaceKeys(request.route.space_id).page(nonce)
            await self.redis.set(key, session_hash, nx=True, ex=page_tokens.AGE_S)
            if len(self._sessions) > REMEMBERED:
                self._sessions.clear()
            self._sessions[nonce] = (await self.redis.get(key) or b"").decode()
        return self._sessions[nonce] == session_hash

    async def is_used(self, token: page_tokens.PageToken, space_id: int) -> bool:
        """Whether some session has used this page token."""
        key = SpaceKeys(space_id).page(token.nonce)
        return token.nonce in self._sessions or bool(await self.redis.exists(key))

    async def replay(self, request: SpaceRequest, scope: Scope, origin: str = "api") -> Caller:
        """The parts of the visitor's request that the app gets when the event's turn comes."""
        agent = head.first(scope["headers"], "user-agent")
        key = head.first(scope["headers"], "idempotency-key")[:200]
        return Caller(
            headers=head.replayed(to_container(request, scope)),
            query=scope["query_string"].decode("latin-1"),
            origin=origin,
            visit=request.visit,
            visitor=visitor(
                # Taken for a stranger, a program that repeats its submit would have a second event.
                user_id=request.user_id or await account_of(scope, address=request.client, surely=bool(key)),
                # Only what is bound to one session: a copied token must not be a new visitor with each call.
                page=(request.visit or request.token.nonce) if origin == "page" and request.token else "",
                address=request.client,
            ),
            idempotency_key=key,
            end_delay_s=END_DELAY_S if HASTY_CLIENT.match(agent) else 0.0,
        )


def to_container(
    request: SpaceRequest, scope: Scope, *, token: str = ""
) -> dict[str, str]:  # none is a value
    """The headers a container gets with this request; `token` is one for a page about to be served. Beside
    the Gradio app, in the server that its author put around it, the public address is the host alone."""
    app = request.route.app
    inside = not app.mount or request.inner_path is not None
    token = token or (request.raw_token if request.token is not None else "")
    root = f"{request.host}{page_tokens.PREFIX}{token}" if token and inside and app.protocol else request.host
    headers = head.to_container(
        scope["headers"],
        request.door,
        host=f"{root}{app.mount}" if inside else root,
        scheme=request.scheme,
        client=request.client,
        root=root_of(request.route),
    )
    return {**headers, head.MARK: "1"} if request.route.sdk == "gradio" else headers


def root_of(route: Route) -> head.Root:
    """The header that carries the public address to the app, which differs between Gradio versions."""
    major, minor = route.app.release
    if major == 3:
        return "direct"
    return "host" if major == 4 and minor < 44 else "forwarded"
