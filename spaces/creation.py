"""Making a Space: its row, its repository with a first commit, its queue settings. And moving it."""

from __future__ import annotations

from typing import Any

import yaml
from django.db import IntegrityError, transaction

from accounts.models import Owner
from hardware.tiers import choosing
from queueing.models import QueueSettings
from spaces import lifecycle, names, publishing
from spaces.git import commits, repository
from spaces.lfs import holdings
from spaces.models import FormerName, Sdk, Secret, Space, Stage, Variable, Visibility
from spaces.room import tiers
from spaces.volumes import mounts
from spaces.volumes.mounts import Wanted
from spaces.webhooks import events

MOST_FORMER_NAMES = 10  # that lead to a Space


class AlreadyExists(Exception):
    """The owner has a Space of this name; `space` is it."""

    def __init__(self, space: Space) -> None:
        super().__init__(f"You already created this Space: {space}.")
        self.space = space


class HasVolumes(Exception):
    """The Space has volumes of its owner, which no other owner's Spaces have."""

    def __init__(self, space: Space) -> None:
        super().__init__(
            f"{space} has volumes of {space.owner} mounted, which only Spaces of {space.owner} may have. "
            f"Unmount them first: hf spaces volumes delete {space}"
        )


def create(
    owner: Owner,
    name: str,
    *,
    sdk: str,
    author: str,
    visibility: str = Visibility.PUBLIC,
    hardware: str = "cpu",
    sleep_time_s: int | None = None,
    secrets: dict[str, tuple[str, str]] | None = None,
    variables: dict[str, tuple[str, str]] | None = None,
    volumes: list[Wanted] | None = None,
    files: dict[str, bytes] | None = None,
) -> Space:
    """A new Space.

    Args:
        secrets, variables: name to (value, description).
        volumes: of this owner, checked.
        files: contents of the first commit; a README naming the SDK where not given.

    Raises:
        names.BadRepoId, hardware.tiers.UnknownTier, AlreadyExists
    """
    names.check_repo_name(name)
    try:
        with transaction.atomic():
            hardware = choosing.choose(hardware, owner.pk)
            space = Space.objects.create(
                owner=owner,
                name=name,
                subdomain=_free_subdomain(owner, name),
                sdk=Sdk(sdk),
                visibility=Visibility(visibility),
                hardware=hardware,
                sleep_time_s=sleep_time_s,
            )
            QueueSettings.objects.create(space=space)
            _fill(space, Secret, secrets or {})
            _fill(space, Variable, variables or {})
            mounts.add(space, volumes or [])
            space.sha = commits.create(space, author=author, files=files or _first_files(name, space.sdk))
            space.stage_reason = "Push an app to start this Space."
            space.save()
    except IntegrityError:
        there = Space.objects.filter(owner=owner, name__iexact=name).first()
        if there is None:
            raise
        raise AlreadyExists(there) from None
    return _announced(space)


def _announced(space: Space) -> Space:
    publishing.publish(space)
    events.created(space)
    return space


def _fill(space: Space, model: type[Secret | Variable], values: dict[str, tuple[str, str]]) -> None:
    for key, (value, description) in values.items():
        model._default_manager.create(space=space, key=key, value=value, description=description)


def _free_subdomain(owner: Owner, name: str) -> str:
    """The label of the demo host of this name, which leads to no Space any more that had it before."""
    FormerName.objects.filter(owner=owner, name__iexact=name).delete()
    return names.subdomain_for(owner.name, name)


def move(space: Space, owner: Owner, name: str) -> None:
    """Give a Space another name, owner or both. Its old addresses lead to it until somebody takes the name;
    what runs starts anew, for its environment names it.

    Raises:
        names.BadRepoId, hardware.tiers.UnknownTier, AlreadyExists, HasVolumes
    """
    names.check_repo_name(name)
    before = str(space)
    if (space.owner_id, space.name.lower()) == (owner.pk, name.lower()):
        Space.objects.filter(pk=space.pk).update(name=name)  # in other letters
    else:
        _take_name(space, owner, name)
    space.refresh_from_db()
    lifecycle.environment_changed(space)
    events.moved(space, before)


def _take_name(space: Space, owner: Owner, name: str) -> None:
    before = FormerName(space=space, owner=space.owner, name=space.name, subdomain=space.subdomain)
    try:
        with transaction.atomic():
            Space.objects.select_for_update().get(pk=space.pk)
            tiers.check(owner, space)
            if owner.pk != space.owner_id and space.mounts.exists():
                raise HasVolumes(space)
            subdomain = _free_subdomain(owner, name)
            Space.objects.filter(pk=space.pk).update(owner=owner, name=name, subdomain=subdomain)
            before.save()
            _forget_oldest_names(space)
    except IntegrityError:
        there = Space.objects.filter(owner=owner, name__iexact=name).first()
        if there is None:
            raise
        raise AlreadyExists(there) from None


def _forget_oldest_names(space: Space) -> None:
    """Free the oldest: unused former names must not block others."""
    rows = space.former_names.select_related("owner").order_by("-pk")[MOST_FORMER_NAMES:]
    publishing.withdraw_names(rows)
    FormerName.objects.filter(pk__in=[row.pk for row in rows]).delete()


def duplicate(
    source: Space,
    owner: Owner,
    name: str,
    *,
    author: str,
    visibility: str,
    hardware: str,
    sleep_time_s: int | None,
    secrets: dict[str, tuple[str, str]],
    variables: dict[str, tuple[str, str]],
    volumes: list[Wanted],
) -> Space:
    """A copy of a Space under another name, with its whole history on `main`, and built.

    Raises:
        names.BadRepoId, hardware.tiers.UnknownTier, AlreadyExists
    """
    space = create(
        owner,
        name,
        sdk=source.sdk,
        author=author,
        visibility=visibility,
        hardware=hardware,
        sleep_time_s=sleep_time_s,
        secrets=secrets,
        variables=variables,
        volumes=volumes,
    )
    holdings.copy(source.pk, space.pk)
    repository.copy(source, space)
    lifecycle.pushed(space)
    space.refresh_from_db()
    return space


def from_files(
    owner: Owner, name: str, files: dict[str, bytes], *, stage: Stage | None = None, **options: Any
) -> Space:
    """A Space with these files as its first version; built at once, or left at `stage` (SLEEPING: built
    for its first visitor). `options` are those of `create`, which raises the same."""
    space = create(owner, name, files=files, **{"sdk": Sdk.GRADIO, "author": owner.name, **options})
    if not lifecycle.read_push(space):
        return space
    if stage is None or space.sdk == Sdk.STATIC:
        lifecycle.build(space)
    else:
        space.stage, space.stage_reason = stage, ""
        space.save(update_fields=["stage", "stage_reason"])
        publishing.publish(space)
    return space


def _first_files(name: str, sdk: str) -> dict[str, bytes]:
    front = yaml.safe_dump({"title": name, "sdk": str(Sdk(sdk).value)}, sort_keys=False, allow_unicode=True)
    # No LFS rules: files of any kind are ordinary ones until they are large.
    return {"README.md": f"---\n{front}---\n".encode(), ".gitattributes": b"* text=auto eol=lf\n"}
