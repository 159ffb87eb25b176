"""The Hub's routes for the large files of a Space by themselves: what there is, and how some of it goes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from django.http import HttpRequest, HttpResponse

from spaces import lifecycle
from spaces.api.hub import HubError, date, hub, link_to_next, number, ok, read_json, writable
from spaces.git import locks, references, repository, rewriting
from spaces.git.repository import BRANCH
from spaces.lfs import files
from spaces.lfs.references import pointers
from spaces.models import Space

PAGE = 1000
BRANCHES = 20  # looked through; each is a walk through all its files
SHAS_AT_ONCE = 1000  # as the official client has it


@hub("GET")
def lfs_files(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """What the Space holds, the newest first; `filename` and `ref` of those that a branch has now."""
    space = writable(request, owner, name)
    start = number(request.GET.get("cursor"), 0, 10**9)
    rows = list(space.large_files.order_by("-held_at", "-pk")[start : start + PAGE + 1])
    places = _places(space)
    answer = ok(
        [
            {
                "fileOid": row.oid,
                "oid": row.oid,
                "filename": place.path,
                "ref": place.ref,
                "pushedAt": date(row.held_at),
                "size": row.size_bytes,
            }
            for row in rows[:PAGE]
            for place in [places.get(row.oid, NOWHERE)]
        ]
    )
    if len(rows) > PAGE:
        answer["Link"] = link_to_next(request, cursor=start + PAGE)
    return answer


class _Place(NamedTuple):
    """Where a large file is."""

    path: str
    ref: str | None


NOWHERE = _Place("", None)


def _places(space: Space) -> dict[str, _Place]:
    """Of each large file a place in a branch: in `main`, where it is there."""
    branches, _ = references.refs(space.pk)
    found: dict[str, _Place] = {}
    for name in sorted(branches, key=lambda name: (name != BRANCH, name))[:BRANCHES]:
        for entry in files.tree(space.pk, branches[name], recursive=True) or []:
            if entry.pointer is not None:
                found.setdefault(entry.pointer.oid, _Place(entry.path, f"refs/heads/{name}"))
    return found


class _Deletions(msgspec.Struct):
    sha: list[str]
    rewriteHistory: bool = False  # the wire's name


class _Delete(msgspec.Struct):
    deletions: _Deletions


@hub("POST")
def delete(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Let go of these. With `rewriteHistory` branches and tags lose their pointers too."""
    space = writable(request, owner, name)
    asked = read_json(request, _Delete).deletions
    if len(asked.sha) > SHAS_AT_ONCE:
        raise HubError(413, f"Delete at most {SHAS_AT_ONCE:,} files at once.")
    if asked.rewriteHistory:
        _rewrite_history(space, set(asked.sha))
    gone, _ = space.large_files.filter(oid__in=asked.sha).delete()
    return ok({"deleted": gone})


def _rewrite_history(space: Space, oids: set[str]) -> None:
    there = [blob for blob, oid in pointers(space).items() if oid in oids]
    if not there:
        return
    try:
        rewriting.without(space.pk, there)
    except locks.Busy as error:
        raise HubError(412, str(error)) from error
    if repository.head(space) != space.sha:
        lifecycle.pushed(space)
