"""The front page: the Spaces this visitor may see, with a search that answers while one types."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Owner
from queueing.stats.figures import figures_of
from spaces.models import Space
from spaces.search import matching, visible

PAGE = 24


@require_safe
def discover(request: HttpRequest) -> HttpResponse:
    """All, or those that match `q`."""
    q = request.GET.get("q", "").replace("\0", "").strip()[:200]
    return _page(request, visible(request.user), q)


@require_safe
def owner(request: HttpRequest, owner: str) -> HttpResponse:
    """An owner's Spaces. An owner of whom this visitor may see nothing is not there."""
    found = visible(request.user).filter(owner__name__iexact=owner)
    if (first := found.select_related("owner").first()) is None:
        raise Http404("There is no such owner, or you may see none of its Spaces.")
    return _page(request, found, "", first.owner)


def _page(request: HttpRequest, found: QuerySet[Space], q: str, owner: Owner | None = None) -> HttpResponse:
    found = found.select_related("owner").order_by("-last_visited_at", "-created_at", "pk")
    page = Paginator(matching(found, q) if q else found, PAGE).get_page(request.GET.get("page"))
    figures = figures_of(space.pk for space in page)
    cards = [(space, figures[space.pk]) for space in page]
    partial = bool(getattr(request, "htmx", False)) and request.headers.get("HX-Target") == "cards"
    template = "components/cards.html" if partial else "spaces/discover.html"
    answer = render(request, template, {"cards": cards, "page": page, "q": q, "owner": owner})
    answer["Vary"] = "HX-Request, Cookie"
    return answer
