"""The way into a private Space for a visitor who opens its own host: the platform has the session."""

from __future__ import annotations

import re

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import access
from spaces import names, visits
from spaces.gateway.page_tokens import VISIT
from spaces.models import Space

_LABEL = re.compile(r"[a-z0-9-]{1,63}")
_TARGET = re.compile(r"/[!-~]*")


@require_safe
@never_cache
def enter(request: HttpRequest) -> HttpResponse:
    """Back to the Space's own host, as somebody."""
    label = request.GET.get("space", "")
    label = label if _LABEL.fullmatch(label) else ""
    named = Space.objects.filter(Q(subdomain=label) | Q(former_names__subdomain=label))
    space = named.select_related("owner").first()
    if space is None or not access.can_read(request.user, space.owner_id, space.visibility):
        raise Http404("There is no such Space, or you may not see it.")
    target = request.GET.get("to", "/")
    where = f"{names.demo_url(space)}{target if _TARGET.fullmatch(target) else '/'}"
    if space.visibility != "public":
        _, signed = visits.sign(space.pk, request.user.pk, "")
        where += f"{'&' if '?' in where else '?'}{VISIT}={signed}"
    return redirect(where)
