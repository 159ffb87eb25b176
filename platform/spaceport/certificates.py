"""For which hosts a proxy may get certificates: Caddy asks before it gets one for a host that somebody named.
https://caddyserver.com/docs/caddyfile/options#on-demand-tls"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.http import require_safe

from infra.redis_clients import sync_redis
from queueing.store import keys

PATH = "certificates/ask"


def token() -> str:
    """What the proxy shows: who may ask also learns which private Spaces there are."""
    return salted_hmac("spaceport.certificates", PATH, algorithm="sha256").hexdigest()


@require_safe
def ask(request: HttpRequest) -> HttpResponse:
    """200 for the host of a Space, named by `domain`; else 404."""
    host = request.GET.get("domain", "").lower()
    label, _, domain = host.partition(".")
    known = (
        constant_time_compare(request.GET.get("token", ""), token())
        and domain == settings.SPACEPORT_DEMO_DOMAIN
        and bool(sync_redis().exists(keys.host(label)))
    )
    return HttpResponse(status=200 if known else 404)
