"""The Hub's routes for volumes, which its clients call buckets, and for those of a Space."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts import access
from accounts.models import Owner
from accounts.people import own_namespace
from hardware.models import VolumeHome
from spaces import names
from spaces.api.hub import (
    READ_ONLY,
    HubError,
    base_url,
    body,
    date,
    hub,
    not_found,
    ok,
    signed_in,
    writable,
)
from spaces.api.values import refuse_what_is_not_here
from spaces.card import CardError
from spaces.models import Volume
from spaces.volumes import changes, mounts


@hub("PUT", "DELETE")
def of_space(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Which volumes a Space has."""
    space = writable(request, owner, name)
    if (token := signed_in(request).token) is not None and token.space_id is not None:
        raise HubError(403, f"This token is for {space} alone, and volumes are its owner's.")
    if request.method == "DELETE" and not space.mounts.exists():
        raise HubError(400, f"{space} has no volumes mounted.")
    items = [] if request.method == "DELETE" else body(request).get("volumes")
    try:
        changes.mount(space, mounts.read(items, space.owner, tier=space.hardware, sdk=space.sdk))
    except mounts.Refused as error:
        raise HubError(400, str(error)) from error
    except CardError as error:
        raise HubError(400, f"Mounted. The Space cannot restart, though: {error}") from error
    return ok({"volumes": mounts.described(space)})


@hub("GET")
def listing(request: HttpRequest, owner: str) -> HttpResponse:
    """The volumes of an owner, for its members."""
    found = _owner(request, owner).volumes.select_related("owner").order_by("name")
    if search := request.GET.get("search"):
        found = found.filter(name__icontains=search)
    return ok(_described(list(found)))


@hub("GET", "POST", "DELETE")
def one(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Make a volume, describe it, or delete it with all its contents."""
    caller = signed_in(request)
    namespace = _owner(request, owner)
    if request.method != "GET":
        if not access.can_write(caller.user, namespace.pk):
            raise HubError(403, f"You have no rights to make or delete volumes of {namespace}.")
        if not caller.may_write:
            raise HubError(403, READ_ONLY)
    if request.method == "POST":
        return _create(request, namespace, name)
    found = Volume.objects.select_related("owner").filter(owner=namespace)
    volume = found.filter(name__iexact=name.replace("\0", "")).first()
    if volume is None:
        raise not_found(caller)
    if request.method == "GET":
        return ok(_described([volume])[0])
    try:
        changes.delete(volume)
    except changes.InUse as error:
        raise HubError(409, str(error)) from error
    return ok()


def _create(request: HttpRequest, owner: Owner, name: str) -> HttpResponse:
    values = body(request)
    refuse_what_is_not_here(values)
    if values.get("visibility", "private") != "private":
        raise HubError(400, "A volume is private: Spaces of its owner read and write it, and nobody else.")
    try:
        volume = changes.create(owner, name)
    except changes.AlreadyExists as error:
        answer = ok({"error": str(error), "url": _url(request, f"{owner}/{name}")}, status=409)
        answer["X-Error-Message"] = str(error)
        return answer
    except (names.BadRepoId, mounts.Refused) as error:
        raise HubError(400, str(error)) from error
    return ok({"url": _url(request, str(volume)), "name": str(volume), "id": str(volume.pk)})


def _owner(request: HttpRequest, name: str) -> Owner:
    """The owner; the caller must be a member of it."""
    caller = signed_in(request)
    assert caller.user is not None
    if name == "me":
        return own_namespace(caller.user)
    owner = Owner.objects.filter(name__iexact=name.replace("\0", "")).first()
    if owner is None or not access.can_read(caller.user, owner.pk, "private"):
        raise not_found(caller)
    return owner


def _url(request: HttpRequest, volume: str) -> str:
    return f"{base_url(request)}/buckets/{volume}"


def _described(volumes: list[Volume]) -> list[dict[str, Any]]:
    homes = VolumeHome.objects.filter(volume_id__in=[volume.pk for volume in volumes])
    uses = {home.volume_id: (home.size_bytes, home.files) for home in homes}
    return [
        {
            "_id": str(volume.pk),
            "id": str(volume),
            "author": volume.owner.name,
            "private": True,
            "createdAt": date(volume.created_at),
            "size": uses.get(volume.pk, (0, 0))[0],
            "totalFiles": uses.get(volume.pk, (0, 0))[1],
        }
        for volume in volumes
    ]
