"""The Hub's routes about collections."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import access
from accounts.models import Owner
from spaces.api.hub import (
    HubError,
    base_url,
    body,
    current_caller,
    date,
    hub,
    ok,
    paged,
    signed_in,
    text,
    unlimited,
)
from spaces.community import collections, profiles
from spaces.models import Collection, CollectionItem, Space
from spaces.search import visible

PAGE = 20
SHOWN_IN_LISTS = 4  # items of each collection, as on the Hub
LAST = 10**6


@hub("GET", "POST")
def every(request: HttpRequest) -> HttpResponse:
    """The collections that the caller may see; POST makes one."""
    return _create(request) if request.method == "POST" else _list(request)


@hub("GET", "PATCH", "DELETE")
def one(request: HttpRequest, owner: str, slug: str) -> HttpResponse:
    """Read, change or delete a collection."""
    if request.method == "GET":
        return ok(_whole(request, _found(request, owner, slug)))
    found = _writable(request, owner, slug)
    if request.method == "DELETE":
        found.delete()
        return ok()
    try:
        collections.change(found, _changes(body(request)))
    except collections.BadCollection as error:
        raise HubError(400, str(error)) from error
    return ok({"success": True, "data": _whole(request, found)})


@hub("POST")
def items(request: HttpRequest, owner: str, slug: str) -> HttpResponse:
    """Add an item."""
    found = _writable(request, owner, slug)
    values = body(request)
    item = values.get("item")
    if not isinstance(item, dict):
        raise HubError(400, '\'item\' must be an object with "id" and "type".')
    note = text(values, "note", default="", most=collections.NOTE)
    try:
        collections.add(found, _meant(request, text(item, "type"), text(item, "id", most=300)), note)
    except collections.Already as error:
        raise HubError(409, str(error)) from error
    except collections.BadCollection as error:
        raise HubError(400, str(error)) from error
    return ok(_whole(request, found))


@hub("PATCH", "DELETE")
def item(request: HttpRequest, owner: str, slug: str, key: str) -> HttpResponse:
    """Change an item, or take it out."""
    found = _writable(request, owner, slug)
    row = found.items.select_related("collection").filter(key=key.replace("\0", "")).first()
    if row is None:
        raise HubError(404, f"There is no item '{key[:40]}' in this collection.")
    if request.method == "DELETE":
        collections.remove(row)
        return ok()
    values = body(request)
    note = text(values, "note", most=collections.NOTE) if "note" in values else None
    position = _position(values["position"]) if "position" in values else None
    collections.change_item(row, note=note, position=position)
    return ok(_item(row))


@hub("POST")
def resource_group(request: HttpRequest, owner: str, slug: str) -> HttpResponse:
    """There are no resource groups."""
    _writable(request, owner, slug)
    raise HubError(400, "There are no resource groups here: an organization's members see what is private.")


# --- lists ----------------------------------------------------------------------------------------------


def _list(request: HttpRequest) -> HttpResponse:
    user = current_caller(request).user
    found = collections.seen(user)
    if owners := request.GET.getlist("owner"):
        found = found.filter(owner__name__in=owners)
    for wanted in request.GET.getlist("item"):
        found = collections.containing(found, wanted)
    if words := request.GET.get("q", "").strip():
        found = found.filter(title__icontains=words[:200])
    found = collections.with_items(user, _sorted(found, request.GET.get("sort", "lastModified")))
    return paged(request, found, lambda one: _described(request, one, SHOWN_IN_LISTS), size=PAGE)


def _sorted(found: QuerySet[Collection], by: str) -> QuerySet[Collection]:
    if by not in ("lastModified", "trending", "upvotes"):
        raise HubError(400, "sort is one of lastModified, trending, upvotes.")
    return found.order_by("-updated_at", "pk")  # nobody votes here


def _create(request: HttpRequest) -> HttpResponse:
    caller = unlimited(request)
    values = body(request)
    name = text(values, "namespace", default=str(caller.user), most=96)
    owner = Owner.objects.filter(name__iexact=name).first()
    if owner is None or not access.can_write(caller.user, owner.pk):
        raise HubError(403, f"You have no write access to the namespace '{name}'.")
    if values.get("resourceGroupId") is not None:
        raise HubError(400, "There are no resource groups here: leave resourceGroupId out.")
    changes = _changes({"title": "", **values})
    try:
        made = collections.create(
            owner,
            title=changes["title"],
            description=changes.get("description", ""),
            private=changes.get("private", False),
        )
    except collections.BadCollection as error:
        raise HubError(400, str(error)) from error
    return ok(_whole(request, made))


def _changes(values: dict[str, Any]) -> dict[str, Any]:
    """What the body says of the collection, checked."""
    changes: dict[str, Any] = {}
    for key, most in (("title", collections.TITLE), ("description", collections.DESCRIPTION), ("theme", 20)):
        if key in values:
            changes[key] = text(values, key, most=most)
    if "private" in values:
        if not isinstance(values["private"], bool):
            raise HubError(400, "'private' must be true or false.")
        changes["private"] = values["private"]
    if "position" in values:
        changes["position"] = _position(values["position"])
    return changes


def _position(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LAST:
        raise HubError(400, "'position' must be a number from 0 on.")
    return value


# --- one ------------------------------------------------------------------------------------------------


def _found(request: HttpRequest, owner: str, slug: str) -> Collection:
    found = collections.find(current_caller(request).user, owner, slug)
    if found is None:
        raise HubError(404, f"There is no collection '{owner[:96]}/{slug[:140]}'.")
    return found


def _writable(request: HttpRequest, owner: str, slug: str) -> Collection:
    signed_in(request)
    found = _found(request, owner, slug)
    caller = unlimited(request)
    if not access.can_write(caller.user, found.owner_id):
        raise HubError(403, f"You have no write access to the collections of {found.owner}.")
    return found


def _meant(request: HttpRequest, kind: str, name: str) -> Space | Collection:
    """The Space or collection to add, if the caller may see it."""
    user = current_caller(request).user
    owner, _, rest = name.partition("/")
    item: Space | Collection | None = None
    if kind == "space":
        item = visible(user).filter(owner__name__iexact=owner, name__iexact=rest).first()
    elif kind == "collection":
        item = collections.find(user, owner, rest)
    else:
        raise HubError(400, f"A collection has Spaces and collections here, and no '{kind[:40]}'.")
    if item is None:
        raise HubError(404, f"There is no {kind} '{name[:200]}'.")
    return item


def _whole(request: HttpRequest, found: Collection) -> dict[str, Any]:
    """With all its items, and its position among its owner's."""
    again = collections.whole(current_caller(request).user, found)
    return {**_described(request, again), "position": again.position}


