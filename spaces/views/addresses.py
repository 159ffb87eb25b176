"""Addresses that the Hub's client prints or that people type: each leads to the page it means."""

from __future__ import annotations

from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import Resolver404, resolve
from django.views.decorators.http import require_safe

from spaces.git.repository import BRANCH


@require_safe
def hub_path(request: HttpRequest, owner: str, name: str, rest: str = "") -> HttpResponse:
    """The Hub's addresses of a Space: `/spaces/<owner>/<name>` and what lies below."""
    return redirect(f"/{quote(owner)}/{quote(name)}{_below(rest.strip('/'))}")


def _below(rest: str) -> str:
    """The page here for a page there: `tree/main/a` is `/files/a`."""
    kind, _, further = rest.partition("/")
    revision, _, path = further.partition("/")
    at = f"?revision={quote(revision, safe='')}" if revision not in ("", BRANCH) else ""
    if kind in ("tree", "blob"):
        return f"/files{'/' + quote(path) if path else ''}{at}"
    if kind == "commit":
        return f"/files{at}"
    if kind == "commits":
        return f"/commits{at}"
    return f"/{quote(rest)}" if rest else ""


@require_safe
def owner_path(request: HttpRequest, owner: str, name: str = "") -> HttpResponse:
    """The Hub's address of an owner's Spaces, and of a volume, which has no page of its own."""
    return redirect("owner", owner)


@require_safe
def front_path(request: HttpRequest) -> HttpResponse:
    """The Hub's address of all Spaces."""
    return redirect("discover")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """The address at which browsers request an icon by themselves."""
    return redirect(static("spaceport/mark.svg"))


@require_safe
def without_slash(request: HttpRequest, rest: str) -> HttpResponse:
    """The same address without slashes at its end, if there is such a page."""
    target = "/" + rest.strip("/\\")
    try:
        resolve(target)
    except Resolver404 as error:
        raise Http404("There is no such page.") from error
    query = request.META.get("QUERY_STRING", "")
    return redirect(quote(target) + (f"?{query}" if query else ""))
