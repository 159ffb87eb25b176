"""The Files and Logs tabs. Pushed files are shown as text or cleaned Markdown, never as their HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hardware import logs
from hardware.log_lines import MAX_LINES
from hardware.redis_keys import LogKind
from spaces.git import repository
from spaces.lfs import files
from spaces.models import Space
from spaces.views.common import readable, writable
from spaces.views.pages import space_context
from spaces.views.prose import prose

SHOWN_BYTES = 512 * 1024
SHOWN_ROWS = 1000
SHOWN_COMMITS = 100
README_BYTES = 256 * 1024
PICTURES = {"avif", "bmp", "gif", "ico", "jpeg", "jpg", "png", "svg", "webp"}


@require_safe
def folder(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The repository's root, with its README below."""
    space = readable(request, owner, name)
    return _folder(request, space, "")


@require_safe
def item(request: HttpRequest, owner: str, name: str, path: str) -> HttpResponse:
    """A folder or a file."""
    space = readable(request, owner, name)
    sha = _shown(request, space)
    entry = files.find(space.pk, sha, path) if sha else None
    if entry is None:
        raise Http404("There is no such file in this Space.")
    if not entry.is_file:
        return _folder(request, space, path.strip("/"))
    content = files.read(space.pk, sha, entry) if entry.size <= SHOWN_BYTES else None
    text = _text(content)
    context = _context(request, space, path) | {
        "entry": entry,
        "text": text,
        "lines": "\n".join(str(n) for n in range(1, text.count("\n") + 2)) if text is not None else "",
        "too_large": entry.size > SHOWN_BYTES,
        # As a picture alone: in an <img> no SVG runs its scripts.
        "picture": path.rpartition(".")[2].lower() in PICTURES,
    }
    if path.endswith(".md") and text is not None:
        context["prose"] = prose(space.owner_id, entry.oid, text)
    return render(request, "spaces/file.html", context)


def _folder(request: HttpRequest, space: Space, path: str) -> HttpResponse:
    sha = _shown(request, space)
    entries = repository.tree(space.pk, sha, path, sized=None) if sha else []
    if entries is None:
        raise Http404("There is no such folder in this Space.")
    entries.sort(key=lambda e: (e.is_file, e.path))
    readme = next((e for e in entries if e.is_file and _name(e).lower() == "readme.md"), None)
    readme = files.find(space.pk, sha, readme.path) if readme is not None else None
    text: str | None = None
    if readme is not None and readme.size <= README_BYTES:
        text = _text(files.read(space.pk, sha, readme))
    shown = files.with_sizes(space.pk, entries[:SHOWN_ROWS])
    rows = [(e, _name(e)) for e in shown]
    last = repository.log(space.pk, sha, limit=1) if sha else []
    context = _context(request, space, path) | {
        "rows": rows,
        "more": len(entries) - len(rows),
        "prose": prose(space.owner_id, readme.oid, text) if readme is not None and text else None,
        "readme": text,
        "last": last[0] if last else None,
        "last_at": datetime.fromtimestamp(last[0].date, UTC) if last else None,
        "platform_url": f"{request.scheme}://{request.get_host()}",
    }
    return render(request, "spaces/files.html", context)


@require_safe
def history(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The newest commits, each with the files as they were."""
    space = readable(request, owner, name)
    sha = _shown(request, space)
    commits = repository.log(space.pk, sha, limit=SHOWN_COMMITS + 1) if sha else []
    rows = [(one, datetime.fromtimestamp(one.date, UTC)) for one in commits[:SHOWN_COMMITS]]
    more = len(commits) > SHOWN_COMMITS
    context = _context(request, space, "") | {"rows": rows, "more": more}
    return render(request, "spaces/commits.html", context)


def _shown(request: HttpRequest, space: Space) -> str:
    """The commit requested with `?revision=`, else the one that runs; empty before the first push.

    Raises:
        Http404
    """
    if not (revision := request.GET.get("revision", "")):
        return space.sha
    try:
        return repository.resolve(space.pk, revision)
    except repository.UnknownRevision as error:
        raise Http404("There is no such revision in this Space.") from error


def _name(entry: repository.Entry) -> str:
    return entry.path.rpartition("/")[2]


def _context(request: HttpRequest, space: Space, path: str) -> dict[str, Any]:
    parts = [part for part in path.split("/") if part]
    crumbs = [(part, "/".join(parts[: at + 1])) for at, part in enumerate(parts)]
    revision = request.GET.get("revision", "")
    return space_context(request, space, "files") | {
        "crumbs": crumbs,
        "path": path,
        "revision": revision,
        "at": f"?{urlencode({'revision': revision})}" if revision else "",
    }


def _text(content: bytes | None) -> str | None:
    """The file as text; None for what is none."""
    if content is None or b"\0" in content[:8000]:
        return None
    return content.decode("utf-8", "replace")


@require_safe
def log(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The Logs tab; the lines come by server-sent events, the last ones with the page."""
    space = writable(request, owner, name)
    built = space.stage in ("BUILDING", "BUILD_ERROR", "RUNNING_BUILDING")
    kind = request.GET.get("kind") or ("build" if built else "run")
    if kind not in ("build", "run"):
        raise Http404("There are a build log and a run log.")
    build = space.builds.order_by("-pk").first()
    old = _ended_build(space) if kind == "build" and not logs.tail("build", space.pk, 1) else ""
    context = space_context(request, space, "logs") | {"kind": kind, "build": build, "old": old}
    return render(request, "spaces/logs.html", context)


@require_safe
def log_download(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """A log as a text file, each line with its time."""
    space = writable(request, owner, name)
    kind: LogKind = "build" if request.GET.get("kind") == "build" else "run"
    lines = [
        f"{datetime.fromtimestamp(entry.at, UTC).isoformat(timespec='milliseconds')}  {entry.text}"
        for entry in logs.tail(kind, space.pk, MAX_LINES)
    ]
    text = "\n".join([*lines, ""]) if lines or kind == "run" else _ended_build(space)
    answer = HttpResponse(text, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{space.owner.name}-{space.name}-{kind}.log"'
    return answer


def _ended_build(space: Space) -> str:
    build = space.builds.order_by("-pk").first()
    return build.log if build is not None else ""
