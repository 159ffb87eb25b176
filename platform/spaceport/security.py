"""Protection of the platform's own pages in a browser. Demo hosts have none of it: they never come through
Django.

The Content-Security-Policy: nothing inline, nothing from elsewhere, and only demos in frames. And a second
check of a form's origin, beside Django's token and Origin check: a demo on the same domain, or on another
port of this host, is the same *site* to a browser, so cookies travel; it is not the same *origin*."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

#: The OpenAPI page's own script sets styles and shows `data:` pictures.
DOCS = "/api/docs"


class ContentSecurityPolicy(MiddlewareMixin):
    """Adds the policy to every response that has none."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", policy(request))
        return response


class SameOriginForms(MiddlewareMixin):
    """Refuses what another origin's page sends with a visitor's session: everything but reading. Programs
    send no `Sec-Fetch-Site`; a request with a token needs no session."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        if request.method in {"GET", "HEAD", "OPTIONS"} or "Authorization" in request.headers:
            return None
        if request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}:
            return None
        return render(request, "403_csrf.html", status=403)


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
        # Results of calls made before a page was reloaded are shown beside the demo.
        "img-src": f"'self' data: {demo_hosts()}",
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
