"""The caller of an event: the demo's own page or a program, and what of the request is replayed to the
app."""

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
#: servers looked into their queue every 50 ms, so it never met that; a fifth of a second keeps it from it.
HASTY_CLIENT = re.compile(r"gradio_client/[01]\.")
END_DELAY_S = 0.2


class Callers:
    """One web process's knowledge of page tokens: each counts for the first session that uses it."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._sessions: dict[str, str] = {}

    async def of(self, asked: SpaceRequest, scope: Scope, body: dict[str, Any]) -> Caller:
        """The caller of an event with this body."""
        session_hash = body.get("session_hash")
        page = isinstance(session_hash, str) and await self.is_page(asked, session_hash)
        return await self.replay(asked, scope, "page" if page else "api")

    async def is_page(self, asked: SpaceRequest, session_hash: str) -> bool:
        """Whether this session belongs to a page that the gateway served."""
        if asked.token is None or not asked.token.of_page or not session_hash:
            return False
        nonce = asked.token.nonce
        if nonce not in self._sessions:
            key = SpaceKeys(asked.route.space_id).page(nonce)
            await self.redis.set(key, session_hash, nx=True, ex=page_tokens.AGE_S)
            if len(self._sessions) > REMEMBERED:
                self._sessions.clear()
            self._sessions[nonce] = (await self.redis.get(key) or b"").decode()
        return self._sessions[nonce] == session_hash

    async def is_used(self, token: page_tokens.PageToken, space_id: int) -> bool:
        """Whether some session has used this page token."""
        key = SpaceKeys(space_id).page(token.nonce)
        return token.nonce in self._sessions or bool(await self.redis.exists(key))

    async def replay(self, asked: SpaceRequest, scope: Scope, origin: str = "api") -> Caller:
        """What the app will get of the visitor's request when the event's turn comes."""
        agent = head.first(scope["headers"], "user-agent")
        key = head.first(scope["headers"], "idempotency-key")[:200]
        return Caller(
            headers=head.replayed(to_container(asked, scope)),
            query=scope["query_string"].decode("latin-1"),
            origin=origin,
            visit=asked.visit,
            visitor=visitor(
                # Taken for a stranger, a program that repeats its submit would have a second event.
                user_id=asked.user_id or await account_of(scope, address=asked.client, surely=bool(key)),
                # Only what is bound to one session: a copied token must not be a new visitor with each call.
                page=(asked.visit or asked.token.nonce) if origin == "page" and asked.token else "",
                address=asked.client,
            ),
            idempotency_key=key,
            end_delay_s=END_DELAY_S if HASTY_CLIENT.match(agent) else 0.0,
        )


def to_container(asked: SpaceRequest, scope: Scope, *, token: str = "") -> dict[str, str]:  # none is a value
    """The headers a container gets with this request; `token` is one for a page about to be served. Beside
    the Gradio app, in the server that its author put around it, the public address is the host alone."""
    app = asked.route.app
    inside = not app.mount or asked.inner_path is not None
    token = token or (asked.raw_token if asked.token is not None else "")
    root = f"{asked.host}{page_tokens.PREFIX}{token}" if token and inside and app.protocol else asked.host
    headers = head.to_container(
        scope["headers"],
        asked.door,
        host=f"{root}{app.mount}" if inside else root,
        scheme=asked.scheme,
        client=asked.client,
        root=root_of(asked.route),
    )
    return {**headers, head.MARK: "1"} if asked.route.sdk == "gradio" else headers


def root_of(route: Route) -> head.Root:
    """The header that carries the public address to the app, which differs between Gradio versions."""
    major, minor = route.app.release
    if major == 3:
        return "direct"
    return "host" if major == 4 and minor < 44 else "forwarded"
