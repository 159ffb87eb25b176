"""git's smart HTTP for clone and push: git's own `http-backend` behind a view (gitprotocol-http(5)).

The backend is a CGI program: it gets a clean environment and the request's body, and answers headers,
a blank line, and the body. A push to `main` ends where an upload does, in `lifecycle.pushed`; what is fetched
is streamed (`git_packs`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from pathlib import Path
from typing import IO

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from accounts.auth import BadCredentials, Caller, caller_of
from accounts.throttle import address_of
from infra.folders import private
from spaces import lifecycle
from spaces.api import push_progress
from spaces.api.git_packs import RETRY_S, Pack
from spaces.api.hub import HubError, bad_credentials, base_url, readable, writable
from spaces.api.push_check import PAGE
from spaces.git import locks, repository
from spaces.git.limiter import Full
from spaces.git.objects import STREAMED_FROM
from spaces.git.received import LARGE_FILES, LIMITS
from spaces.models import Space

CHUNK = 256 * 1024
BACKEND_TIMEOUT_S = 300
QUESTION_BYTES = 8 * 1024 * 1024  # the wants and haves of a fetch
MEMORY_KB = 2 * 1024 * 1024  # address space of git and what it starts
FILE_BLOCKS = 8 * 1024 * 1024  # of 512 bytes: the largest file that git may write

#: Its arguments: memory, file size, git. Limits of a process cannot be set from a thread of ours.
LIMITED = 'ulimit -v "$1"; ulimit -f "$2"; exec "$3" http-backend'
#: The one hook that runs; not the repository's own.
HOOK = f"""#!/bin/sh
export PYTHONPATH={shlex.quote(str(settings.BASE_DIR))}
exec {shlex.quote(sys.executable)} -P -m spaces.api.push_check
"""

#: Configuration for the backend: strict about what it takes, and modest.
CONFIG = {
    "core.bigFileThreshold": STREAMED_FROM,
    "core.packedGitWindowSize": "32m",
    "core.packedGitLimit": "256m",
    "pack.threads": "1",
    "pack.windowMemory": "100m",
    "receive.maxInputSize": str(settings.SPACEPORT_PUSH_LIMIT_BYTES),
    "transfer.fsckObjects": "true",
    "receive.denyNonFastForwards": "false",
    "http.receivepack": "true",
    "safe.directory": "*",
}


@csrf_exempt
def serve(request: HttpRequest, owner: str, name: str, service: str) -> HttpResponseBase:
    """One request of git."""
    pushing = "receive-pack" in service or request.GET.get("service") == "git-receive-pack"
    try:
        request.caller = caller_of(request)  # type: ignore[attr-defined]
        space = (writable if pushing else readable)(request, owner, name)
    except BadCredentials as error:
        return _refuse(bad_credentials(error)) if error.too_many else _challenge("This token is not valid.")
    except HubError as error:
        # git tries without credentials first, even when it has them.
        anonymous = getattr(request, "caller", Caller()).user is None
        return _challenge(str(error)) if anonymous else _refuse(error)
    try:
        return _run(request, space, service)
    except HubError as error:
        return _refuse(error)


def _refuse(error: HubError) -> HttpResponse:
    """git shows plain text to its user."""
    headers = {name.replace("_", "-"): value for name, value in error.headers.items()}
    text = f"{error}\n"
    return HttpResponse(text, status=error.status, content_type="text/plain; charset=utf-8", headers=headers)


def _challenge(text: str) -> HttpResponse:
    answer = HttpResponse(text, status=401)
    answer["WWW-Authenticate"] = 'Basic realm="Spaceport: any user name, a token as the password"'
    return answer


def _run(request: HttpRequest, space: Space, service: str) -> HttpResponseBase:
    git = shutil.which("git")
    if git is None:
        return HttpResponse("git is not installed on this server; upload with `hf upload`.", status=501)
    if service == "git-upload-pack":
        return _fetch(request, space, service, git)
    before = repository.head(space)
    with tempfile.TemporaryFile() as body:
        size = _store(request, body, settings.SPACEPORT_PUSH_LIMIT_BYTES)
        follows = service == "git-receive-pack" and push_progress.takes(body)
        out = tempfile.TemporaryFile()  # noqa: SIM115  # the answer streams it after this view returned
        try:
            with _lock(space, service) as open_files, _large_files(space, service) as large_files:
                env = _environment(request, space, service, size=size) | large_files
                _backend(git, body, out, env, open_files)
        except subprocess.TimeoutExpired:
            out.close()
            raise HubError(504, f"git did not end within {BACKEND_TIMEOUT_S} s.") from None
        finally:
            is_new = service == "git-receive-pack" and repository.head(space) != before
            if is_new:
                lifecycle.pushed(space)
    out.seek(0)
    answer = _answer(out, _chunks(out))
    if is_new and follows and not answer.has_header("Content-Length"):
        content = push_progress.followed(_chunks(out), space.pk, space.sha)
        answer.streaming_content = content
    return answer


def _fetch(request: HttpRequest, space: Space, service: str, git: str) -> HttpResponseBase:
    with tempfile.TemporaryFile() as body:
        size = _store(request, body, QUESTION_BYTES)
        env = _environment(request, space, service, size=size)
        try:
            pack = Pack(_command(git), body, env, address_of(request))
        except Full as error:
            raise HubError(error.status, str(error), Retry_After=str(RETRY_S)) from error
    return _answer(pack.out, pack)


@contextlib.contextmanager
def _lock(space: Space, service: str) -> Iterator[tuple[int, ...]]:
    """The open lock that git inherits while it may write."""
    if service == "git-receive-pack":
        with locks.writer(repository.folder_of(space.pk)) as open_files:
            yield (open_files,)
    else:
        yield ()


@contextlib.contextmanager
def _large_files(space: Space, service: str) -> Iterator[dict[str, str]]:
    """A file that lists the Space's large files for git's hook, which has no database."""
    with tempfile.NamedTemporaryFile("w", prefix="spaceport-held-") as file:
        if service == "git-receive-pack":
            rows = space.large_files.values_list("oid", "size_bytes")
            file.writelines(f"{oid} {size}\n" for oid, size in rows.iterator())
            file.flush()
        yield {LARGE_FILES: file.name}


def _backend(
    git: str, body: IO[bytes], out: IO[bytes], env: dict[str, str], open_files: tuple[int, ...] = ()
) -> None:
    """Run git to its end; it and its children inherit these open files.

    Raises:
        subprocess.TimeoutExpired: it and all that it started are killed.
    """
    with subprocess.Popen(  # noqa: S603
        _command(git),
        stdin=body, stdout=out, stderr=subprocess.DEVNULL, env=env, start_new_session=True,
        pass_fds=open_files,
    ) as process:  # fmt: skip
        try:
            process.wait(BACKEND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def _command(git: str) -> list[str]:
    return ["/bin/sh", "-c", LIMITED, "sh", str(MEMORY_KB), str(FILE_BLOCKS), git]


def _hooks() -> str:
    """The folder of the hook, which is rewritten if it differs."""
    folder = private(Path(settings.SPACEPORT_HOME) / "hooks")
    hook = folder / "pre-receive"
    if not hook.exists() or hook.read_text() != HOOK:
        new = folder / f"new-{os.getpid()}-{threading.get_ident()}"
        new.write_text(HOOK)
        new.chmod(0o700)
        new.rename(hook)
    return str(folder)


def _store(request: HttpRequest, body: IO[bytes], limit: int) -> int:
    """Write the request's body to a file, unzipped (large pushes come in chunks and zipped); its size."""
    unzip = zlib.decompressobj(31) if request.headers.get("Content-Encoding") == "gzip" else None
    size = 0
    while chunk := request.read(CHUNK):
        for piece in _unzipped(unzip, chunk) if unzip else [chunk]:
            size += len(piece)
            if size > limit:
                raise HubError(413, f"git may send at most {limit:,} bytes for this.")
            body.write(piece)
    body.seek(0)
    return size


