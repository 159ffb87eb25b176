"""Which host is served by what: demo hosts and `/run/` by the gateway, the rest by Django and Channels."""

import asyncio
import functools
import os
import re
from collections.abc import MutableMapping
from typing import cast
from urllib.parse import urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")

from django.core.asgi import get_asgi_application

django = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from infra import gc_tuning
from infra.notify import READY, notify
from queueing.protocols.context import WebContext
from queueing.store.options import QueueOptions
from spaceport.web import reports
from spaceport.web.admission import admitted
from spaceport.web.away import answered
from spaceport.web.bodies import Limits, OnDisk, bounded
from spaceport.web.daphne import when_running
from spaceport.web.graceful_shutdown import Connections, Leaving
from spaceport.web.monitor import App, Receive, Scope, Send, watched
from spaceport.web.origins import PlatformOriginOnly
from spaceport.web.plain import plain
from spaceport.web.request_threads import in_kept_threads
from spaces.gateway.app import Gateway
from spaces.gateway.proxy.headers import first
from spaces.lfs import addresses, store
from spaces.lfs import door as lfs
from spaces.routing import websocket_routes
from spaces.xet import door as xet
from spaces.xet import sessions

#: What the Hub answers below a Space's own address.
OF_THE_PLATFORM = re.compile(r"/run/[^/]+/[^/]+//?--replicas/")
#: What is served beside Django, which would collect each body on disk first.
DOORS: dict[str, App] = {addresses.PREFIX: lfs.door, sessions.PREFIX: xet.door}


@functools.cache
def web() -> WebContext:
    """Made on the server's loop, by its first connection."""
    return WebContext(
        QueueOptions(
            redis_replicas=settings.SPACEPORT_REDIS_REPLICAS,
            disconnect_grace_s=settings.SPACEPORT_DISCONNECT_GRACE_S,
            space_bytes=settings.SPACEPORT_SPACE_LIMIT_BYTES,
        )
    )


gateway = Gateway(
    web,
    key=settings.SECRET_KEY,
    demo_domain=settings.SPACEPORT_DEMO_DOMAIN,
    platform_url=settings.SPACEPORT_URL,
    proxies=settings.SPACEPORT_TRUSTED_PROXY_COUNT,
    loads_per_minute=settings.SPACEPORT_PAGE_LOADS_PER_MINUTE,
    upload_bytes=settings.SPACEPORT_VISITOR_UPLOAD_LIMIT_BYTES,
    event_bytes=settings.SPACEPORT_EVENT_BODY_LIMIT_BYTES,
)


def with_user(app: App) -> App:
    """The same for sockets, with the user in the scope. The session is left before the socket begins: it
    would check at every message whether to save, and take its memory for as long as the
    socket lasts."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        found: Scope = {}

        async def inner(scope: Scope, _receive: Receive, _send: Send) -> None:
            found.update(scope)

        await AuthMiddlewareStack(inner)(scope, receive, send)
        del found["session"], found["cookies"]
        await app(found, receive, send)

    return application


platform = ProtocolTypeRouter(
    {
        "http": in_kept_threads(cast("App", django)),
        "websocket": PlatformOriginOnly(with_user(URLRouter(websocket_routes(web)))),
    }
)


def goes_to_app(scope: Scope) -> bool:
    """Whether the gateway serves this, and Django and Channels do not."""
    if gateway.is_demo_host(first(scope["headers"], "host")):
        return True
    return scope["path"].startswith("/run/") and not OF_THE_PLATFORM.match(scope["path"])


def served_by(scope: Scope) -> App:
    """The application for this connection."""
    if goes_to_app(scope):
        return gateway
    prefix = scope["path"][: scope["path"].find("/", 1) + 1]
    found: App = DOORS.get(prefix, platform) if scope["type"] == "http" else platform
    return found


def largest_file(path: str) -> int:
    """How many bytes of a large file may be sent to this path of the platform; 0 where none may."""
    return max(addresses.largest_body(path), sessions.largest_body(path))


limits = Limits(
    files_bytes=settings.SPACEPORT_PUSH_LIMIT_BYTES,
    of_large_file=largest_file,
    on_disk=OnDisk(store.spool, store.fault),
    is_app=goes_to_app,
    of_app=gateway.largest_body,
)
leaving = Leaving(lambda: web().close_sockets())
_tasks: set[object] = set()


def begin(connections: Connections) -> None:
    """On the server's loop, before the first connection."""
    leaving.prepare(connections)
    _tasks.add(asyncio.ensure_future(_warm_up()))
    _tasks.add(asyncio.ensure_future(reports.announce_forever()))


async def _warm_up() -> None:
    """Answer one request of our own, so that the first visitor does not wait for what is made on first use;
    only then the supervisor may end our predecessor."""
    answered = asyncio.Event()

    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, object]:
        for message in messages:
            return message
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, object]) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    host = (b"host", urlsplit(settings.SPACEPORT_URL).netloc.encode())
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/healthz",
        "raw_path": b"/healthz", "query_string": b"", "root_path": "", "headers": [host],
        "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 0),
    }  # fmt: skip
    task = asyncio.ensure_future(platform(scope, receive, send))
    _tasks.add(task)
    await answered.wait()  # what Django does after it is its own
    gc_tuning.keep_what_is_there()
    notify(READY)


async def by_host(scope: Scope, receive: Receive, send: Send) -> None:
    """Every connection of this web process."""
    if scope["type"] == "lifespan":
        return
    leaving.prepare()  # in a server that announced nothing
    if scope["type"] == "websocket":
        await served_by(scope)(scope, receive, send)
        return
    leaving.requests += 1
    try:
        await served_by(scope)(scope, receive, leaving.closing(send))
    finally:
        leaving.requests -= 1


hosts = [*settings.ALLOWED_HOSTS, urlsplit(settings.SPACEPORT_URL).hostname or ""]
served = admitted(
    answered(bounded(by_host, limits), goes_to_app),
    settings.SPACEPORT_HANDSHAKES_PER_SECOND,
    each=settings.SPACEPORT_SOCKETS_PER_VISITOR,
    proxies=settings.SPACEPORT_TRUSTED_PROXY_COUNT,
)
application = watched(plain(served, gateway.is_demo_host, hosts))
when_running(begin, limits)
