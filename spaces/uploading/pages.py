"""Takes what was dropped on the Files tab, or on the page of a Space that has no app yet."""

from __future__ import annotations

from typing import IO, cast

import msgspec
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from spaces import lifecycle
from spaces.git import commits, locks, repository
from spaces.git.bounds import TooMuch
from spaces.git.repository_paths import BadPath
from spaces.git.room import NoRoom
from spaces.lfs.changes import LargeFiles
from spaces.lfs.store import Refused
from spaces.models import Space
from spaces.uploading.dropped import BadUpload, placed
from spaces.views.common import writable

MESSAGE_CHARS = 300


@require_POST
def upload(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Commit the files, and lead to where the commit shows: the Space's page, which follows its start, or,
    with the reason, back to the Files tab."""
    space = writable(request, owner, name)
    try:
        count = _committed(request, space)
    except (BadUpload, BadPath, TooMuch, Refused, NoRoom, locks.Busy, commits.Stale) as error:
        messages.error(request, f"Nothing was uploaded. {error}")
        return _next(request, f"/{space}/files")
    messages.success(request, f"{count:,} file{'' if count == 1 else 's'} uploaded. The version starts now.")
    return _next(request, f"/{space}")


def _next(request: HttpRequest, path: str) -> HttpResponse:
    """The page that shows the message. A script opens it itself: if its request were redirected there, the
    message would be shown to nobody."""
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"next": path})
    return redirect(path)


def _committed(request: HttpRequest, space: Space) -> int:
    """How many files are in the commit."""
    changes = commits.Changes(space.pk)
    large = LargeFiles(space, request.user, changes, repository.BRANCH)
    most, count = settings.SPACEPORT_UPLOAD_LIMIT_BYTES, 0
    folder = request.POST.get("folder", "").strip().strip("/")
    for file in placed(_files(request), folder, most_bytes=settings.SPACEPORT_PUSH_LIMIT_BYTES):
        if file.content.seek(0, 2) > most:
            raise BadUpload(f"'{file.path[:200]}' has more than {most:,} bytes: hf upload takes large files.")
        large.add(file.path, file.content)
        count += 1
    large.finish()
    if not count:
        raise BadUpload("Of these files none belongs into a Space.")
    message = request.POST.get("message", "").strip()[:MESSAGE_CHARS] or "Upload files"
    before = space.sha
    oid = changes.commit(message, author=request.user.get_username())
    if oid != before:
        lifecycle.pushed(space)
    return count


def _files(request: HttpRequest) -> list[tuple[str, IO[bytes]]]:
    """With their paths, which the page sends beside them: a browser names a file without its folder."""
    files = request.FILES.getlist("files")
    try:
        paths = msgspec.json.decode(request.POST.get("paths") or "[]", type=list[str])
    except msgspec.DecodeError as error:
        raise BadUpload("The paths of the files cannot be read.") from error
    if paths and len(paths) != len(files):
        raise BadUpload("Some of the files did not arrive. Try again.")
    names = paths or [file.name or "" for file in files]
    return [(name, cast("IO[bytes]", file)) for name, file in zip(names, files, strict=True)]
