"""The administrators' console: people, Spaces, nodes, and the events in the queues."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from hardware import nodes
from hardware.models import Node
from hardware.placement import taking
from hardware.tiers import TIERS
from hardware.upkeep import draining
from queueing.stats.figures import events, figures_of
from queueing.store import durability
from spaces.card import CardError
from spaces.models import Space
from spaces.views.settings import ACTIONS

MOST = 500  # rows of each kind: more are found in the records
MOST_EVENTS = 100
OFFERED = ("pause", "restart", "clear")


@never_cache
@require_safe
def console(request: HttpRequest) -> HttpResponse:
    """Everything on one page. For people without the right it does not exist."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    staff_only(request)
    people = User.objects.order_by("username").annotate(tokens_held=Count("tokens"))[:MOST]
    return render(request, "console/console.html", live() | {"people": people})


@never_cache
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """What changes by the second."""
    staff_only(request)
    return render(request, "components/console_live.html", live())


@require_POST
def act(request: HttpRequest, space_id: int, action: str) -> HttpResponse:
    """Pause, restart, clear queue; answers the live part (htmx) or the page."""
    staff_only(request)
    if action not in OFFERED:
        raise Http404("There is no such action.")
    space = get_object_or_404(Space.objects.select_related("owner", "replica"), pk=space_id)
    try:
        tone, message = "good", ACTIONS[action](space)
    except CardError as error:
        tone, message = "bad", str(error)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "components/console_live.html", live() | {"tone": tone, "message": message})
    messages.add_message(request, messages.SUCCESS if tone == "good" else messages.ERROR, message)
    return redirect("console")


def staff_only(request: HttpRequest) -> None:
    """For everybody else the page does not exist.

    Raises:
        Http404
    """
    if not (request.user.is_active and request.user.is_superuser):
        raise Http404("There is no such page, or you may not see it.")


def live() -> dict[str, Any]:
    """What changes by the second."""
    spaces = list(
        Space.objects.select_related("owner", "replica__node").order_by("owner__name", "name")[:MOST]
    )
    now = figures_of(space.pk for space in spaces)
    busy = [space for space in spaces if now[space.pk].pending or now[space.pk].running]
    in_queues = [
        {"space": space, **event, "age_s": time.time() - float(event["joined"] or time.time())}
        for space in busy
        for event in events(space.pk, MOST_EVENTS)
    ]
    return {
        "warnings": durability.warnings(),
        "rows": [(space, now[space.pk]) for space in spaces],
        "events": in_queues[:MOST_EVENTS],
        "nodes": [_node(node) for node in Node.objects.order_by("name")[:MOST]],
        "pending": sum(f.pending for f in now.values()),
        "running": sum(f.running for f in now.values()),
        "served": sum(f.served_today for f in now.values()),
    }


def _node(node: Node) -> dict[str, Any]:
    tiers = [
        (TIERS[name].title if name in TIERS else name, bool(about.get("simulated")))
        for name, about in node.tiers.items()
    ]
    allocations = node.replicas.filter(wanted=True, state__in=nodes.ACTIVE).count()
    room = taking.room_of(node)
    progress = draining.progress(node) if node.draining_since else None
    stays = progress.stays if progress else {}
    names = {space.pk: space for space in Space.objects.filter(pk__in=stays).select_related("owner")}
    return {
        "state": draining.describe(node),
        "progress": progress,
        "stays": [(names[pk], why) for pk, why in stays.items() if pk in names],
        "node": node,
        "up": nodes.is_up(node),
        "tiers": tiers,
        "replicas": allocations,
        "lends": room if room.has_limits else None,
        "gpus": (sum(len(one.devices) for one in room.allocations), len(node.devices.get("gpus", ()))),
    }
