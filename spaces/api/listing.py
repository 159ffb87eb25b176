"""The Hub's routes about which Spaces there are, what each is, and on which hardware they may run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import access
from accounts.models import Membership
from hardware.models import Replica
from hardware.tiers import GIB, TIERS, Tier, choosing
from spaces import names
from spaces.api.hub import (
    HubError,
    base_url,
    current_caller,
    date,
    hub,
    link_to_next,
    number,
    ok,
    readable,
    segments,
    signed_in,
)
from spaces.building import hot_reload
from spaces.community import likes
from spaces.community import templates as space_templates
from spaces.git import repository, room
from spaces.lfs import files, holdings
from spaces.models import Sdk, Space, Stage, Visibility
from spaces.room import waits
from spaces.scaling import words
from spaces.search import matching, visible
from spaces.volumes import mounts

PAGE = 100
COSTLY_PAGE = 20
#: What a list may be sorted by.
ORDER = {
    "createdAt": "-created_at",
    "lastModified": "-last_modified",
    "likes": "-likes",
    "trendingScore": "-trend",
}
LINKS = ("models", "datasets")
SUMMARY = (
    "_id", "author", "sha", "lastModified", "createdAt", "private", "disabled", "gated", "likes",
    "trendingScore", "sdk", "tags", *LINKS, "host", "subdomain", "title", "region", "resourceGroup",
)  # fmt: skip
IN_LISTS = (*SUMMARY, "runtime")
#: All properties that a client may request (`expand`), besides the id.
PROPERTIES = (*IN_LISTS, "cardData", "siblings", "usedStorage")
COSTLY = {"siblings", "usedStorage"}  # read from the repository


@hub("GET")
def info(request: HttpRequest, owner: str, name: str, revision: str = "") -> HttpResponse:
    space = readable(request, owner, name)
    sha = repository.resolve(space.pk, segments(request, 5)[0]) if revision else space.sha
    writer = access.can_write(current_caller(request).user, space.owner_id)
    wanted = request.GET.getlist("expand")
    with_sizes = request.GET.get("blobs") == "true"
    return ok(_properties(request, space, sha, wanted or PROPERTIES, writer=writer, with_sizes=with_sizes))


@hub("GET")
def listing(request: HttpRequest) -> HttpResponse:
    caller = current_caller(request)
    every = likes.with_trend(visible(caller.user)).select_related("owner", "replica")
    found = _wanted(request, every).order_by(*_order(request))
    properties = request.GET.getlist("expand")
    if request.GET.get("full") == "true":
        properties = [*properties, *PROPERTIES]
    most = COSTLY_PAGE if COSTLY & set(properties) else PAGE
    start = number(request.GET.get("cursor"), 0, 10**9)
    limit = number(request.GET.get("limit"), most, most) or most
    page = list(found[start : start + limit + 1])
    own = access.written_by(caller.user, (space.owner_id for space in page))
    mounts.load(space for space in page if space.owner_id in own)
    answer = ok(
        [
            _properties(request, space, space.sha, properties or IN_LISTS, writer=space.owner_id in own)
            for space in page[:limit]
        ]
    )
    if len(page) > limit:
        answer["Link"] = link_to_next(request, cursor=start + limit)
    return answer


def _wanted(request: HttpRequest, found: QuerySet[Space]) -> QuerySet[Space]:
    """The entries that the query selects. Models and data sets are those that a card names."""
    if author := request.GET.get("author"):
        found = found.filter(owner__name__iexact=author)
    if search := request.GET.get("search"):
        found = matching(found, search)
    for wanted in request.GET.getlist("filter"):
        found = found.filter(Q(sdk=wanted) | Q(card__tags__contains=[wanted]))
    for kind in LINKS:
        for wanted in request.GET.getlist(kind):
            found = found.filter(**{f"card__{kind}__contains": [wanted]})
    if request.GET.get("linked") == "true":
        found = found.filter(card__has_any_keys=LINKS)
    return found


def _order(request: HttpRequest) -> list[str]:
    wanted = request.GET.get("sort") or "lastModified"
    if wanted not in ORDER:
        raise HubError(400, f"sort is '{wanted[:40]}', but can be {', '.join(ORDER)}.")
    if request.GET.get("direction", "-1") != "-1":
        raise HubError(400, "Lists are sorted in descending order; leave out direction.")
    return [ORDER[wanted], "-last_modified", "pk"]


@hub("GET")
def my_repositories(request: HttpRequest, owner: str = "") -> HttpResponse:
    caller = signed_in(request)
    mine = Membership.objects.filter(user=caller.user)
    if owner:
        mine = mine.filter(owner__name__iexact=owner)
    found = Space.objects.filter(owner__in=mine.values("owner")).select_related("owner")
    start = number(request.GET.get("cursor"), 0, 10**9)
    page = list(found.order_by("-last_modified", "pk")[start : start + PAGE + 1])
    answer = ok(
        [
            {
                "id": str(space),
                "type": "space",
                "updatedAt": date(space.last_modified),
                "visibility": space.visibility,
                "storage": (used := _used(space)),
                "storagePercent": 100 * used / settings.SPACEPORT_REPOSITORY_LIMIT_BYTES,
            }
            for space in page[:PAGE]
        ]
    )
    if len(page) > PAGE:
        answer["Link"] = link_to_next(request, cursor=start + PAGE)
    return answer


@hub("GET")
def hardware(request: HttpRequest) -> HttpResponse:
    """What the caller's Spaces may choose."""
    user = current_caller(request).user
    owners = Membership.objects.filter(user=user).values_list("owner_id", flat=True) if user else []
    offered = choosing.offered(owners)
    return ok([_hardware(tier) for tier in TIERS.values() if tier.name in offered])


