"""Which host is served by what: demo hosts and `/run/` by the gateway, the rest by Django and Channels."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")

from django.core.asgi import get_asgi_application

django = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from spaceport.origins import PlatformOriginOnly
from spaceport.watch import watched
from spaces.gateway.app import Gateway
from spaces.gateway.headers import first
from spaces.routing import websocket_urlpatterns

gateway = Gateway(
    key=settings.SECRET_KEY,
    demo_domain=settings.SPACEPORT_DEMO_DOMAIN,
    proxies=settings.SPACEPORT_PROXIES,
)
platform = ProtocolTypeRouter(
    {
        "http": django,
        "websocket": PlatformOriginOnly(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)


async def by_host(scope, receive, send):  # type: ignore[no-untyped-def]
    """Every connection of this web process."""
    if scope["type"] == "lifespan":
        return
    if gateway.is_demo_host(first(scope["headers"], "host")) or scope["path"].startswith("/run/"):
        await gateway(scope, receive, send)
    else:
        await platform(scope, receive, send)


application = watched(by_host)
