"""The editor of the Files tab: one file as text, saved as a commit. For members with write access."""

from __future__ import annotations

import io
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from spaces import lifecycle
from spaces.git import commits, locks, repository
from spaces.git.bounds import TooMuch
from spaces.git.repository_paths import BadPath, check_path
from spaces.lfs import files
from spaces.lfs.changes import LargeFiles
from spaces.lfs.store import Refused
from spaces.models import Sdk, Space
from spaces.views.common import writable
from spaces.views.files import SHOWN_BYTES
from spaces.views.pages import space_context

MESSAGE_CHARS = 300
NO_TEXT = "This file is no UTF-8 text, or larger than an editor shows well. Upload another one instead."
CHANGED = "Somebody changed this file since you opened it. Save again to put your text in place of theirs."


class NotSaved(Exception):
    """The message gives the reason, and what to do."""


@require_safe
def new(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """A file that is to be made, named by a form."""
    space = writable(request, owner, name)
    path = request.GET.get("path", "").strip().strip("/")
    return redirect("edit", space.owner.name, space.name, path) if path else redirect("files", owner, name)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def edit(request: HttpRequest, owner: str, name: str, path: str) -> HttpResponse:
    """Show a file's text, or save it."""
    space = writable(request, owner, name)
    try:
        check_path(path)
    except BadPath as error:
        raise Http404(str(error)) from error
    if request.method != "POST":
        return _page(request, space, path, _text(space, path) or "")
    text = request.POST.get("text", "")
    try:
        oid = _saved(request, space, path, text)
    except NotSaved as error:
        space.refresh_from_db()
        return _page(request, space, path, text, str(error))
    messages.success(request, _saved_message(space, oid))
    return redirect("file", space.owner.name, space.name, path)


def _page(request: HttpRequest, space: Space, path: str, text: str, error: str = "") -> HttpResponse:
    parts = path.split("/")
    context: dict[str, Any] = {
        "path": path,
        "crumbs": [(part, "/".join(parts[: at + 1])) for at, part in enumerate(parts)],
        "text": text,
        "error": error,
        "exists": files.find(space.pk, space.sha, path) is not None,
        "parent": space.sha,
        "message": request.POST.get("message", ""),
    }
    status = 422 if error else 200
    return render(
        request, "spaces/editor.html", space_context(request, space, "files") | context, status=status
    )


def _text(space: Space, path: str) -> str | None:
    """The file's text; None where there is none.

    Raises:
        Http404: it cannot be edited here.
    """
    entry = files.find(space.pk, space.sha, path) if space.sha else None
    if entry is None:
        return None
    content = files.read(space.pk, space.sha, entry) if entry.is_file and entry.size <= SHOWN_BYTES else None
    try:
        if content is None or b"\0" in content:
            raise Http404(NO_TEXT)
        return content.decode()
    except UnicodeDecodeError as error:
        raise Http404(NO_TEXT) from error


def _saved(request: HttpRequest, space: Space, path: str, text: str) -> str:
    """Commit this text; the commit.

    Raises:
        NotSaved
    """
    before = _text(space, path)
    # Browsers send every line's end in their own way.
    text = text.replace("\r\n", "\n")
    if before is not None and "\r\n" in before:
        text = text.replace("\n", "\r\n")
    content = text.encode()
    if len(content) > SHOWN_BYTES:
        raise NotSaved(f"The text has {len(content):,} bytes; an editor takes {SHOWN_BYTES:,}.")
    message = request.POST.get("message", "").strip()[:MESSAGE_CHARS]
    message = message or f"{'Create' if before is None else 'Update'} {path}"
    changes = commits.Changes(space.pk)
    large = LargeFiles(space, request.user, changes, repository.BRANCH)
    try:
        large.add(path, io.BytesIO(content))
        large.finish()
        oid = _committed(space, changes, path, message, request)
    except (BadPath, TooMuch, Refused, locks.Busy) as error:
        raise NotSaved(str(error)) from error
    if oid != space.sha:
        lifecycle.pushed(space)
    return oid


def _committed(space: Space, changes: commits.Changes, path: str, message: str, request: HttpRequest) -> str:
    """Upon the commit that the editor showed, or a later one in which this file is the same."""
    shown, now = request.POST.get("parent", ""), repository.head(space)
    if shown != now and _oid(space, shown, path) != _oid(space, now, path):
        raise NotSaved(CHANGED)
    try:
        return changes.commit(message, author=request.user.get_username(), parent=now or None)
    except commits.Stale as error:
        raise NotSaved("Somebody else changed the Space at the same moment. Save again.") from error


def _oid(space: Space, commit: str, path: str) -> str | None:
    try:
        entry = repository.find(space.pk, repository.resolve(space.pk, commit), path, sized=False)
    except repository.UnknownRevision:
        return ""
    return entry.oid if entry is not None else None


def _saved_message(space: Space, oid: str) -> str:
    space.refresh_from_db()
    reload = space.replica.reload if space.replica is not None else None
    if space.sdk == Sdk.STATIC or (reload and (reload["sha"], reload["status"]) == (oid, "reloaded")):
        return f"Saved as {oid[:7]}: it is live."
    return f"Saved as {oid[:7]}. Its version starts beside the one that runs."
