"""Where a Space runs and what its app offers: one JSON value per Space in Redis, written when it changes,
cached until then by every process that sends visitors there."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs
from redis.exceptions import RedisError

from queueing.store import keys
from queueing.store.keys import SpaceKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis

CACHE_S = 1.0  # where the news of a publication were lost
RETRY_S = 0.2
NEVER = float("-inf")
#: What a request to an app's MCP server has for the function of its event: it may run any.
MCP = 1_000_000
#: Events of a server's further Gradio apps have this much added to the numbers of their functions, for each.
SPREAD = 10_000_000
#: The group of functions that a page makes later (`gr.render`), and of requests to the MCP server that name
#: no function known here.
RENDERED, MCP_GROUP = "~", "mcp"


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One function of a Gradio app, from its `/config` (`dependencies`)."""

    id: int
    api_name: str = ""
    queue: bool = True
    batch: bool = False
    max_batch_size: int = 4
    generator: bool = False
    streams: bool = False  # takes input chunks (`.stream()`)
    lane: str = "main"
    tool: str = ""  # its name in the app's MCP server
    group: str = ""  # whose limit and line it shares (`queueing.groups`); "": that of functions without one
    after: int | None = None  # the function whose end starts this one
    cancels: tuple[int, ...] = ()


def path_fn(index: int) -> int:
    """The function number of the queued path at this index of `App.paths`: below those of Gradio."""
    return -1 - index


def is_path(fn: str) -> bool:
    """Whether an event of this function is a request to a queued path."""
    return fn.startswith("-")


class App(msgspec.Struct, frozen=True, kw_only=True):
    """A Gradio app's description of itself; empty for other apps and for apps behind a password. `paths` are
    those of any app in a Docker Space whose requests queue, as its card names them."""

    protocol: str = ""  # "" for an app that is not Gradio's
    version: str = ""
    prefix: str = ""  # what its API's paths begin with: `mount`, then "/gradio_api" from 5.0 on
    mount: str = ""  # where the app lies in its server, "" for the root
    number: int = 0  # of the Gradio apps in its server, which one
    mounted: tuple[App, ...] = ()  # the others in the same server
    others: tuple[str, ...] = ()  # where more lie that do not queue, for their launcher is an older one
    own: tuple[str, ...] = ()  # paths of the author's: "METHOD /path/{part}/{rest:path}"
    guarded: bool = False  # whether the app itself lets only the platform run its functions
    home: str = ""  # what to open instead of "/", where the server has nothing there
    pages: tuple[str, ...] = ("",)
    functions: tuple[Function, ...] = ()
    paths: tuple[str, ...] = ()
    grouped: bool = False  # whether its launcher reports which functions share a limit
    gate: bool = False  # whether its launcher delays calls beyond their group's limit

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version; (0, 0) where it is not known."""
        numbers = [int(n) for n in re.findall(r"\d+", self.version)[:2]]
        return (numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0)

    def function(self, fn_index: int) -> Function | None:
        """The function of this id, or of this number of an event; None for those that are made later
        (`gr.render`)."""
        number, own = divmod(fn_index, SPREAD) if fn_index >= SPREAD else (self.number, fn_index)
        app = next((app for app in (self, *self.mounted) if app.number == number), None)
        return next((f for f in app.functions if f.id == own), None) if app is not None else None

    def fn(self, fn_index: int) -> int:
        """The number that events of this app's function have in the Space's queue."""
        return fn_index + self.number * SPREAD

    def every(self) -> dict[str, Function]:
        """All functions of the Space, by their number in its queue."""
        return {str(app.fn(f.id)): f for app in (self, *self.mounted) for f in app.functions}

    def at(self, mount: str) -> App:
        """The app in the same server that lies there, with this one among the others."""
        apps = (structs.replace(self, mounted=()), *self.mounted)
        found = next(app for app in apps if app.mount == mount)
        return structs.replace(found, mounted=tuple(app for app in apps if app is not found))

    def group(self, fn_index: int, function: Function | None, body: Mapping[str, Any]) -> str:
        """Whose line an event of this function joins; `body` as the app takes it."""
        if function is not None:
            return function.group
        if not self.grouped or fn_index < 0:
            return ""
        return _mcp_group(self, body) if fn_index == MCP else RENDERED

    def takes_as_long_as(self, group: str) -> str:
        """The number of a function in this group: how long one takes that was made later in it."""
        return next((number for number, one in self.every().items() if one.group == group), "")

    def named(self, api_name: str) -> Function | None:
        """The function of this API name, with or without its slash."""
        return next((f for f in self.functions if f.api_name == api_name.strip("/")), None)


def _mcp_group(app: App, body: Mapping[str, Any]) -> str:
    """That of the tool's function."""
    declared = body.get("mcp")
    params = declared.get("params") if isinstance(declared, dict) else None
    tool = params.get("name") if isinstance(params, dict) else None
    return next((one.group for one in app.functions if one.group and tool and one.tool == tool), MCP_GROUP)


