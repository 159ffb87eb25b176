"""The Hub's routes about likes, profiles, and Spaces found by a description."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from accounts.models import Membership, Owner
from spaces.api.hub import (
    READ_ONLY,
    HubError,
    base_url,
    current_caller,
    date,
    hub,
    ok,
    paged,
    readable,
    signed_in,
)
from spaces.community import likes, profiles, words
from spaces.models import Like, Space
from spaces.search import visible

FOUND = 50  # Spaces in one answer
QUESTION = 1000  # characters


@hub("POST", "DELETE")
def like(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = readable(request, owner, name)
    caller = signed_in(request)
    if not caller.may_write:
        raise HubError(403, READ_ONLY)
    assert caller.user is not None
    (likes.like if request.method == "POST" else likes.unlike)(space, caller.user)
    return ok()


@hub("GET")
def likers(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = readable(request, owner, name)
    rows = space.liked_by.select_related("user").order_by("-created_at", "pk")
    here = base_url(request)
    return paged(request, rows, lambda row: profiles.account(row.user.username, _full(row), here))


def _full(row: Any) -> str:
    full: str = row.user.get_full_name()
    return full


@hub("GET")
def liked(request: HttpRequest, user: str) -> HttpResponse:
    """The Spaces that a user likes, as far as the caller may see them."""
    owner = _seen(request, user, Owner.Kind.USER)
    rows = Like.objects.filter(user__username=owner.name, space__in=visible(current_caller(request).user))
    rows = rows.select_related("space__owner").order_by("-created_at", "pk")
    return paged(request, rows, lambda row: {"createdAt": date(row.created_at), "repo": _repo(row.space)})


def _repo(space: Space) -> dict[str, str]:
    return {"name": str(space), "type": "space"}


@hub("GET")
def user_overview(request: HttpRequest, user: str) -> HttpResponse:
    owner = _seen(request, user, Owner.Kind.USER)
    value = profiles.user(current_caller(request).user, owner, base_url(request))
    return ok(value | {"createdAt": date(owner.created_at)})


@hub("GET")
def organization_overview(request: HttpRequest, name: str) -> HttpResponse:
    owner = _seen(request, name, Owner.Kind.ORGANIZATION)
    value = profiles.organization(current_caller(request).user, owner, base_url(request))
    return ok(value | {"createdAt": date(owner.created_at)})


@hub("GET")
def members(request: HttpRequest, name: str) -> HttpResponse:
    """The members of an organization with their roles; only members may see them."""
    owner = _seen(request, name, Owner.Kind.ORGANIZATION)
    caller = signed_in(request)
    rows = Membership.objects.filter(owner=owner).select_related("user").order_by("user__username")
    if not rows.filter(user=caller.user).exists():
        raise HubError(403, f"Only members of {owner} see who its members are.")
    here = base_url(request)

    def as_json(row: Membership) -> dict[str, Any]:
        return profiles.account(row.user.username, row.user.get_full_name(), here) | {"role": row.role}

    return paged(request, rows, as_json)


@hub("GET")
def nobody(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """Followers: nobody follows anybody here."""
    _seen(request, name, kind)
    return ok([])


@hub("GET")
def search(request: HttpRequest) -> HttpResponse:
    question = request.GET.get("q", "")
    if not question.strip() or len(question) > QUESTION:
        raise HubError(400, f"q is what to look for: 1 to {QUESTION:,} characters.")
    found = visible(current_caller(request).user)
    for wanted in request.GET.getlist("filter"):
        found = found.filter(Q(sdk=wanted) | Q(card__tags__contains=[wanted]))
    if sdks := request.GET.getlist("sdk"):
        found = found.filter(sdk__in=sdks)
    if request.GET.get("includeNonRunning") != "true":
        found = found.filter(stage__startswith="RUNNING")
    ranked = likes.with_trend(words.described(found, question)).select_related("owner")
    return ok([_found(space) for space in ranked[:FOUND]])


def _found(space: Any) -> dict[str, Any]:
    tags = space.card.get("tags")
    return {
        "id": str(space),
        "author": space.owner.name,
        "title": space.title or space.name,
        "emoji": space.emoji,
        "sdk": space.sdk,
        "likes": space.likes,
        "private": space.visibility == "private",
        "tags": [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        "runtime": {"stage": space.stage},
        "createdAt": date(space.created_at),
        "lastModified": date(space.last_modified),
        "ai_short_description": space.short_description,
        "ai_category": None,
        "semanticRelevancyScore": space.relevance,
        "trendingScore": space.trend,
    }


def _seen(request: HttpRequest, name: str, kind: str) -> Owner:
    owner = profiles.seen(current_caller(request).user, name, kind)
    if owner is None:
        what = "user" if kind == Owner.Kind.USER else "organization"
        raise HubError(404, f"There is no {what} '{name[:100]}'.")
    return owner
