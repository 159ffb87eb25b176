"""The Hub's routes that read files and history: tree, download, commits, branches and tags."""

from __future__ import annotations

import mimetypes
from datetime import UTC, datetime
from typing import Any

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    StreamingHttpResponse,
)
from django.utils.http import parse_etags

from accounts.throttle import address_of
from infra.byte_ranges import byte_range
from spaces.api.hub import (
    HubError,
    date,
    hub,
    link_to_next,
    number,
    ok,
    readable,
    segments,
)
from spaces.git import references, repository
from spaces.lfs import files
from spaces.models import Space

TREE_PAGE = 1000
EXPANDED_PAGE = 50
PATHS_AT_ONCE = 1000
COMMITS_PAGE = 50
MOST_COMMITS = 10_000  # listed of a history


@hub("GET")
def tree(request: HttpRequest, owner: str, name: str, rest: str) -> HttpResponse:
    space = readable(request, owner, name)
    revision, *path = segments(request, 5)
    sha = repository.resolve(space.pk, revision)
    folder = "/".join(path).strip("/")
    expand = request.GET.get("expand") == "true"
    size = EXPANDED_PAGE if expand else TREE_PAGE
    start = number(request.GET.get("cursor"), 0, 10**9)
    page = slice(start, start + size)
    recursive = request.GET.get("recursive") == "true"
    entries = files.tree(space.pk, sha, folder, recursive=recursive, sized=page)
    if entries is None:
        raise _no_entry(space, sha, folder)
    answer = ok(_described(space, sha, entries[page], expand=expand))
    if len(entries) > start + size:
        answer["Link"] = link_to_next(request, cursor=start + size)
    return answer


@hub("POST")
def paths_info(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    space = readable(request, owner, name)
    sha = repository.resolve(space.pk, segments(request, 5)[0])
    paths = dict.fromkeys(path.strip("/") for path in request.POST.getlist("paths"))
    if len(paths) > PATHS_AT_ONCE:
        raise HubError(400, f"Ask for at most {PATHS_AT_ONCE:,} paths at once.")
    entries = files.find_all(space.pk, sha, paths)
    return ok(_described(space, sha, entries, expand=request.POST.get("expand") == "true"))


def _described(
    space: Space, sha: str, entries: list[repository.Entry], *, expand: bool
) -> list[dict[str, Any]]:
    """The entries in the Hub's form, with the commit that last changed each if requested."""
    last = references.last_changes(space.pk, sha, [e.path for e in entries]) if expand else {}
    described = []
    for entry in entries:
        kind = "file" if entry.is_file else "directory"
        value: dict[str, Any] = {"type": kind, "path": entry.path, "oid": entry.oid, "size": entry.size}
        if large := entry.pointer:
            value["lfs"] = {"oid": large.oid, "size": large.size, "pointerSize": entry.pointer_size}
        if commit := last.get(entry.path):
            value["lastCommit"] = {"id": commit.oid, "title": commit.title, "date": _date(commit.date)}
        described.append(value)
    return described


@hub("GET", "HEAD")
def resolve(request: HttpRequest, owner: str, name: str, rest: str) -> HttpResponseBase:
    """A file's content, as `hf download` takes it."""
    space = readable(request, owner, name)
    revision, *path = segments(request, 4)
    sha = repository.resolve(space.pk, revision)
    file = "/".join(path)
    entry = files.find(space.pk, sha, file)
    if entry is None or not entry.is_file or entry.is_submodule:
        raise _no_entry(space, sha, file)
    etag = f'"{entry.pointer.oid if entry.pointer else entry.oid}"'
    has_it = etag in parse_etags(request.headers.get("If-None-Match", ""))
    answer = HttpResponseNotModified() if has_it else _part(request, space, sha, entry)
    answer["Content-Type"] = _harmless(file)
    answer["X-Repo-Commit"] = sha
    answer["ETag"] = etag
    if entry.pointer is not None:
        answer["X-Linked-Etag"], answer["X-Linked-Size"] = etag, str(entry.size)
    answer["Accept-Ranges"] = "bytes"
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Access-Control-Expose-Headers"] = "X-Repo-Commit, ETag, X-Linked-Etag, X-Linked-Size"
    return answer


def _part(request: HttpRequest, space: Space, sha: str, entry: repository.Entry) -> HttpResponseBase:
    """All of a file, or the one range requested; only its length for HEAD."""
    size = entry.size
    requested = byte_range(request.headers.get("Range", ""), size)
    if request.method == "HEAD" or requested is None:
        answer = HttpResponse() if request.method == "HEAD" else _content(request, space, sha, entry, 0, size)
        answer["Content-Length"] = str(size)
        return answer
    start, end = requested
    if start > end:
        answer = HttpResponse(status=416)
        answer["Content-Range"] = f"bytes */{size}"
        return answer
    answer = _content(request, space, sha, entry, start, end + 1 - start)
    answer.status_code = 206
    answer["Content-Length"] = str(end + 1 - start)
    answer["Content-Range"] = f"bytes {start}-{end}/{size}"
    return answer


def _content(
    request: HttpRequest, space: Space, sha: str, entry: repository.Entry, start: int, size: int
) -> HttpResponseBase:
    """So many bytes of a file; of a large one, as they are taken."""
    if entry.size > repository.READ_BYTES:
        return StreamingHttpResponse(files.stream(space.pk, entry, start, size, address_of(request)))
    content = files.read(space.pk, sha, entry) or b""
    return HttpResponse(content[start : start + size])


def _harmless(file: str) -> str:
    """The type to serve a stranger's file with on the platform's own host: nothing that runs there."""
    kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
    script = kind.endswith(("javascript", "xml")) and not kind.startswith("image/")
    return "text/plain; charset=utf-8" if script or kind.startswith("text/") else kind


def _no_entry(space: Space, sha: str, path: str) -> HubError:
    text = f"'{path[:200]}' does not exist in {space} at {sha[:7]}."
    return HubError(404, text, "EntryNotFound", X_Repo_Commit=sha)


@hub("GET")
def commits(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    space = readable(request, owner, name)
    sha = repository.resolve(space.pk, segments(request, 5)[0])
    page = number(request.GET.get("p"), 0, MOST_COMMITS // COMMITS_PAGE)
    found = repository.log(space.pk, sha, skip=page * COMMITS_PAGE, limit=COMMITS_PAGE + 1)
    formatted = "formatted" in request.GET.getlist("expand[]")
    answer = ok([_commit(c, formatted=formatted) for c in found[:COMMITS_PAGE]])
    if len(found) > COMMITS_PAGE:
        answer["Link"] = link_to_next(request, p=page + 1)
    return answer


def _commit(commit: repository.CommitInfo, *, formatted: bool) -> dict[str, Any]:
    words = {"title": commit.title, "message": commit.message}
    value = {"id": commit.oid, **words, "date": _date(commit.date), "authors": [{"user": commit.author}]}
    return value | {"formatted": words} if formatted else value


@hub("GET")
def refs(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = readable(request, owner, name)
    branches, tags = references.refs(space.pk)
    value: dict[str, Any] = {
        "branches": [_ref("heads", n, c) for n, c in branches.items()],
        "converts": [],
        "tags": [_ref("tags", n, c) for n, c in tags.items()],
    }
    if request.GET.get("include_prs"):
        value["pullRequests"] = []
    return ok(value)


def _ref(kind: str, name: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}


def _date(seconds: float) -> str:
    return date(datetime.fromtimestamp(seconds, UTC))
