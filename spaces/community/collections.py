"""Collections: Spaces, and other collections, that an owner shows together."""

from __future__ import annotations

import re
import secrets
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Max, Prefetch, Q, QuerySet
from django.utils.text import slugify

from accounts import access
from accounts.models import Membership, Owner
from spaces import permissions
from spaces.models import Collection, CollectionItem, Space
from spaces.search import visible

#: The Hub's. The first one is a new collection's.
THEMES = ("orange", "blue", "green", "purple", "pink", "indigo")
TITLE, DESCRIPTION, NOTE = 100, 150, 500  # characters
MOST_OF_AN_OWNER, MOST_ITEMS = 1000, 1000
_SLUG = re.compile(r"(?:[^/\0]*-)?([0-9a-f]{24})")


class BadCollection(ValueError):
    """No collection can be so; the message gives the reason."""


class Full(BadCollection):
    """There is no room for another one."""


class Already(BadCollection):
    """It is in the collection."""


def slug(collection: Collection) -> str:
    """Its address: `alice/my-title-<key>`. With another title the key still leads there."""
    words = slugify(collection.title)
    return (
        f"{collection.owner.name}/{words}-{collection.key}"
        if words
        else f"{collection.owner.name}/{collection.key}"
    )


def seen(user: access.Account) -> QuerySet[Collection]:
    """The collections this user (or nobody) may see, each with its owner."""
    found = Collection.objects.select_related("owner")
    if user is None or not user.is_authenticated:
        return found.filter(private=False)
    if getattr(user, "is_superuser", False):
        return found
    mine = Membership.objects.filter(user_id=user.pk).values("owner")
    return found.filter(Q(private=False) | Q(owner__in=mine))


def find(user: access.Account, owner: str, name: str) -> Collection | None:
    """The collection at this address, or at one that it had under an earlier title."""
    found = _SLUG.fullmatch(name)
    if found is None or "\0" in owner:
        return None
    return seen(user).filter(key=found[1], owner__name__iexact=owner).first()


def with_items(user: access.Account, found: QuerySet[Collection]) -> QuerySet[Collection]:
    """The same collections, each with its items as far as this user may see what they are."""
    shown = Q(space__in=visible(user)) | Q(nested__in=seen(user))
    items = CollectionItem.objects.filter(shown).order_by("position", "pk")
    items = items.select_related("space__owner", "nested__owner")
    return found.prefetch_related(Prefetch("items", items))


def whole(user: access.Account, collection: Collection) -> Collection:
    """This collection as it is now, with its items as far as this user may see them."""
    return with_items(user, Collection.objects.select_related("owner")).get(pk=collection.pk)


def containing(found: QuerySet[Collection], item: str) -> QuerySet[Collection]:
    """Those with the Space or the collection that `item` names as the Hub does (`spaces/alice/demo`)."""
    kind, _, name = item.replace("\0", "").partition("/")
    owner, _, rest = name.partition("/")
    if kind == "spaces" and (space := permissions.named(owner, rest)) is not None:
        return found.filter(items__space=space)
    if kind == "collections" and (nested := _SLUG.fullmatch(rest)):
        return found.filter(items__nested__key=nested[1])
    return found.none()


@transaction.atomic
def create(owner: Owner, *, title: str, description: str = "", private: bool = False) -> Collection:
    """A new, empty collection, the first one of its owner's list.

    Raises:
        BadCollection
    """
    Owner.objects.select_for_update().get(pk=owner.pk)
    if owner.collections.count() >= MOST_OF_AN_OWNER:
        raise Full(f"{owner} has {MOST_OF_AN_OWNER:,} collections, which is as many as there may be.")
    owner.collections.update(position=F("position") + 1)
    values = {"title": _title(title), "description": description, "private": private}
    return Collection.objects.create(owner=owner, key=_key(), theme=THEMES[0], **values)


def change(collection: Collection, values: dict[str, Any]) -> None:
    """Set `title`, `description`, `private`, `theme`, or its `position` (from 0) in its owner's list.

    Raises:
        BadCollection
    """
    if "title" in values:
        collection.title = _title(values["title"])
    if values.get("theme", THEMES[0]) not in THEMES:
        raise BadCollection(f"A theme is one of {', '.join(THEMES)}.")
    for name in ("description", "private", "theme"):
        setattr(collection, name, values.get(name, getattr(collection, name)))
    with transaction.atomic():
        collection.save(update_fields=["title", "description", "private", "theme", "updated_at"])
        if "position" in values:
            rows = collection.owner.collections.select_for_update().order_by("position", "pk")
            _move(list(rows), collection, values["position"])
            collection.refresh_from_db(fields=["position"])


@transaction.atomic
def add(collection: Collection, item: Space | Collection, note: str = "") -> CollectionItem:
    """Add it as the last one.

    Raises:
        Already: it is in there, and stays as it is.
        BadCollection
    """
    Collection.objects.select_for_update().get(pk=collection.pk)
    here = {"space": item} if isinstance(item, Space) else {"nested": item}
    if item == collection:
        raise BadCollection("A collection cannot contain itself.")
    if collection.items.filter(**here).exists():
        raise Already("It is in this collection already.")
    about = collection.items.aggregate(number=Count("pk"), last=Max("position"))
    if about["number"] >= MOST_ITEMS:
        raise Full(f"The collection has {MOST_ITEMS:,} items, which is as many as there may be.")
    position = 0 if about["last"] is None else about["last"] + 1
    made = CollectionItem.objects.create(
        collection=collection, key=_key(), position=position, note=note, **here
    )
    collection.save(update_fields=["updated_at"])
    return made


@transaction.atomic
def change_item(item: CollectionItem, *, note: str | None = None, position: int | None = None) -> None:
    """Set its note, or move it to a position (from 0)."""
    if note is not None:
        item.note = note
        item.save(update_fields=["note"])
    if position is not None:
        _move(list(item.collection.items.select_for_update().order_by("position", "pk")), item, position)
    item.collection.save(update_fields=["updated_at"])


def remove(item: CollectionItem) -> None:
    """Take it out."""
    item.delete()
    item.collection.save(update_fields=["updated_at"])


def _title(title: str) -> str:
    title = " ".join(title.split())
    if not title:
        raise BadCollection("A collection needs a title.")
    return title


def _move(rows: list[Any], row: Any, position: int) -> None:
    """Number these rows anew, with this one at the position; past the end it is the last."""
    rows.remove(row)
    rows.insert(position, row)
    for number, one in enumerate(rows):
        one.position = number
    type(row).objects.bulk_update(rows, ["position"])


def _key() -> str:
    return secrets.token_hex(12)
