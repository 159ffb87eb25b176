"""The console's nodes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from hardware import devices, load, nodes
from hardware.models import Node
from hardware.runtimes.environment import size
from hardware.upkeep import draining
from spaces.views.console import MOST, live, staff_only

RANGES = {"1h": "Last hour", "24h": "Last 24 hours"}


@never_cache
@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """What runs on a node, its GPUs, and its load over time."""
    staff_only(request)
    shown = request.GET.get("range", "1h")
    if shown not in RANGES:
        raise Http404("There is no such range.")
    node = get_object_or_404(Node, name=name)
    here = node.replicas.filter(state__in=nodes.ACTIVE).select_related("space__owner").defer("spec", "report")
    rows = list(here.order_by("space__owner__name", "space__name")[:MOST])
    context = {
        "node": node,
        "state": draining.describe(node),
        "up": nodes.is_up(node),
        "rows": rows,
        "gpus": _gpus(node, {uuid: str(row.space) for row in rows for uuid in row.devices}),
        "driver": node.devices.get("driver", ""),
        "range": shown,
        "ranges": RANGES,
    }
    return render(request, "console/node.html", context)


def _gpus(node: Node, users: dict[str, str]) -> list[dict[str, Any]]:
    """Its devices, what was measured of them last, and the Space that has each."""
    last = load.last(node.pk)
    found = []
    for device in devices.of_json(node.devices):
        busy, used = (last.gpus.get(device.uuid) if last else None) or (None, None)
        found.append(
            {
                "device": device,
                "memory": size(device.memory_bytes),
                "busy": None if busy is None else round(busy * 100),
                "used": None if used is None else size(round(used)),
                "space": users.get(device.uuid, ""),
            }
        )
    return found


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
