"""The Hub's routes about who one is and which Spaces there are."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import access
from accounts.models import Membership, Owner
from accounts.people import own_namespace
from hardware.models import Replica
from hardware.tiers import TIERS
from spaces import creation, lifecycle, names
from spaces.api.hub import (
    HubError,
    base_url,
    body,
    caller,
    date,
    hub,
    link_to_next,
    number,
    ok,
    readable,
    segments,
    signed_in,
    text,
    writable,
)
from spaces.git import repository
from spaces.models import Sdk, Space, Visibility

PAGE = 100
MOST_SLEEP_S = 10**9
VALUE_LIMIT = 64 * 1024  # characters
MOST_KEYS = 200
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


# --- who am I ---------------------------------------------------------------------------------------


@hub("GET")
def whoami(request: HttpRequest) -> HttpResponse:
    who = signed_in(request)
    assert who.user is not None
    organizations = Owner.objects.filter(memberships__user=who.user, kind=Owner.Kind.ORGANIZATION)
    token = {"displayName": who.token.name, "role": who.token.scope} if who.token else None
    return ok(
        {
            "type": "user",
            "id": str(who.user.pk),
            "name": who.user.username,
            "fullname": who.user.get_full_name() or who.user.username,
            "email": who.user.email or None,
            "isPro": False,
            "orgs": [
                {"type": "org", "name": o.name, "fullname": o.full_name or o.name} for o in organizations
            ],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


@hub("GET")
def auth_check(request: HttpRequest, owner: str, name: str, write: str = "") -> HttpResponse:
    writable(request, owner, name) if write else readable(request, owner, name)
    return ok()


# --- life cycle -------------------------------------------------------------------------------------


@hub("POST")
def create(request: HttpRequest) -> HttpResponse:
    who = signed_in(request)
    values = body(request)
    if values.get("type", "model") != "space":
        raise HubError(400, "Only Spaces live here: create it with repo_type='space'.")
    owner = _owner(request, values.get("organization"))
    if not who.may_write:
        raise HubError(403, "This token may only read. Make one with write access on the tokens page.")
    try:
        sdk = Sdk(values.get("sdk") or "gradio")
    except ValueError:
        raise HubError(400, f"sdk is '{values.get('sdk')}', but can be {', '.join(Sdk.values)}.") from None
    assert who.user is not None
    try:
        space = creation.create(
            owner,
            text(values, "name"),
            sdk=sdk,
            author=who.user.username,
            visibility=_visibility(values),
            **_settings(values),
        )
    except names.BadRepoId as error:
        raise HubError(400, str(error)) from error
    except creation.AlreadyExists as error:
        return _conflict(request, error)
    return ok({"url": _url(request, space), "name": str(space), "id": str(space.pk)})


def _settings(values: dict[str, Any]) -> dict[str, Any]:
    """What a new Space may be given besides its files."""
    return {
        "hardware": text(values, "hardware", most=64) if values.get("hardware") else "cpu",
        "sleep_time_s": sleep_seconds(values["sleepTimeSeconds"])
        if values.get("sleepTimeSeconds") is not None
        else None,
        "secrets": _pairs(values.get("secrets")),
        "variables": _pairs(values.get("variables")),
    }


def _conflict(request: HttpRequest, error: creation.AlreadyExists) -> HttpResponse:
    """The client takes the `url` where it was told that the Space may exist."""
    answer = ok({"error": str(error), "url": _url(request, error.space)}, status=409)
    answer["X-Error-Message"] = str(error)
    return answer


@hub("POST")
def duplicate(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """A copy with its history and variables; secrets stay behind."""
    source = readable(request, owner, name)
    who = signed_in(request)
    values = body(request)
    namespace, _, new_name = text(values, "repository", most=200).rpartition("/")
    target = _owner(request, namespace)
    if not who.may_write:
        raise HubError(403, "This token may only read. Make one with write access on the tokens page.")
    assert who.user is not None
    wanted = values.get("visibility") or values.get("private") is not None
    settings = _settings(values)
    settings["variables"] = {v.key: (v.value, v.description) for v in source.variables.all()} | settings[
        "variables"
    ]
    try:
        space = creation.duplicate(
            source,
            target,
            new_name,
            author=who.user.username,
            visibility=_visibility(values) if wanted else source.visibility,
            **settings,
        )
    except names.BadRepoId as error:
        raise HubError(400, str(error)) from error
    except creation.AlreadyExists as error:
        return _conflict(request, error)
    return ok({"url": _url(request, space), "filesCopyPending": False})


@hub("DELETE")
def delete(request: HttpRequest) -> HttpResponse:
    values = body(request)
    who = signed_in(request)
    assert who.user is not None
    owner = values.get("organization") or who.user.username
    lifecycle.delete(writable(request, str(owner), text(values, "name")))
    return ok()


@hub("PUT")
def change_settings(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = writable(request, owner, name)
    values = body(request)
    if "visibility" in values or "private" in values:
        space.visibility = _visibility(values)
        space.save(update_fields=["visibility", "last_modified"])
        lifecycle.visibility_changed(space)
    return ok({"visibility": space.visibility})


def _owner(request: HttpRequest, organization: Any) -> Owner:
    who = signed_in(request)
    assert who.user is not None
    if not organization:
        return own_namespace(who.user)
    owner = Owner.objects.filter(name__iexact=str(organization)).first()
    if owner is None or not access.can_write(who.user, owner.pk):
        raise HubError(403, f"You have no rights to create a Space under '{str(organization)[:100]}'.")
    return owner


def _visibility(values: dict[str, Any]) -> str:
    wanted = values.get("visibility") or ("private" if values.get("private") else "public")
    if wanted not in Visibility.values:
        raise HubError(400, f"visibility is '{str(wanted)[:40]}', but can be {', '.join(Visibility.values)}.")
    return str(wanted)


def sleep_seconds(value: Any) -> int | None:
    """A sleep time as the client sends it; None (-1 on the wire) is never.

    Raises:
        HubError
    """
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value <= MOST_SLEEP_S:
        raise HubError(400, f"A sleep time is a whole number of seconds up to {MOST_SLEEP_S:,}; -1 is never.")
    return value if value >= 0 else None


def _pairs(items: Any) -> dict[str, tuple[str, str]]:
    items = items or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise HubError(400, "secrets and variables are lists of {key, value}.")
    if len(items) > MOST_KEYS:
        raise HubError(400, f"A Space may have at most {MOST_KEYS} of these.")
    return {check_key(item.get("key")): value_and_description(item) for item in items}


def value_and_description(values: dict[str, Any]) -> tuple[str, str]:
    """Those of a secret or variable.

    Raises:
        HubError
    """
    about = text(values, "description", most=300) if values.get("description") else ""
    return text(values, "value", most=VALUE_LIMIT), about


def check_key(key: Any) -> str:
    """A name that an environment variable may have.

    Raises:
        HubError
    """
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise HubError(
            400, f"'{str(key)[:60]}' is no name for a variable: letters, digits and '_', at most 128."
        )
    return key


# --- reading ----------------------------------------------------------------------------------------


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


def visible(user: Any) -> QuerySet[Space]:
    """The Spaces this user (or nobody) may read."""
    found = Space.objects.all()
    if user is not None and user.is_authenticated and user.is_superuser:
        return found
    public = Q(visibility=Visibility.PUBLIC)
    if user is None or not user.is_authenticated:
        return found.filter(public)
    return found.filter(public | Q(owner__in=Membership.objects.filter(user=user).values("owner")))


def matching(found: QuerySet[Space], search: str) -> QuerySet[Space]:
    """Those whose name, owner, title or description has every word of the search."""
    for word in search.replace("/", " ").split()[:8]:
        found = found.filter(
            Q(name__icontains=word)
            | Q(owner__name__icontains=word)
            | Q(title__icontains=word)
            | Q(short_description__icontains=word)
        )
    return found


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


def _url(request: HttpRequest, space: Space) -> str:
    return f"{base_url(request)}/spaces/{space}"
