"""Builds of a Space, and the way back to one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import Field

from accounts import access
from spaces import lifecycle
from spaces.api.deploy import space_of
from spaces.api.hub import HubError, current_caller, ok
from spaces.api.listing import runtime
from spaces.building import leases, versions
from spaces.git import repository
from spaces.models import Build, Space

router = Router()
SHOWN = 50


class Version(Schema):
    """One build of one commit."""

    id: int
    sha: str
    status: str = Field(description="queued, running, succeeded, failed or cancelled")
    reason: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    took_s: float | None = Field(description="Seconds from its beginning to its end.")
    size_bytes: int | None = Field(description="Bytes on disk of what it made; null where none is kept.")


class RollBack(Schema):
    """The version to go back to."""

    revision: str = Field(description="A commit, branch or tag that was built before.", max_length=255)


@router.get(
    "/spaces/{owner}/{name}/builds", response=list[Version], summary="The last 50 builds, newest first"
)
def get_builds(request: HttpRequest, owner: str, name: str) -> Any:
    space = _writable(request, owner, name)
    return list(space.builds.defer("log").order_by("-pk")[:SHOWN])


@router.get("/spaces/{owner}/{name}/builds/{build_id}/log", summary="The log of one build, once it has ended")
def get_log(request: HttpRequest, owner: str, name: str, build_id: int) -> HttpResponse:
    build = _build(_writable(request, owner, name), build_id)
    return HttpResponse(build.log, content_type="text/plain; charset=utf-8")


@router.delete("/spaces/{owner}/{name}/builds/{build_id}", response=Version, summary="Cancel a build")
def cancel(request: HttpRequest, owner: str, name: str, build_id: int) -> Any:
    space = space_of(request, owner, name, write=True)
    build = _build(space, build_id)
    if not leases.cancel(space.pk, build_id):
        raise HubError(409, f"Build {build_id} has ended: {build.get_status_display()}.")
    lifecycle.build_cancelled(space, build_id)
    build.refresh_from_db()
    return build


@router.post("/spaces/{owner}/{name}/rollback", summary="Run an earlier version until the next push")
def roll_back(request: HttpRequest, owner: str, name: str, wanted: RollBack) -> HttpResponse:
    space = space_of(request, owner, name, write=True)
    try:
        sha = repository.resolve(space.pk, wanted.revision)
        versions.roll_back(space, sha)
    except repository.UnknownRevision as error:
        raise HubError(
            404, f"There is no revision {wanted.revision} in {space}.", "RevisionNotFound"
        ) from error
    except versions.CannotRollBack as refusal:
        raise HubError(409, str(refusal)) from refusal
    return ok(runtime(Space.objects.select_related("owner", "replica").get(pk=space.pk), writer=True))


def _writable(request: HttpRequest, owner: str, name: str) -> Space:
    """Logs may contain secrets: only members with write access read them."""
    space = space_of(request, owner, name, write=False)
    if not access.can_write(current_caller(request).user, space.owner_id):
        raise HubError(403, f"Only members who can write to {space} see its builds.")
    return space


def _build(space: Space, build_id: int) -> Build:
    build = space.builds.filter(pk=build_id).first()
    if build is None:
        raise HubError(404, f"There is no build {build_id} of {space}.", "EntryNotFound")
    return build
