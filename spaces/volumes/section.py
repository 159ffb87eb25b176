"""The Settings tab's part about volumes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from hardware.models import VolumeHome
from spaces import names
from spaces.card import CardError
from spaces.models import Space, Volume
from spaces.volumes import changes, mounts


def context(space: Space) -> dict[str, Any]:
    """What the section shows: where this Space has volumes, and all those of its owner."""
    found = list(Volume.objects.filter(owner=space.owner).prefetch_related("mounts__space__owner"))
    homes = {home.volume_id: home for home in VolumeHome.objects.filter(volume_id__in=[v.pk for v in found])}
    return {
        "mounts": space.mounts.select_related("volume__owner").order_by("path"),
        "volumes": [
            {
                "volume": volume,
                "held": homes.get(volume.pk),
                "users": sorted({str(mount.space) for mount in volume.mounts.all()}),
            }
            for volume in sorted(found, key=lambda one: one.name)
        ],
    }


def change(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    """Mount a volume, made where it is missing; unmount one; or delete one. What the template needs to show a
    refusal."""
    try:
        if number := _number(request.POST.get("unmount", "")):
            changes.unmount(space, number)
        elif number := _number(request.POST.get("delete", "")):
            for volume in Volume.objects.filter(owner=space.owner, pk=number):
                changes.delete(volume)
        else:
            _mount(request, space)
    except (mounts.Refused, names.BadRepoId) as error:
        return {"error": str(error), "typed": request.POST}
    except CardError as error:
        return {"error": f"Saved. The Space cannot restart, though: {error}"}
    return None


def _mount(request: HttpRequest, space: Space) -> None:
    name = request.POST.get("name", "").replace("\0", "").strip()
    volume = Volume.objects.filter(owner=space.owner, name__iexact=name).first()
    path, read_only = request.POST.get("path", "").strip().rstrip("/"), bool(request.POST.get("read_only"))
    new = mounts.Wanted(volume or Volume(owner=space.owner, name=name), path, read_only)
    wanted = mounts.checked([*mounts.now(space), new], tier=space.hardware, sdk=space.sdk)
    if volume is None:
        wanted[-1] = new._replace(volume=changes.create(space.owner, name))
    changes.mount(space, wanted)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
