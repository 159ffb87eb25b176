"""The console's page of join tokens."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from hardware.trust import tokens
from spaces.api.hub import base_url
from spaces.views.console import staff_only

SHOWN = 50


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """All tokens; POST makes one, and shows it this once."""
    staff_only(request)
    made = ""
    if request.method == "POST":
        assert isinstance(request.user, User)
        _, made = tokens.issue(request.user.username)
    rows = [(row, tokens.describe(row)) for row in tokens.shown()[:SHOWN]]
    context = {"rows": rows, "made": made, "address": base_url(request), "hours": tokens.HOURS}
    return render(request, "console/join.html", context)


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """It lets nobody join any more."""
    staff_only(request)
    if tokens.revoke(token_id):
        messages.success(request, "The token is revoked.")
    else:
        messages.error(request, "There is no such token that is unused.")
    return redirect("console-join")
