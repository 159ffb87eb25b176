"""Which replica of its Space a request goes to, where several serve. A Gradio app keeps sessions in its
process and files on its disk: a request goes where its session is pinned (`SpaceKeys.pin`), one without a
session where its visitor's last session is, and a stranger's to a replica that the network address names."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from hardware.replica_client import ReplicaError, Unreachable
from queueing.events import session_key
from queueing.store.keys import SpaceKeys
from spaces.gateway import paths
from spaces.gateway.identity.caller import to_container
from spaces.gateway.proxy.files import NOT_HERE, Files, named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio import Redis

    from hardware.replica_client import ReplicaClient
    from queueing.protocols.caller import Caller
    from queueing.routes import App, Place, Route
    from spaces.gateway.proxy.http import Scope
    from spaces.gateway.request import SpaceRequest

DAY_S = 24 * 3600
HEAD_S = 10.0
#: Paths below a Gradio app that name a session, and those of files.
_SESSION = re.compile(r"/(?P<what>heartbeat|stream)/(?P<session>[^/]{1,200})(/.+)?")
_FILE = re.compile(r"/file[=/].+")
READS = {"GET", "HEAD"}


@dataclass(frozen=True)
class Places:
    """Chooses for one web process."""

    redis: Redis
    http: ReplicaClient

    async def choose(self, route: Route, scope: Scope, path: str, *, visit: str, client: str) -> Route:
        """The route by way of the replica that this request goes to."""
        if not route.others:
            return route
        inner = (paths.inner(path, route.app) or "") if route.app.protocol else ""
        found = _SESSION.fullmatch(inner)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        session = found["session"] if found else query.get("session_hash", [""])[0]
        keys = SpaceKeys(route.space_id)
        visitor = keys.last_session(session_key(visit or client))
        if session:
            begins = found is not None and found["what"] == "heartbeat"
            return await self._of_session(route, session_key(session), client, visitor if begins else "")
        last = await self.redis.get(visitor)
        pinned = await self._pinned(route, last.decode()) if last else None
        return pinned or by_name(route, client)

    async def of_session(self, request: SpaceRequest, body: dict[str, Any]) -> SpaceRequest:
        """The request by way of the replica that has its body's session."""
        session = body.get("session_hash")
        if not request.route.others or not isinstance(session, str) or not session:
            return request
        pinned = await self._pinned(request.route, session_key(session))
        return replace(request, route=pinned) if pinned else request

    async def _of_session(self, route: Route, session: str, client: str, visitor: str) -> Route:
        """`visitor`: the key of the one whose session begins with this request; "": it does not."""
        if pinned := await self._pinned(route, session):
            return pinned
        chosen = by_name(route, client if is_locked(route.app) else session)
        if visitor:
            await self.redis.set(SpaceKeys(route.space_id).pin(session), chosen.replica_id, ex=DAY_S)
            await self.redis.set(visitor, session, ex=DAY_S)
        return chosen

    async def _pinned(self, route: Route, session: str) -> Route | None:
        replica = await self.redis.get(SpaceKeys(route.space_id).pin(session))
        return route.at(int(replica)) if replica else None

    # --- joins --------------------------------------------------------------------------------------

    async def settled(
        self, request: SpaceRequest, scope: Scope, body: dict[str, Any], caller: Caller
    ) -> Caller:
        """The caller of an event, with the replica where its session has to begin. Files that it names are
        brought to where its session is."""
        route = request.route
        if not route.others:
            return caller
        raw = body.get("session_hash")
        session = session_key(raw) if isinstance(raw, str) else ""
        if session:
            visitor = SpaceKeys(route.space_id).last_session(session_key(request.visit or request.client))
            await self.redis.set(visitor, session, ex=DAY_S)
        pinned = await self._pinned(route, session) if session else None
        if pinned is None and is_locked(route.app):
            pinned = by_name(route, request.client)
        uploads = named(body.get("data"))
        if uploads:
            headers = to_container(request, scope)
            files = Files(self.http, route.app.prefix, headers)
            if pinned is None:
                pinned = route.at(await files.where(uploads[0].path, route.places)) or route
            for upload in uploads:
                await files.bring(upload, pinned.places)
        return replace(caller, home=str(pinned.replica_id)) if pinned else caller

    # --- what is passed on --------------------------------------------------------------------------

    async def forward(
        self,
        request: SpaceRequest,
        route: Route,
        scope: Scope,
        target: str,
        headers: dict[str, str],
        send: Callable[[str], Awaitable[None]],
    ) -> None:
        """Have the request sent to the best address that is reached.

        Raises:
            ReplicaError, and what `send` raises
        """
        *firsts, last = await self._addresses(request, route, scope, target, headers)
        for address in firsts:
            with suppress(Unreachable):
                await send(address)
                return
        await send(last)

    async def _addresses(
        self, request: SpaceRequest, route: Route, scope: Scope, target: str, headers: dict[str, str]
    ) -> list[str]:
        """Where to send this request: the next one where the one before is not reached. A file may lie on
        any of them."""
        if not route.others or scope["method"] not in READS:
            return [route.address]
        places = list(route.places)
        if _FILE.fullmatch(request.inner_path or ""):
            places = await self._with_file(places, target, headers)
        return [place.address for place in places]

    async def _with_file(self, places: list[Place], target: str, headers: dict[str, str]) -> list[Place]:
        for place in places:
            with suppress(ReplicaError):
                async with self.http.send(
                    "HEAD", place.address, target, headers=headers, total_s=HEAD_S
                ) as reply:
                    if reply.status not in NOT_HERE:
                        return [place]
        return places


def by_name(route: Route, name: str) -> Route:
    """A replica for this name: the same one while it serves, whichever others come and go."""
    chosen = max(route.places, key=lambda place: _weight(place.replica_id, name))
    return route.at(chosen.replica_id) or route


def home_of_files(route: Route, data: Any, address: str) -> str:
    """The replica where a program's uploads are, if this data names some and several serve; else ""."""
    return str(by_name(route, address).replica_id) if route.others and named(data) else ""


def _weight(replica_id: int, name: str) -> bytes:
    return hashlib.blake2b(f"{replica_id} {name}".encode(), digest_size=8).digest()


def is_locked(app: App) -> bool:
    """Whether it asks for a password: who gave it to one replica is a stranger to the others."""
    return bool(app.protocol) and not app.functions