def _described(request: HttpRequest, one: Collection, most: int | None = None) -> dict[str, Any]:
    owner = one.owner
    here = base_url(request)
    return {
        "slug": collections.slug(one),
        "title": one.title,
        "description": one.description or None,
        "owner": {
            "name": owner.name,
            "fullname": owner.full_name or owner.name,
            "type": owner.kind,
            "avatarUrl": profiles.avatar(here),
        },
        "items": [_item(row) for row in list(one.items.all())[:most]],
        "lastUpdated": date(one.updated_at),
        "gating": False,
        "private": one.private,
        "theme": one.theme,
        "upvotes": 0,
        "isUpvotedByUser": False,
        "shareUrl": f"{here}/collections/{collections.slug(one)}",
    }


def _item(row: CollectionItem) -> dict[str, Any]:
    about: dict[str, Any] = {"_id": row.key, "position": row.position}
    if row.note:
        about["note"] = {"text": row.note, "html": ""}
    if row.nested is not None:
        nested = row.nested
        return {
            **about,
            "type": "collection",
            "id": nested.key,
            "slug": collections.slug(nested),
            "title": nested.title,
        }
    space = row.space
    assert space is not None
    return {
        **about,
        "type": "space",
        "id": str(space),
        "author": space.owner.name,
        "title": space.title or space.name,
        "emoji": space.emoji,
        "likes": space.likes,
        "private": space.visibility == "private",
        "sdk": space.sdk,
        "lastModified": date(space.last_modified),
    }
