"""The Hub's routes about files: validate, preupload, commit, tree, download, history."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import mimetypes
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from dulwich.objects import Blob

from spaces import card, lifecycle, repository
from spaces.api.hub import (
    HubError,
    base_url,
    date,
    hub,
    ok,
    readable,
    segments,
    signed_in,
    writable,
)
from spaces.models import Space

README_LIMIT = 4 * 1024 * 1024
PREUPLOAD_LIMIT = 4 * 1024 * 1024
FILES_IN_A_COMMIT = 10_000
TREE_PAGE = 1000
COMMITS_PAGE = 50


# --- writing ----------------------------------------------------------------------------------------


@hub("POST")
def validate_yaml(request: HttpRequest) -> HttpResponse:
    raw = request.read(README_LIMIT + 1)
    if len(raw) > README_LIMIT:
        raise HubError(413, "This README is too large.")
    try:
        content = msgspec.json.decode(raw, type=_Readme).content
        card.parse(content)
    except msgspec.DecodeError as error:
        raise HubError(400, f"The body is no JSON: {error}") from error
    except card.CardError as error:
        return ok({"errors": [{"message": str(error)}], "warnings": []}, status=400)
    return ok({"errors": [], "warnings": []})


class _Readme(msgspec.Struct):
    content: str


class _File(msgspec.Struct):
    path: str
    size: int = 0
    sample: str = ""


class _Preupload(msgspec.Struct):
    files: list[_File]
    gitIgnore: str | None = None  # the wire's name


@hub("POST")
def preupload(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Which files to send: all of them as ordinary ones (`regular`), those over the limit refused here,
    where the client first tells their sizes."""
    space = writable(request, owner, name)
    _no_pull_request(request)
    branch = _branch(space, segments(request, 5)[0])
    raw = request.read(PREUPLOAD_LIMIT + 1)
    if len(raw) > PREUPLOAD_LIMIT:
        raise HubError(413, "Too many files in one request.")
    try:
        asked = msgspec.json.decode(raw, type=_Preupload)
    except msgspec.DecodeError as error:
        raise HubError(400, f"The body is not what preupload takes: {error}") from error
    ignored = _Ignore(asked.gitIgnore if asked.gitIgnore is not None else _gitignore(space))
    head = repository.resolve(space.pk, branch)
    return ok({"files": [_verdict(space, head, file, ignored) for file in asked.files]})


def _verdict(space: Space, head: str, file: _File, ignored: _Ignore) -> dict[str, Any]:
    repository.check_path(file.path)
    limit = settings.SPACEPORT_UPLOAD_LIMIT_BYTES
    skip = ignored.matches(file.path)
    if file.size > limit and not skip:
        raise HubError(
            413,
            f"'{file.path}' has {file.size:,} bytes; files of at most {limit:,} bytes can be uploaded. "
            "Fetch large files when the app starts, or ask the administrator to raise the limit.",
        )
    found = repository.find(space.pk, head, file.path)
    oid = found.oid if found is not None and found.is_file else None
    return {"path": file.path, "uploadMode": "regular", "shouldIgnore": skip, "oid": oid}


class _Ignore:
    """The common part of .gitignore: names, globs, folders, negation."""

    def __init__(self, text: str) -> None:
        lines = (line.strip() for line in text.splitlines())
        self.rules = [line for line in lines if line and not line.startswith("#")]

    def matches(self, path: str) -> bool:
        if path in {".gitignore", "README.md"}:
            return False
        hit = False
        for rule in self.rules:
            negated, pattern = rule.startswith("!"), rule.lstrip("!")
            if self._matches(path, pattern):
                hit = not negated
        return hit

    @staticmethod
    def _matches(path: str, pattern: str) -> bool:
        parts = path.split("/")
        folders = ["/".join(parts[:i]) for i in range(1, len(parts))]
        candidates = folders if pattern.endswith("/") else [*folders, path]
        pattern = pattern.rstrip("/")
        if "/" in pattern:
            return any(fnmatch.fnmatchcase(c, pattern.lstrip("/")) for c in candidates)
        return any(fnmatch.fnmatchcase(c.rpartition("/")[2], pattern) for c in candidates)


