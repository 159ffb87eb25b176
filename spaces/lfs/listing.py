"""The Hub's routes for the large files of a Space by themselves: what there is, and how some of it goes."""

from __future__ import annotations

import msgspec
from django.http import HttpRequest, HttpResponse

from spaces.api.hub import HubError, date, hub, link_to_next, number, ok, read_json, writable
from spaces.git import repository
from spaces.git.repository import BRANCH
from spaces.lfs import files
from spaces.lfs.references import referenced
from spaces.models import Space

PAGE = 1000
SHAS_AT_ONCE = 1000  # as the official client has it


@hub("GET")
def lfs_files(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """What the Space holds, the newest first; `filename` and `ref` of those that are in `main` now."""
    space = writable(request, owner, name)
    start = number(request.GET.get("cursor"), 0, 10**9)
    rows = list(space.large_files.order_by("-held_at", "-pk")[start : start + PAGE + 1])
    paths = _paths(space)
    answer = ok(
        [
            {
                "fileOid": row.oid,
                "oid": row.oid,
                "filename": paths.get(row.oid, ""),
                "ref": f"refs/heads/{BRANCH}" if row.oid in paths else None,
                "pushedAt": date(row.held_at),
                "size": row.size_bytes,
            }
            for row in rows[:PAGE]
        ]
    )
    if len(rows) > PAGE:
        answer["Link"] = link_to_next(request, cursor=start + PAGE)
    return answer


def _paths(space: Space) -> dict[str, str]:
    """A path of each large file in `main`."""
    head = repository.head(space)
    entries = files.tree(space.pk, head, recursive=True) if head else None
    return {entry.pointer.oid: entry.path for entry in entries or [] if entry.pointer is not None}


class _Deletions(msgspec.Struct):
    sha: list[str]
    rewriteHistory: bool = False  # the wire's name


class _Delete(msgspec.Struct):
    deletions: _Deletions


@hub("POST")
def delete(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Let go of these. With `rewriteHistory` nothing may point at them any more: no history is rewritten."""
    space = writable(request, owner, name)
    asked = read_json(request, _Delete).deletions
    if len(asked.sha) > SHAS_AT_ONCE:
        raise HubError(413, f"Delete at most {SHAS_AT_ONCE:,} files at once.")
    if asked.rewriteHistory and (still := referenced(space) & set(asked.sha)):
        raise HubError(
            409,
            f"{len(still)} of these files are in a branch, a tag or a version that is kept ({min(still)}). "
            "Delete them in a commit and squash the history (super_squash_history) first; or pass "
            "rewrite_history=False, and only pointers are left of them.",
        )
    gone, _ = space.large_files.filter(oid__in=asked.sha).delete()
    return ok({"deleted": gone})