def _hardware(tier: Tier) -> dict[str, Any]:
    gpu = {
        "type": "gpu",
        "model": tier.gpu,
        "quantity": "1",
        "vram": f"{tier.gpu_memory_bytes // GIB} GB",
        "manufacturer": "Nvidia",
    }
    # The Hub's prices are in this currency; ours follow in whichever it is.
    per_minute = tier.price_per_hour / 60 if settings.SPACEPORT_CURRENCY == "USD" else 0
    return {
        "name": tier.flavor,
        "prettyName": tier.title,
        "cpu": f"{tier.cpus:g} vCPU",
        "ram": f"{tier.memory_bytes // GIB} GB",
        "accelerator": gpu if tier.gpu else None,
        "unitCostMicroUSD": round(per_minute * 10**6),
        "unitCostUSD": float(per_minute),
        "unitLabel": "minute",
        "pricePerHour": {"amount": tier.price, "currency": settings.SPACEPORT_CURRENCY},
    }


@hub("GET")
def templates(request: HttpRequest) -> HttpResponse:
    return ok({"templates": [_template(one) for one in space_templates.every()]})


def _template(one: space_templates.SpaceTemplate) -> dict[str, Any]:
    return {"name": one.name, "repoId": one.id, "sdk": one.sdk, "preferredPrivate": False}


@hub("GET")
def agent_harnesses(request: HttpRequest) -> HttpResponse:
    """Every `hf` command requests once a day how to detect that a coding agent runs it. We offer no way."""
    return ok({"standardEnvVars": [], "harnesses": {}})


def _properties(
    request: HttpRequest,
    space: Space,
    sha: str,
    wanted: Iterable[str],
    *,
    writer: bool,
    with_sizes: bool = False,
) -> dict[str, Any]:
    """These of a Space's properties, at this commit, and its id.

    Raises:
        HubError: there is no such property.
    """
    made: dict[str, Callable[[], Any]] = {
        "runtime": lambda: runtime(space, writer=writer),
        "cardData": lambda: space.card or None,
        "siblings": lambda: _siblings(space, sha, with_sizes=with_sizes),
        "trendingScore": lambda: likes.trend(space),
        "usedStorage": lambda: _used(space),
    }
    plain = _summary(request, space) | {"sha": sha or None}
    value = {"id": str(space)}
    for name in wanted:
        if name not in PROPERTIES:
            raise HubError(400, f"expand is '{name[:40]}', but can be {', '.join(PROPERTIES)}.")
        value[name] = made[name]() if name in made else plain[name]
    return value