def _gitignore(space: Space) -> str:
    raw = repository.read_blob(space.pk, space.sha, ".gitignore")
    return raw.decode("utf-8", "replace") if raw else ""


@hub("POST")
def commit(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """One commit: NDJSON, a line an operation, stored as it comes."""
    space = writable(request, owner, name)
    _no_pull_request(request)
    branch = _branch(space, segments(request, 5)[0])
    changes = repository.Changes(space.pk)
    header: dict[str, Any] = {}
    for number, line in enumerate(_lines(request), 1):
        if number > FILES_IN_A_COMMIT:
            raise HubError(413, f"A commit may have at most {FILES_IN_A_COMMIT:,} operations.")
        _apply(changes, header, _operation(line, number))
    user = signed_in(request).user
    assert user is not None
    message = header.get("summary") or "Upload files"
    if description := header.get("description"):
        message = f"{message}\n\n{description}"
    try:
        oid = changes.commit(
            str(message), author=user.username, branch=branch, parent=header.get("parentCommit") or None
        )
    except KeyError as error:
        text = f"A file with this name doesn't exist: {error.args[0]}"
        raise HubError(404, text, "EntryNotFound") from error
    except repository.Stale as error:
        raise HubError(412, str(error)) from error
    if branch == repository.BRANCH and oid != space.sha:
        lifecycle.pushed(space)
    url = f"{base_url(request)}/spaces/{space}/commit/{oid}"
    return ok({"success": True, "commitUrl": url, "commitOid": oid, "hookOutput": ""})


def _lines(request: HttpRequest) -> Iterator[bytes]:
    """The body's lines; none longer than a file of the allowed size can be in base64."""
    longest = settings.SPACEPORT_UPLOAD_LIMIT_BYTES * 4 // 3 + 65536
    while line := request.readline(longest + 1):
        if len(line) > longest:
            limit = settings.SPACEPORT_UPLOAD_LIMIT_BYTES
            raise HubError(413, f"A file of this commit is over the limit of {limit:,} bytes.")
        if line.strip():
            yield line


def _operation(line: bytes, number: int) -> tuple[str, dict[str, Any]]:
    try:
        value = msgspec.json.decode(line)
        return str(value["key"]), dict(value["value"])
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise HubError(400, f"Line {number} of the commit is no operation: {error}") from error


def _apply(
    changes: repository.Changes, header: dict[str, Any], operation: tuple[str, dict[str, Any]]
) -> None:
    key, value = operation
    path = str(value.get("path", ""))
    match key:
        case "header":
            header.update(value)
        case "file":
            changes.add(path, _content(path, value))
        case "deletedFile":
            changes.delete(repository.check_path(path))
        case "deletedFolder":
            changes.delete_folder(repository.check_path(path.rstrip("/")))
        case "lfsFile":
            raise HubError(
                400, f"'{path}': large files (LFS) are not taken here; upload it as an ordinary one."
            )
        case _:
            raise HubError(400, f"There is no operation '{key[:40]}' in a commit.")


def _content(path: str, value: dict[str, Any]) -> bytes:
    content = value.get("content", "")
    if not isinstance(content, str):
        raise HubError(400, f"'{path}': its content must be text.")
    if value.get("encoding") != "base64":
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise HubError(400, f"'{path}': its content is no base64 ({error}).") from error


def _no_pull_request(request: HttpRequest) -> None:
    if request.GET.get("create_pr") == "1":
        raise HubError(400, "Pull requests are not supported here: commit to a branch.")


def _branch(space: Space, revision: str) -> str:
    branches, _ = repository.refs(space.pk)
    if revision not in branches:
        text = f"There is no branch '{revision[:100]}'."
        raise HubError(404, text, "RevisionNotFound")
    return revision


# --- reading ----------------------------------------------------------------------------------------


@hub("GET")
def tree(request: HttpRequest, owner: str, name: str, rest: str) -> HttpResponse:
    space = readable(request, owner, name)
    revision, *path = segments(request, 5)
    sha = repository.resolve(space.pk, revision)
    folder = "/".join(path).strip("/")
    entries = repository.tree(space.pk, sha, folder, recursive=request.GET.get("recursive") == "true")
    if entries is None:
        raise _no_entry(space, sha, folder)
    cursor = request.GET.get("cursor", "0")
    start = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 10 else 0
    last = repository.log(space.pk, sha, limit=1)[0] if request.GET.get("expand") == "true" else None
    answer = ok([_entry(e, last) for e in entries[start : start + TREE_PAGE]])
    if len(entries) > start + TREE_PAGE:
        query = request.GET.copy()
        query["cursor"] = str(start + TREE_PAGE)
        path_text = request.scope["raw_path"].decode() if hasattr(request, "scope") else request.path
        answer["Link"] = f'<{base_url(request)}{path_text}?{query.urlencode()}>; rel="next"'
    return answer


@hub("POST")
def paths_info(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    space = readable(request, owner, name)
    sha = repository.resolve(space.pk, segments(request, 5)[0])
    found = (repository.find(space.pk, sha, path.strip("/")) for path in request.POST.getlist("paths"))
    return ok([_entry(entry, None) for entry in found if entry is not None])


def _entry(entry: repository.Entry, last: repository.CommitInfo | None) -> dict[str, Any]:
    kind = "file" if entry.is_file else "directory"
    value: dict[str, Any] = {"type": kind, "path": entry.path, "oid": entry.oid, "size": entry.size}
    if last is not None:
        value["lastCommit"] = {"id": last.oid, "title": last.title, "date": _date(last.date)}
    return value


@hub("GET", "HEAD")
def resolve(request: HttpRequest, owner: str, name: str, rest: str) -> HttpResponse:
    """A file's content, as `hf download` takes it."""
    space = readable(request, owner, name)
    revision, *path = segments(request, 4)
    sha = repository.resolve(space.pk, revision)
    file = "/".join(path)
    content = repository.read_blob(space.pk, sha, file)
    if content is None:
        raise _no_entry(space, sha, file)
    content_type = mimetypes.guess_type(file)[0] or "application/octet-stream"
    # A stranger's page or picture on the platform's own host: shown as text, or sandboxed.
    if content_type.startswith("text/") or content_type in {
        "application/javascript",
        "application/xhtml+xml",
    }:
        content_type = "text/plain; charset=utf-8"
    answer = HttpResponse(b"" if request.method == "HEAD" else content, content_type=content_type)
    answer["Content-Length"] = str(len(content))
    answer["X-Repo-Commit"] = sha
    answer["ETag"] = f'"{Blob.from_string(content).id.decode()}"'
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Access-Control-Expose-Headers"] = "X-Repo-Commit, ETag"
    return answer


def _no_entry(space: Space, sha: str, path: str) -> HubError:
    text = f"'{path[:200]}' does not exist in {space} at {sha[:7]}."
    return HubError(404, text, "EntryNotFound", X_Repo_Commit=sha)


@hub("GET")
def commits(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    space = readable(request, owner, name)
    sha = repository.resolve(space.pk, segments(request, 5)[0])
    page = request.GET.get("p", "0")
    skip = int(page) * COMMITS_PAGE if page.isascii() and page.isdigit() and len(page) < 7 else 0
    found = repository.log(space.pk, sha, skip=skip, limit=COMMITS_PAGE + 1)
    answer = ok(
        [
            {
                "id": c.oid,
                "title": c.title,
                "message": c.message,
                "date": _date(c.date),
                "authors": [{"user": c.author}],
                "formatted": {"title": c.title, "message": c.message},
            }
            for c in found[:COMMITS_PAGE]
        ]
    )
    if len(found) > COMMITS_PAGE:
        query = request.GET.copy()
        query["p"] = str(int(page) + 1)
        answer["Link"] = f'<{base_url(request)}{request.path}?{query.urlencode()}>; rel="next"'
    return answer


@hub("GET")
def refs(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = readable(request, owner, name)
    branches, tags = repository.refs(space.pk)
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
