"""The Content-Security-Policy of the platform's own pages: nothing inline, nothing from elsewhere, and only
demos in frames. Demo hosts have none: they never come through Django."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

#: The OpenAPI page's own script sets styles and shows `data:` pictures.
DOCS = "/api/docs"


class ContentSecurityPolicy(MiddlewareMixin):
    """Adds the policy to every response that has none."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", policy(request))
        return response


def policy(request: HttpRequest) -> str:
    """The policy for this page."""
    try:
        sockets = " ws://{0} wss://{0}".format(request.get_host())
    except DisallowedHost:
        sockets = ""
    styles = "'self' 'unsafe-inline'" if request.path.startswith(DOCS) else "'self'"
    parts = {
        "default-src": "'self'",
        "script-src": "'self'",
        "style-src": styles,
        "img-src": "'self' data:",
        # Not every browser counts websockets of the same host as 'self'.
        "connect-src": f"'self'{sockets}",
        "frame-src": demo_hosts(),
        "object-src": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def demo_hosts() -> str:
    """Where demos are served from, as a source of the policy."""
    platform = urlsplit(settings.SPACEPORT_URL)
    port = f":{platform.port}" if platform.port else ""
    return f"{platform.scheme}://*.{settings.SPACEPORT_DEMO_DOMAIN}{port}"
