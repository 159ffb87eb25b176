"""The Hub's routes about which Spaces there are, what each is, and on which hardware they may run."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from accounts import access
from accounts.models import Membership
from hardware.models import Replica
from hardware.tiers import TIERS
from spaces import names
from spaces.api.hub import (
    base_url,
    caller,
    date,
    hub,
    link_to_next,
    number,
    ok,
    readable,
    segments,
    signed_in,
)
from spaces.git import repository
from spaces.models import Space, Visibility
from spaces.search import matching, visible

PAGE = 100


@hub("GET")
def info(request: HttpRequest, owner: str, name: str, revision: str = "") -> HttpResponse:
    space = readable(request, owner, name)
    sha = repository.resolve(space.pk, segments(request, 5)[0]) if revision else space.sha
    with_sizes = request.GET.get("blobs") == "true"
    value = summary(request, space) | {
        "sha": sha,
        "cardData": space.card or None,
        "siblings": _siblings(space, sha, with_sizes=with_sizes),
        "runtime": runtime(space, writer=access.can_write(caller(request).user, space.owner_id)),
        "usedStorage": None,
    }
    expand = request.GET.getlist("expand")
    if expand:
        value = {key: value[key] for key in ("id", *expand) if key in value}
    return ok(value)


@hub("GET")
def listing(request: HttpRequest) -> HttpResponse:
    who = caller(request)
    found = visible(who.user).select_related("owner", "replica").order_by("-last_modified", "pk")
    if author := request.GET.get("author"):
        found = found.filter(owner__name__iexact=author)
    if search := request.GET.get("search"):
        found = matching(found, search)
    for wanted in request.GET.getlist("filter"):
        found = found.filter(Q(sdk=wanted) | Q(card__tags__contains=[wanted]))
    start = number(request.GET.get("cursor"), 0, 10**9)
    limit = number(request.GET.get("limit"), PAGE, PAGE) or PAGE
    page = list(found[start : start + limit + 1])
    own = access.written_by(who.user, (space.owner_id for space in page))
    answer = ok(
        [
            summary(request, space) | {"runtime": runtime(space, writer=space.owner_id in own)}
            for space in page[:limit]
        ]
    )
    if len(page) > limit:
        answer["Link"] = link_to_next(request, cursor=start + limit)
    return answer


@hub("GET")
def my_repositories(request: HttpRequest, owner: str = "") -> HttpResponse:
    who = signed_in(request)
    mine = Membership.objects.filter(user=who.user)
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
                "storage": 0,
                "storagePercent": 0,
            }
            for space in page[:PAGE]
        ]
    )
    if len(page) > PAGE:
        answer["Link"] = link_to_next(request, cursor=start + PAGE)
    return answer


@hub("GET")
def hardware(request: HttpRequest) -> HttpResponse:
    return ok(
        [
            {
                "name": tier.flavor,
                "prettyName": tier.title,
                "cpu": f"{tier.cpus:g} vCPU",
                "ram": f"{tier.memory_bytes // 1024**3} GB",
                "accelerator": {
                    "type": "gpu",
                    "model": tier.gpu,
                    "quantity": "1",
                    "vram": f"{tier.gpu_memory_bytes // 1024**3} GB",
                    "manufacturer": "Nvidia",
                }
                if tier.gpu
                else None,
                "unitCostMicroUSD": 0,
                "unitCostUSD": 0,
                "unitLabel": "minute",
            }
            for tier in TIERS.values()
        ]
    )


@hub("GET")
def templates(request: HttpRequest) -> HttpResponse:
    return ok({"templates": []})


@hub("GET")
def agent_harnesses(request: HttpRequest) -> HttpResponse:
    """Every `hf` command asks once a day how to tell that a coding agent runs it; nothing here does."""
    return ok({"standardEnvVars": [], "harnesses": {}})


def summary(request: HttpRequest, space: Space) -> dict[str, Any]:
    """What lists tell of a Space."""
    return {
        "_id": str(space.pk),
        "id": str(space),
        "author": space.owner.name,
        "sha": space.sha or None,
        "lastModified": date(space.last_modified),
        "createdAt": date(space.created_at),
        "private": space.visibility == Visibility.PRIVATE,
        "disabled": False,
        "gated": False,
        "likes": 0,
        "sdk": space.sdk,
        "tags": [space.sdk, *(t for t in space.card.get("tags") or [] if isinstance(t, str))],
        "host": names.program_url(space, base_url(request)),
        "subdomain": space.subdomain,
        "title": space.title or space.name,
    }


def runtime(space: Space, *, writer: bool) -> dict[str, Any]:
    """The Hub's SpaceRuntime. Why it is in its stage may be told in the app's own last words, tracebacks with
    secrets included: only who may write (and so read the logs) is told."""
    replica = space.replica
    current = replica.tier if replica is not None and replica.state == Replica.State.READY else None
    return {
        "stage": space.stage,
        "hardware": {
            "current": TIERS[current].flavor if current else None,
            "requested": TIERS[space.hardware].flavor,
        },
        "gcTimeout": space.sleep_time_s,
        "storage": None,
        "devMode": False,
        "errorMessage": (space.stage_reason or None) if writer else None,
        "simulated": bool(replica and replica.simulated),
        "replicas": {"current": 1 if current else 0, "requested": 1},
        "domains": [{"domain": f"{space.subdomain}.{settings.SPACEPORT_DEMO_DOMAIN}", "stage": "READY"}],
    }


def _siblings(space: Space, sha: str, *, with_sizes: bool) -> list[dict[str, Any]]:
    if not sha:
        return []
    sized = slice(None) if with_sizes else None
    entries = repository.tree(space.pk, sha, recursive=True, sized=sized) or []
    if with_sizes:
        return [{"rfilename": e.path, "size": e.size, "blobId": e.oid} for e in entries if e.is_file]
    return [{"rfilename": e.path} for e in entries if e.is_file]
