"""The Statistics tab: what the queue did. For members with write access."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from queueing.stats.history import RANGES
from spaces import statistics
from spaces.models import Sdk, Space
from spaces.views.common import writable
from spaces.views.pages import space_context

#: Range to (its name, seconds between two refreshes while the page is open).
SHOWN = {
    "1h": ("Last hour", 5),
    "24h": ("Last 24 hours", 30),
    "7d": ("Last 7 days", 300),
    "30d": ("Last 30 days", 300),
}


@require_safe
@never_cache
def page(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The whole tab."""
    space = writable(request, owner, name)
    context = space_context(request, space, "statistics") | _context(request, space)
    return render(request, "spaces/statistics.html", context)


@require_safe
@never_cache
def figures(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The figures and the table alone; the charts get theirs from the API."""
    space = writable(request, owner, name)
    return render(request, "components/statistics_figures.html", _context(request, space))


def _context(request: HttpRequest, space: Space) -> dict[str, Any]:
    name = request.GET.get("range", "1h")
    if name not in RANGES or space.sdk == Sdk.STATIC:
        raise Http404("There are no such statistics.")
    report = statistics.report(space.pk, name)
    totals = report["totals"]
    words, every_s = SHOWN[name]
    return {
        "space": space,
        "range": name,
        "ranges": [(value, label) for value, (label, _) in SHOWN.items()],
        "words": words.lower(),
        "every_s": every_s,
        "totals": totals,
        "refused": totals["refused_full"] + totals["refused_closed"] + totals["refused_other"],
        "functions": report["functions"],
        "batches": any(one["mean_batch"] is not None for one in report["functions"]),
    }