def _summary(request: HttpRequest, space: Space) -> dict[str, Any]:
    return {
        "_id": str(space.pk),
        "author": space.owner.name,
        "lastModified": date(space.last_modified),
        "createdAt": date(space.created_at),
        "private": space.visibility == Visibility.PRIVATE,
        "disabled": False,
        "gated": False,
        "likes": space.likes,
        "sdk": space.sdk,
        "tags": [space.sdk, *_texts(space, "tags")],
        **{kind: _texts(space, kind) for kind in LINKS},
        "host": names.program_url(space, base_url(request)),
        "subdomain": space.subdomain,
        "title": space.title or space.name,
        "region": None,
        "resourceGroup": None,
    }


def _used(space: Space) -> int:
    """Bytes of its repository, large files included."""
    return room.used(repository.folder_of(space.pk)) + holdings.used(space.pk)


def _texts(space: Space, key: str) -> list[str]:
    """A list of the card."""
    found = space.card.get(key)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def runtime(space: Space, *, writer: bool) -> dict[str, Any]:
    """The Hub's SpaceRuntime. The reason of a stage may quote the app's last lines, tracebacks with secrets
    included: only members with write access (who may also read the logs) get it."""
    replica = space.replica
    current = replica.tier if replica is not None and replica.state == Replica.State.READY else None
    return {
        "stage": space.stage,
        "sha": _running_sha(space, replica),
        "hardware": {
            "current": TIERS[current].flavor if current else None,
            "requested": TIERS[space.hardware].flavor,
        },
        "gcTimeout": space.sleep_time_s,
        "storage": None,
        "volumes": mounts.described(space) if writer else [],
        "devMode": False,
        "hotReloading": _reloading(space, replica),
        "errorMessage": (space.stage_reason or None) if writer else None,
        "simulated": bool(replica and replica.simulated),
        "waiting": _waiting(space),
        "replicas": {"current": words.current(space), "requested": space.replica_count},
        "domains": [{"domain": f"{space.subdomain}.{settings.SPACEPORT_DEMO_DOMAIN}", "stage": "READY"}],
    }


def _waiting(space: Space) -> dict[str, Any] | None:
    """Our own addition: its place in line for hardware, and seconds until there is likely room, if known."""
    if space.stage not in (Stage.APP_STARTING, Stage.RUNNING_APP_STARTING) or not (wait := waits.of(space)):
        return None
    return {"place": wait.place, "of": wait.of, "reason": wait.reason, "likelyS": wait.likely_s}


def _running_sha(space: Space, replica: Replica | None) -> str | None:
    """The commit that visitors meet."""
    if space.sdk == Sdk.STATIC:
        return space.sha or None
    if replica is None or replica.state != Replica.State.READY:
        return None
    return hot_reload.running_sha(space, replica)


def _reloading(space: Space, replica: Replica | None) -> dict[str, Any] | None:
    """The Hub's SpaceHotReloading, where the head of `main` was taken by the process that serves."""
    if replica is None or not replica.reload or replica.reload["sha"] != space.sha:
        return None
    if replica.reload["status"] == "untouched":
        return None
    return {"status": "created", "replicaStatuses": [[str(replica.pk), "created"]]}


def _siblings(space: Space, sha: str, *, with_sizes: bool) -> list[dict[str, Any]]:
    if not sha:
        return []
    sized = slice(None) if with_sizes else None
    entries = files.tree(space.pk, sha, recursive=True, sized=sized) or []
    return [_sibling(e, with_sizes=with_sizes) for e in entries if e.is_file]


def _sibling(file: repository.Entry, *, with_sizes: bool) -> dict[str, Any]:
    value: dict[str, Any] = {"rfilename": file.path}
    if with_sizes:
        value |= {"size": file.size, "blobId": file.oid}
    if large := file.pointer:
        value["lfs"] = {"sha256": large.oid, "size": large.size, "pointerSize": file.pointer_size}
    return value
