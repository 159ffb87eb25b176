"""Which host is served by what: demo hosts and `/run/` by the gateway, the rest by Django and Channels."""

import asyncio
import contextlib
import os
import signal
import threading

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")

from django.core.asgi import get_asgi_application

django = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from redis.exceptions import RedisError

from queueing.consumers import goodbye
from spaceport.origins import PlatformOriginOnly
from spaceport.watch import watched
from spaces.gateway.app import Gateway
from spaces.gateway.headers import first
from spaces.routing import websocket_urlpatterns

gateway = Gateway(
    key=settings.SECRET_KEY,
    demo_domain=settings.SPACEPORT_DEMO_DOMAIN,
    proxies=settings.SPACEPORT_PROXIES,
    loads_per_minute=settings.SPACEPORT_PAGE_LOADS_PER_MINUTE,
)
platform = ProtocolTypeRouter(
    {
        "http": django,
        "websocket": PlatformOriginOnly(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)


GOODBYE_S = 3.0
AWAY = b'{"detail":"The queue does not answer for a moment; please try again.","error":"queue.away"}'
_tasks: set[object] = set()


def _say_goodbye_first():  # type: ignore[no-untyped-def]
    """Before the server's own reaction to SIGTERM (it cuts every connection), its sockets are told when to
    come back."""
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    async def leave(number):  # type: ignore[no-untyped-def]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await goodbye()
                await asyncio.sleep(0.3)  # the frames are on their way
        if callable(before):
            before(number, None)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def handle(number, _):  # type: ignore[no-untyped-def]
        task = asyncio.run_coroutine_threadsafe(leave(number), loop)  # type: ignore[no-untyped-call]
        _tasks.add(task)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handle)


_first = threading.Lock()


async def by_host(scope, receive, send):  # type: ignore[no-untyped-def]
    """Every connection of this web process."""
    if scope["type"] == "lifespan":
        return
    if _first.acquire(blocking=False):
        _say_goodbye_first()  # type: ignore[no-untyped-call]
    began = False

    async def send_noting(message):  # type: ignore[no-untyped-def]
        nonlocal began
        began = True
        await send(message)

    demo = gateway.is_demo_host(first(scope["headers"], "host")) or scope["path"].startswith("/run/")
    try:
        await (gateway if demo else platform)(scope, receive, send_noting)
    except RedisError:
        if began or scope["type"] != "http":
            raise
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"2")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": AWAY})


application = watched(by_host)