def _unzipped(unzip: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    """The chunk unzipped, in pieces: a small one can unfold to a thousand times its size."""
    try:
        while chunk:
            yield unzip.decompress(chunk, CHUNK)
            chunk = unzip.unconsumed_tail
    except zlib.error as error:
        raise HubError(400, f"The body is no gzip: {error}") from error


def _environment(request: HttpRequest, space: Space, service: str, *, size: int) -> dict[str, str]:
    folder = repository.folder_of(space.pk)
    config = {"core.hooksPath": _hooks(), **CONFIG}
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(Path(settings.SPACEPORT_HOME)),
        "GIT_PROJECT_ROOT": str(folder.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "PATH_INFO": f"/{folder.name}/{service}",
        "REQUEST_METHOD": str(request.method),
        "QUERY_STRING": request.META.get("QUERY_STRING", ""),
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(size),
        "REMOTE_USER": getattr(request.caller.user, "username", ""),  # type: ignore[attr-defined]
        "GIT_CONFIG_COUNT": str(len(config)),
        PAGE: f"{base_url(request)}/{space}",
        LIMITS: f"{settings.SPACEPORT_UPLOAD_LIMIT_BYTES}:{settings.SPACEPORT_PUSH_LIMIT_BYTES}"
        f":{settings.SPACEPORT_REPOSITORY_LIMIT_BYTES}",
    }
    for number, (key, value) in enumerate(config.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def _answer(out: IO[bytes], content: AsyncIterable[bytes]) -> StreamingHttpResponse:
    """git's answer: its head is read from `out`, and `content` is the rest of it."""
    status, headers = 200, {}
    while (line := out.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    answer = StreamingHttpResponse(content, status=status)
    for name, value in headers.items():
        answer[name] = value
    return answer


async def _chunks(out: IO[bytes]) -> AsyncIterator[bytes]:
    with out:
        while chunk := await asyncio.to_thread(out.read, CHUNK):
            yield chunk
