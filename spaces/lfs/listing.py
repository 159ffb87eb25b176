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
BRANCHES = 20  # searched; each takes a walk through all its files
SHAS_AT_ONCE = 1000  # as the official client has it


@hub("GET")
def lfs_files(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The Space's large files, the newest first; with `filename` and `ref` where a branch has them now."""
    space = writable(request, owner, name)
    start = number(request.GET.get("cursor"), 0, 10**9)
    rows = list(space.large_files.order_by("-held_at", "-pk")[start : start + PAGE + 1])
    locations = _locations(space)
    answer = ok(
        [
            {
                "fileOid": row.oid,
                "oid": row.oid,
                "filename": location.path,
                "ref": location.ref,
                "pushedAt": date(row.held_at),
                "size": row.size_bytes,
            }
            for row in rows[:PAGE]
            for location in [locations.get(row.oid, NOWHERE)]
        ]
    )
    if len(rows) > PAGE:
        answer["Link"] = link_to_next(request, cursor=start + PAGE)
    return answer


class _Location(NamedTuple):
    """Where a large file is."""

    path: str
    ref: str | None


NOWHERE = _Location("", None)


def _locations(space: Space) -> dict[str, _Location]:
    """One location of each large file in a branch: in `main`, if it is there."""
    branches, _ = references.refs(space.pk)
    found: dict[str, _Location] = {}
    for name in sorted(branches, key=lambda name: (name != BRANCH, name))[:BRANCHES]:
        for entry in files.tree(space.pk, branches[name], recursive=True) or []:
            if entry.pointer is not None:
                found.setdefault(entry.pointer.oid, _Location(entry.path, f"refs/heads/{name}"))
    return found


class _Deletions(msgspec.Struct):
    sha: list[str]
    rewriteHistory: bool = False  # the wire's name


class _Delete(msgspec.Struct):
    deletions: _Deletions


@hub("POST")
def delete(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Remove these from the Space. With `rewriteHistory` branches and tags lose their pointers too."""
    space = writable(request, owner, name)
    deletions = read_json(request, _Delete).deletions
    if len(deletions.sha) > SHAS_AT_ONCE:
        raise HubError(413, f"Delete at most {SHAS_AT_ONCE:,} files at once.")
    if deletions.rewriteHistory:
        _rewrite_history(space, set(deletions.sha))
    gone, _ = space.large_files.filter(oid__in=deletions.sha).delete()
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