class Place(msgspec.Struct, frozen=True):
    """A replica that visitors are sent to."""

    replica_id: int
    address: str
    celery_queue: str  # where drain hints for it go


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One Space as the gateway and the dispatcher see it, by way of one of its replicas."""

    space_id: int
    owner: str
    name: str
    owner_id: int
    subdomain: str
    sdk: str
    private: bool
    stage: str
    sha: str = ""
    app_file: str = ""
    headers: tuple[tuple[str, str], ...] = ()  # of every answer on its own host, by its card
    replica_id: int = 0  # 0: none runs
    address: str = ""
    celery_queue: str = ""  # where drain hints for this replica go
    others: tuple[Place, ...] = ()  # that serve beside it
    coming: tuple[int, ...] = ()  # replicas that are to serve too and cannot be called yet, or not now
    awaits: str = ""  # why it cannot start yet, where no machine of its kind is up
    app: App = App()

    @property
    def title(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def place(self) -> tuple[int, str]:
        """Where its visitors are sent: the replica, and the address that this has now."""
        return self.replica_id, self.address

    @property
    def places(self) -> tuple[Place, ...]:
        """Every replica that serves."""
        if not self.address:
            return ()
        return (Place(self.replica_id, self.address, self.celery_queue), *self.others)

    def at(self, replica_id: int) -> Route | None:
        """The same Space by way of another replica; None where that one does not serve."""
        found = next((place for place in self.places if place.replica_id == replica_id), None)
        if found is None or replica_id == self.replica_id:
            return self if found is not None else None
        return structs.replace(
            self,
            replica_id=found.replica_id,
            address=found.address,
            celery_queue=found.celery_queue,
            others=tuple(place for place in self.places if place != found),
        )

    @property
    def stopped(self) -> bool:
        """Whether the Space is stopped on purpose: neither crashed nor starting."""
        return self.stage in ("PAUSED", "SLEEPING", "STOPPED", "DELETING")


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Route)


def encode(route: Route) -> bytes:
    return _encoder.encode(route)


def decode(raw: bytes) -> Route:
    return _decoder.decode(raw)


class Routes:
    """Routes by host, by name and by id: cached for a second at most, and only until they are published
    anew."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._routes: dict[int, tuple[float, Route | None]] = {}
        self._ids: dict[str, tuple[float, int | None]] = {}
        self._published = 0  # publications of any route that this process has received
        self._listener: asyncio.Task[None] | None = None

    async def by_host(self, subdomain: str) -> Route | None:
        """The Space of this demo host, or None."""
        return await self._pointed(keys.host(subdomain))

    async def by_name(self, owner: str, name: str) -> Route | None:
        """The Space `owner/name`, or None."""
        return await self._pointed(keys.name(f"{owner}/{name}"))

    async def by_id(self, space_id: int, *, fresh: bool = False) -> Route | None:
        """The Space of this id, or None; `fresh` reads Redis even if it is cached."""
        at, route = self._routes.get(space_id, (NEVER, None))
        if fresh or time.monotonic() - at > CACHE_S:
            if not fresh:
                self._follow()
            published = self._published
            raw = await self._redis.get(SpaceKeys(space_id).route)
            # The same bytes decode to the same value: keep the object, callers compare by identity.
            new = decode(raw) if raw is not None else None
            route = route if new == route else new
            self._routes[space_id] = (self._now(published), route)
        return route

    async def _pointed(self, key: str) -> Route | None:
        at, space_id = self._ids.get(key, (NEVER, None))
        if time.monotonic() - at > CACHE_S:
            self._follow()
            published = self._published
            raw = await self._redis.get(key)
            space_id = int(raw) if raw is not None else None
            if len(self._ids) > 10_000:
                self._ids.clear()
            self._ids[key] = (self._now(published), space_id)
        return None if space_id is None else await self.by_id(space_id)

    def _now(self, published: int) -> float:
        """The time of what was just read, if nothing has been published since the reading began."""
        return time.monotonic() if published == self._published else NEVER

    def _follow(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen(), name="routes")

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(keys.PUBLISHED)
                    while True:
                        if (message := await pubsub.get_message(timeout=30)) is not None:
                            self._forget(int(message["data"]) if message["type"] == "message" else None)
            await asyncio.sleep(RETRY_S)

    def _forget(self, space_id: int | None) -> None:
        """A route was published; None: any may have been, before the channel was subscribed to (again)."""
        self._published += 1
        self._ids.clear()
        for one in self._routes.keys() if space_id is None else self._routes.keys() & {space_id}:
            self._routes[one] = (NEVER, self._routes[one][1])
