"""The Hub's routes that write files: validate, preupload, commit."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from hardware.tiers import UnknownTier, tier
from spaces import card, lifecycle
from spaces.api.commit_lines import Operation, operations
from spaces.api.hub import (
    HubError,
    base_url,
    hub,
    ok,
    read_json,
    segments,
    signed_in,
    writable,
)
from spaces.api.missing import NO_PULL_REQUESTS
from spaces.git import commits, locks, references, repository
from spaces.git.ignored import Ignore
from spaces.git.repository_paths import check_path
from spaces.lfs import files, store
from spaces.lfs.attributes import Attributes
from spaces.lfs.changes import LargeFiles, attributes_of
from spaces.models import Space

NO_METADATA = "empty or missing yaml metadata in repo card"  # the Hub's words
README_LIMIT = 4 * 1024 * 1024
PREUPLOAD_LIMIT = 4 * 1024 * 1024
FILES_IN_A_COMMIT = 10_000
FILES_AT_ONCE = 1000  # in one request; the official client sends 256
LARGE_BYTES = 10 * 1000 * 1000  # files above are sent by LFS, as on the Hub


@hub("POST")
def validate_yaml(request: HttpRequest) -> HttpResponse:
    content = read_json(request, _Readme, most=README_LIMIT).content
    try:
        given = card.parse(content).raw
    except card.CardError as error:
        return ok({"errors": [{"message": str(error)}], "warnings": []}, status=400)
    warnings = ([] if given else [NO_METADATA]) + _unknown_hardware(given)
    return ok({"errors": [], "warnings": [{"message": warning} for warning in warnings]})


def _unknown_hardware(given: dict[str, Any]) -> list[str]:
    """What is wrong with the hardware that a card suggests. No error: its Space may come from elsewhere."""
    suggested = given.get("suggested_hardware")
    try:
        return [f"suggested_hardware: {suggested}"] if suggested and not tier(str(suggested)) else []
    except UnknownTier as error:
        return [f"suggested_hardware: {error}"]


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
    """How to send which files: as ordinary ones (`regular`) or by LFS. What is too large is refused here,
    where the client first sends the sizes."""
    space = writable(request, owner, name)
    _no_pull_request(request)
    branch = _branch(space, segments(request, 5)[0])
    payload = read_json(request, _Preupload, most=PREUPLOAD_LIMIT)
    if len(payload.files) > FILES_AT_ONCE:
        raise HubError(400, f"Ask for at most {FILES_AT_ONCE:,} files at once.")
    ignored = Ignore(payload.gitIgnore if payload.gitIgnore is not None else _gitignore(space))
    head = repository.resolve(space.pk, branch)
    paths = [check_path(file.path) for file in payload.files]
    there = {e.path: e for e in files.find_all(space.pk, head, paths) if e.is_file}
    rules = Attributes(attributes_of(space, head))
    answers = []
    for file in payload.files:
        skip = ignored.matches(file.path)
        mode = "regular" if skip else _mode(file, rules)
        oid = _known(there[file.path], mode) if file.path in there else None
        answers.append({"path": file.path, "uploadMode": mode, "shouldIgnore": skip, "oid": oid})
    large = {one["path"] for one in answers if one["uploadMode"] == "lfs"}
    if large and (fault := store.fault(sum(file.size for file in payload.files if file.path in large))):
        raise HubError(507, fault)
    return ok({"files": answers})


def _mode(file: _File, rules: Attributes) -> str:
    """As the Hub decides."""
    limit = settings.SPACEPORT_LFS_FILE_LIMIT_BYTES
    if file.size > limit:
        raise HubError(
            413,
            f"'{file.path}' has {file.size:,} bytes; files of at most {limit:,} bytes can be uploaded. "
            "Fetch large files when the app starts, or ask the administrator to raise the limit.",
        )
    if file.size > settings.SPACEPORT_UPLOAD_LIMIT_BYTES:
        return "lfs"
    large = file.size > LARGE_BYTES or (file.size > 0 and rules.by_lfs(file.path))
    return "lfs" if large else "regular"


def _known(entry: repository.Entry, mode: str) -> str | None:
    """The digest that the client compares its file with: git's id of an ordinary file, the SHA-256 of a large
    one."""
    if mode == "lfs":
        return entry.pointer.oid if entry.pointer else None
    return entry.oid if entry.pointer is None else None


def _gitignore(space: Space) -> str:
    raw = repository.read_blob(space.pk, space.sha, ".gitignore")
    return raw.decode("utf-8", "replace") if raw else ""


@hub("POST")
def commit(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """One commit: NDJSON, a line an operation, stored as it comes."""
    space = writable(request, owner, name)
    _no_pull_request(request)
    branch = _branch(space, segments(request, 5)[0])
    caller = signed_in(request)
    user = caller.user
    assert user is not None
    changes = commits.Changes(space.pk)
    large = LargeFiles(space, caller.elsewhere, changes, branch)
    header = _Header()
    most = settings.SPACEPORT_UPLOAD_LIMIT_BYTES
    for operation in operations(request.read, most=most, count=FILES_IN_A_COMMIT):
        if operation.key == "header":
            header = msgspec.convert(operation.value, _Header)
        else:
            _apply(changes, large, operation)
    large.finish()
    message = header.summary or "Upload files"
    if header.description:
        message = f"{message}\n\n{header.description}"
    try:
        oid = changes.commit(message, author=user.username, branch=branch, parent=header.parentCommit or None)
    except KeyError as error:
        text = f"A file with this name doesn't exist: {error.args[0]}"
        raise HubError(404, text, "EntryNotFound") from error
    except (commits.Stale, locks.Busy) as error:
        raise HubError(412, str(error)) from error
    if branch == repository.BRANCH and oid != space.sha:
        lifecycle.pushed(space, reloads=request.GET.get("hot_reload") == "1")
    url = f"{base_url(request)}/spaces/{space}/commit/{oid}"
    return ok({"success": True, "commitUrl": url, "commitOid": oid, "hookOutput": ""})


class _Header(msgspec.Struct):
    summary: str = ""
    description: str | None = None
    parentCommit: str | None = None  # the wire's name


def _apply(changes: commits.Changes, large: LargeFiles, operation: Operation) -> None:
    key, path = operation.key, operation.value.get("path")
    if not isinstance(path, str):
        raise HubError(400, f"The path of the operation '{key[:40]}' must be text.")
    match key:
        case "file":
            assert operation.content is not None
            with operation.content as content:
                large.add(path, content)
        case "deletedFile":
            changes.delete(check_path(path))
        case "deletedFolder":
            changes.delete_folder(check_path(path.rstrip("/")))
        case "lfsFile":
            large.point(path, operation.value)
        case _:
            raise HubError(400, f"There is no operation '{key[:40]}' in a commit.")


def _no_pull_request(request: HttpRequest) -> None:
    if request.GET.get("create_pr") == "1":
        raise HubError(403, NO_PULL_REQUESTS)


def _branch(space: Space, revision: str) -> str:
    branches, _ = references.refs(space.pk)
    if revision not in branches:
        text = f"There is no branch '{revision[:100]}'."
        raise HubError(404, text, "RevisionNotFound")
    return revision
