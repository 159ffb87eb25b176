"""The Versions tab: every build with its log, and the way back to one. For members with write access."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from hardware import logs
from hardware.log_lines import MAX_LINES
from hardware.models import Replica
from spaces import lifecycle
from spaces.building import leases, versions
from spaces.git import repository, room
from spaces.lfs import holdings
from spaces.models import Build, Space
from spaces.views.common import writable
from spaces.views.pages import space_context

SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Version:
    """One build. `runs`: visitors meet it now; `is_warm`: it still runs and can be gone back to at once."""

    build: Build
    title: str
    author: str
    runs: bool
    is_warm: bool

    @property
    def can_run(self) -> bool:
        """Whether it can be gone back to."""
        return self.build.status == Build.Status.SUCCEEDED and not self.runs

    @property
    def is_open(self) -> bool:
        """Whether it can be cancelled."""
        return self.build.status in (Build.Status.QUEUED, Build.Status.RUNNING)


def _versions(space: Space) -> list[Version]:
    ready = space.replicas.filter(wanted=True, state=Replica.State.READY, reloaded_to="", beside=None)
    warm = set(ready.values_list("build_id", flat=True))
    serving = space.replica.build_id if space.replica is not None and space.replica_id else None
    is_ready = space.replica is not None and space.replica.state == Replica.State.READY
    found = []
    for build in space.builds.defer("log").order_by("-pk")[:SHOWN]:
        commits = _commit(space, build.sha)
        found.append(
            Version(
                build=build,
                title=commits[0].title if commits else "",
                author=commits[0].author if commits else "",
                runs=build.pk == serving and is_ready,
                is_warm=build.pk in warm,
            )
        )
    return found


def _disk(space: Space) -> dict[str, int]:
    """Bytes on disk. What Spaces share, a large file or an environment, counts for each of them."""
    kept = {build.sha: build.size_bytes or 0 for build in space.builds.filter(artifact__isnull=False)}
    return {
        "repository": room.used(repository.folder_of(space.pk)),
        "large files": holdings.used(space.pk),
        "kept builds": sum(kept.values()),
    }


def _commit(space: Space, sha: str) -> list[repository.CommitInfo]:
    """One, or none after the history was written anew without it."""
    try:
        return repository.log(space.pk, repository.resolve(space.pk, sha), limit=1)
    except repository.UnknownRevision:
        return []


@require_safe
@never_cache
def page(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The whole tab."""
    space = writable(request, owner, name)
    context = space_context(request, space, "versions") | {
        "versions": _versions(space),
        "disk": _disk(space),
    }
    return render(request, "spaces/versions.html", context)


@require_safe
@never_cache
def version(request: HttpRequest, owner: str, name: str, build_id: int) -> HttpResponse:
    """One build and its log."""
    space = writable(request, owner, name)
    build = _build(space, build_id)
    context = space_context(request, space, "versions") | {"build": build, "log": _log(build)}
    return render(request, "spaces/version.html", context)


@require_safe
def log_file(request: HttpRequest, owner: str, name: str, build_id: int) -> HttpResponse:
    """The log of one build as a text file."""
    build = _build(writable(request, owner, name), build_id)
    answer = HttpResponse(_log(build), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{owner}-{name}-{build.sha[:7]}.log"'
    return answer


@require_POST
def roll_back(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Go back to a version."""
    space = writable(request, owner, name)
    sha = request.POST.get("sha", "")
    try:
        versions.roll_back(space, sha)
    except versions.CannotRollBack as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"{space} goes back to {sha[:7]}.")
    return redirect("versions", space.owner.name, space.name)


@require_POST
def cancel(request: HttpRequest, owner: str, name: str, build_id: int) -> HttpResponse:
    """Cancel a build."""
    space = writable(request, owner, name)
    if leases.cancel(space.pk, build_id):
        lifecycle.build_cancelled(space, build_id)
        messages.success(request, "The build is cancelled.")
    else:
        messages.error(request, "This build has ended already.")
    return redirect("versions", space.owner.name, space.name)


def _build(space: Space, build_id: int) -> Build:
    build = space.builds.filter(pk=build_id).first()
    if build is None:
        raise Http404("There is no such build of this Space.")
    return build


def _log(build: Build) -> str:
    """Kept with its row once it has ended; until then it is what the Logs tab streams."""
    if build.log or build.finished_at is not None:
        return build.log
    return "\n".join(entry.text for entry in logs.tail("build", build.space_id, MAX_LINES))
