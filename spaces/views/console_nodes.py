"""The console's nodes."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from hardware.models import Node
from hardware.upkeep import draining
from spaces.views.console import live, staff_only


@require_POST
def act(request: HttpRequest, node_id: int, action: str) -> HttpResponse:
    """Drain, undrain, remove; answers the live part (htmx) or the page."""
    staff_only(request)
    if action not in draining.ACTIONS:
        raise Http404("There is no such action.")
    node = get_object_or_404(Node, pk=node_id)
    try:
        tone, message = "good", draining.ACTIONS[action](node)
    except draining.Refused as error:
        tone, message = "bad", str(error)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "components/console_live.html", live() | {"tone": tone, "message": message})
    messages.add_message(request, messages.SUCCESS if tone == "good" else messages.ERROR, message)
    return redirect("console")
