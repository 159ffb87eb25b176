"""The front page: the Spaces this visitor may see, with a search that answers while one types."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from queueing.stats.figures import figures_of
from spaces.search import matching, visible

PAGE = 24


@require_safe
def discover(request: HttpRequest) -> HttpResponse:
    """All, or those that match `q`."""
    q = request.GET.get("q", "").replace("\0", "").strip()[:200]
    found = visible(request.user).select_related("owner").order_by("-last_visited_at", "-created_at", "pk")
    page = Paginator(matching(found, q) if q else found, PAGE).get_page(request.GET.get("page"))
    figures = figures_of(space.pk for space in page)
    cards = [(space, figures[space.pk]) for space in page]
    partial = bool(getattr(request, "htmx", False)) and request.headers.get("HX-Target") == "cards"
    template = "components/cards.html" if partial else "spaces/discover.html"
    answer = render(request, template, {"cards": cards, "page": page, "q": q})
    answer["Vary"] = "HX-Request, Cookie"
    return answer
