"""The Hub's routes about the caller's account, and those that make, copy, change and delete a Space."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts import access
from accounts.models import AccessToken, Membership, Owner
from accounts.people import own_namespace
from hardware.tiers import tier
from spaces import creation, lifecycle, names, publishing
from spaces.api.hub import (
    ONLY_SPACES,
    HubError,
    base_url,
    body,
    current_caller,
    date,
    hub,
    ok,
    readable,
    signed_in,
    text,
    unlimited,
    writable,
)
from spaces.api.values import pairs, refuse_what_is_not_here, sleep_seconds, switch
from spaces.community import templates
from spaces.community.profiles import avatar
from spaces.models import Sdk, Space, Visibility
from spaces.volumes import mounts

# --- whoami -----------------------------------------------------------------------------------------


@hub("GET")
def whoami(request: HttpRequest) -> HttpResponse:
    caller = current_caller(request)
    if caller.token is not None and caller.token.space_id is not None:
        caller = caller.on(caller.token.space_id)
    if caller.user is None:
        caller = signed_in(request)
    assert caller.user is not None
    mine = Membership.objects.filter(user=caller.user, owner__kind=Owner.Kind.ORGANIZATION)
    organizations = mine.select_related("owner").order_by("owner__name")
    return ok(
        {
            "type": "user",
            "id": str(caller.user.pk),
            "name": caller.user.username,
            "fullname": caller.user.get_full_name() or caller.user.username,
            "email": caller.user.email or None,
            "avatarUrl": avatar(base_url(request)),
            "isPro": False,
            "orgs": [
                {
                    "type": "org",
                    "name": m.owner.name,
                    "fullname": m.owner.full_name or m.owner.name,
                    "avatarUrl": avatar(base_url(request)),
                    "roleInOrg": m.role,
                }
                for m in organizations
            ],
            "auth": {"type": "access_token", "accessToken": _token(caller.token)},
        }
    )


def _token(token: AccessToken | None) -> dict[str, Any] | None:
    """A token as the Hub describes it."""
    if token is None:
        return None
    described: dict[str, Any] = {"displayName": token.name, "role": token.scope}
    if token.expires_at is not None:
        described["expiresAt"] = date(token.expires_at)
    if token.space is not None:
        described["role"] = "fineGrained"
        entity = {"type": "space", "_id": str(token.space.pk), "name": str(token.space)}
        rights = ["repo.content.read"] + (["repo.write"] if token.scope == AccessToken.Scope.WRITE else [])
        described["fineGrained"] = {"scoped": [{"entity": entity, "permissions": rights}]}
    return described


@hub("GET")
def auth_check(request: HttpRequest, owner: str, name: str, write: str = "") -> HttpResponse:
    writable(request, owner, name) if write else readable(request, owner, name)
    return ok()


# --- life cycle -------------------------------------------------------------------------------------


@hub("POST")
def create(request: HttpRequest) -> HttpResponse:
    values = body(request)
    if values.get("type", "model") != "space":
        raise HubError(400, ONLY_SPACES)
    if (there := _of_its_token(request, values)) is not None:
        return _conflict(request, creation.AlreadyExists(there))
    caller = signed_in(request)
    owner = _owner(request, values.get("organization"))
    unlimited(request)
    try:
        sdk = Sdk(values.get("sdk") or "gradio")
    except ValueError:
        raise HubError(400, f"sdk is '{values.get('sdk')}', but can be {', '.join(Sdk.values)}.") from None
    assert caller.user is not None
    given: dict[str, Any] = {"sdk": sdk, "author": caller.user.username, "visibility": _visibility(values)}
    given |= _settings(values, owner, sdk)
    try:
        if values.get("template"):
            files = _template(text(values, "template", most=200)).files()
            space = creation.from_files(owner, text(values, "name"), files, **given)
        else:
            space = creation.create(owner, text(values, "name"), **given)
    except names.BadRepoId as error:
        raise HubError(400, str(error)) from error
    except creation.AlreadyExists as error:
        return _conflict(request, error)
    return ok({"url": _url(request, space), "name": str(space), "id": str(space.pk)})


def _template(word: str) -> templates.SpaceTemplate:
    found = templates.find(word)
    if found is None:
        there = ", ".join(one.id for one in templates.every())
        raise HubError(400, f"template: There is no '{word}', but there are: {there or 'none'}.")
    return found


def _of_its_token(request: HttpRequest, values: dict[str, Any]) -> Space | None:
    """The Space that the caller's token is for, if that is the one named: `hf upload` begins with its
    creation."""
    token = current_caller(request).token
    if token is None or token.space is None:
        return None
    named = f"{values.get('organization') or token.user.username}/{values.get('name')}"
    return token.space if named.lower() == str(token.space).lower() else None


def _settings(values: dict[str, Any], owner: Owner, sdk: str) -> dict[str, Any]:
    """What a new Space of this owner may be given besides its files."""
    refuse_what_is_not_here(values)
    hardware = tier(text(values, "hardware", most=64)).name if values.get("hardware") else "cpu"
    try:
        volumes = mounts.read(values.get("volumes"), owner, tier=hardware, sdk=sdk)
    except mounts.Refused as error:
        raise HubError(400, f"volumes: {error}") from error
    return {
        "hardware": hardware,
        "volumes": volumes,
        "sleep_time_s": sleep_seconds(values["sleepTimeSeconds"])
        if values.get("sleepTimeSeconds") is not None
        else None,
        "secrets": pairs(values.get("secrets")),
        "variables": pairs(values.get("variables")),
    }


def _conflict(request: HttpRequest, error: creation.AlreadyExists) -> HttpResponse:
    """With `exist_ok` the client uses the `url` of this answer."""
    answer = ok({"error": str(error), "url": _url(request, error.space)}, status=409)
    answer["X-Error-Message"] = str(error)
    return answer


@hub("POST")
def duplicate(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """A copy with its history and variables; secrets stay behind."""
    source = readable(request, owner, name)
    caller = unlimited(request)
    values = body(request)
    if values.get("template"):
        raise HubError(400, "template: A copy begins with the files of its source.")
    namespace, _, new_name = text(values, "repository", most=200).rpartition("/")
    target = _owner(request, namespace)
    assert caller.user is not None
    wanted = values.get("visibility") or values.get("private") is not None
    settings = _settings(values, target, source.sdk)
    settings["variables"] = {v.key: (v.value, v.description) for v in source.variables.all()} | settings[
        "variables"
    ]
    try:
        space = creation.duplicate(
            source,
            target,
            new_name,
            author=caller.user.username,
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
    caller = signed_in(request)
    assert caller.user is not None
    owner = values.get("organization") or caller.user.username
    space = writable(request, str(owner), text(values, "name"))
    unlimited(request)
    lifecycle.delete(space)
    return ok()


@hub("POST")
def move(request: HttpRequest) -> HttpResponse:
    """Another name, another owner, or both."""
    values = body(request)
    if values.get("type") == "bucket":
        raise HubError(501, "Volumes are not renamed: make another, and copy in a Space that has both.")
    if values.get("type", "model") != "space":
        raise HubError(404, ONLY_SPACES, "RepoNotFound")
    before, _, old_name = text(values, "fromRepo", most=200).partition("/")
    namespace, _, name = text(values, "toRepo", most=200).partition("/")
    space = writable(request, before, old_name)
    unlimited(request)
    target = _owner(request, namespace)
    try:
        creation.move(space, target, name)
    except names.BadRepoId as error:
        raise HubError(400, str(error)) from error
    except creation.AlreadyExists as error:
        raise HubError(409, f"A space repository called {error.space} already exists.") from error
    except creation.HasVolumes as error:
        raise HubError(409, str(error)) from error
    return ok({"url": _url(request, space)})


@hub("PUT")
def change_settings(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = writable(request, owner, name)
    values = body(request)
    refuse_what_is_not_here(values)
    if "visibility" in values or "private" in values:
        space.visibility = _visibility(values)
        space.save(update_fields=["visibility", "last_modified"])
        publishing.publish(space)
    if "hotReload" in values:
        space.hot_reload = switch(values, "hotReload")
        space.save(update_fields=["hot_reload", "last_modified"])
    return ok({"visibility": space.visibility, "hotReload": space.hot_reload})


def _owner(request: HttpRequest, organization: Any) -> Owner:
    caller = signed_in(request)
    assert caller.user is not None
    if not organization:
        return own_namespace(caller.user)
    owner = Owner.objects.filter(name__iexact=str(organization)).first()
    if owner is None or not access.can_write(caller.user, owner.pk):
        raise HubError(403, f"You have no rights to create a Space under '{str(organization)[:100]}'.")
    return owner


def _visibility(values: dict[str, Any]) -> str:
    wanted = values.get("visibility") or ("private" if values.get("private") else "public")
    if wanted not in Visibility.values:
        raise HubError(400, f"visibility is '{str(wanted)[:40]}', but can be {', '.join(Visibility.values)}.")
    return str(wanted)


def _url(request: HttpRequest, space: Space) -> str:
    return f"{base_url(request)}/spaces/{space}"
