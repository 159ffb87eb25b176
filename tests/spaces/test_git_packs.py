"""Clones, fetches and downloads: streamed, so many at a time, and ended with their readers."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from spaces.api import git_packs
from spaces.api.git_packs import Pack
from spaces.git import objects
from spaces.git.limiter import Full, Limiter
from spaces.git.objects import BrokenOff, allowed_s
from tests.hub_server import UPLOAD_LIMIT, Hub
from tests.waiting import eventually, wait_until


@pytest.mark.parametrize(
    ("taken", "another", "status", "why"),
    [
        (["a", "a"], "a", 429, "2 clones from your address"),
        (["a", "a", "b"], "c", 503, "Too many clones are under way here"),
    ],
)
def test_so_many_may_at_a_time(taken: list[str], another: str, status: int, why: str) -> None:
    limiter = Limiter("clones", 3, 2)
    for address in taken:
        limiter.acquire(address)
    with pytest.raises(Full, match=why) as caught:
        limiter.acquire(another)
    assert caught.value.status == status
    limiter.release("a")
    limiter.acquire(another)


def test_a_place_may_be_given_back_in_the_midst_of_taking_one() -> None:
    """As the garbage collector does with what nobody holds any more."""
    limiter = Limiter("clones", 2, 1)
    limiter.acquire("a")

    class Collected(str):
        __slots__ = ()

        def __hash__(self) -> int:
            if len(limiter):
                limiter.release("a")
            return str.__hash__(self)

    taking = threading.Thread(target=limiter.acquire, args=(Collected("b"),), daemon=True)
    taking.start()
    taking.join(10)
    assert not taking.is_alive()


def test_a_slow_reader_has_less_time_than_a_quick_one_and_nobody_has_all_day() -> None:
    assert allowed_s(0) == objects.START_S
    assert allowed_s(100 * objects.LEAST_RATE) == objects.START_S + 100
    assert allowed_s(10**15) == objects.LONGEST_S


CONTENT = os.urandom(3_000_000)


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """The id of `CONTENT` in a repository."""
    subprocess.run(["git", "init", "--bare", "-q", str(tmp_path)], check=True)
    command = ["git", f"--git-dir={tmp_path}", "hash-object", "-w", "--stdin"]
    return subprocess.run(command, input=CONTENT, capture_output=True, check=True).stdout.decode().strip()


async def test_a_download_that_nobody_takes_ends_and_is_not_taken_for_a_whole_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stored: str
) -> None:
    monkeypatch.setattr(objects, "START_S", 0.0)
    monkeypatch.setattr(objects, "LEAST_RATE", 1e12)
    started, start = [], asyncio.create_subprocess_exec

    async def noted(*command: Any, **options: Any) -> Any:
        started.append(await start(*command, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    got = bytearray()

    async def take_a_piece_and_wait() -> None:
        async for chunk in objects.stream(tmp_path, stored, 0, len(CONTENT), "a"):
            got.extend(chunk)
            await eventually(lambda: started[0].returncode is not None, "git has ended")

    with pytest.raises(BrokenOff):
        await take_a_piece_and_wait()
    assert CONTENT.startswith(got)
    assert len(got) < len(CONTENT)
    assert not objects.downloads


async def test_downloads_wait_for_others_of_their_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stored: str
) -> None:
    monkeypatch.setattr(objects, "downloads", Limiter("downloads", 9, 1))
    first = objects.stream(tmp_path, stored, 0, len(CONTENT), "a")
    await anext(first)

    async def taken(address: str) -> bytes:
        return b"".join([chunk async for chunk in objects.stream(tmp_path, stored, 0, 10, address)])

    waits = asyncio.ensure_future(taken("a"))
    assert await taken("b") == CONTENT[:10]
    assert not waits.done()
    async with asyncio.timeout(60):  # the rest of it is read by nobody
        await first.aclose()
    assert await waits == CONTENT[:10]


def test_a_pack_that_nobody_takes_ends_and_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(objects, "START_S", 0.0)
    monkeypatch.setattr(git_packs, "CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(git_packs, "clones", Limiter("clones", 1, 1))
    with (tmp_path / "body").open("wb+") as body:
        pack = Pack(["cat", "/dev/zero"], body, {}, "a")
        wait_until(lambda: not git_packs.clones, "its place is free")
        assert pack._process.returncode is not None
        pack.out.close()


def test_a_pack_that_nobody_holds_any_more_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(git_packs, "clones", Limiter("clones", 1, 1))
    with (tmp_path / "body").open("wb+") as body:
        pack = Pack(["cat", "/dev/zero"], body, {}, "a")
        process = pack._process
        del pack
        assert process.returncode is not None
        assert not git_packs.clones
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def large(hub: Hub, space: str) -> str:
    """A Space with more in it than the buffers between git and a reader hold."""
    for number in range(5):
        hub.api("alice").upload_file(
            path_or_fileobj=os.urandom(UPLOAD_LIMIT),
            path_in_repo=str(number),
            repo_id=space,
            repo_type="space",
        )
    return space


@contextmanager
def idle_reader(hub: Hub, space: str) -> Iterator[bytes]:
    """Asks for all there is, and takes the head of the answer, which this yields, and no more."""
    sha = hub.api("").space_info(space).sha
    body = f"0032want {sha}\n00000009done\n".encode()
    head = (
        f"POST /spaces/{space}/git-upload-pack HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n"
        f"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.settimeout(60)
        client.connect(("127.0.0.1", hub.port))
        client.sendall(head + body)
        yield client.recv(4096)


def is_packing(hub: Hub) -> bool:
    """Whether any git process answers somebody who fetches from this hub."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            env = (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"/git-upload-pack\0" in env and f"GIT_PROJECT_ROOT={hub.home}".encode() in env:
            return True
    return False


def test_readers_that_take_nothing_fill_an_addresses_places_and_leave_with_their_git(
    hub: Hub, large: str, tmp_path: Path
) -> None:
    with ExitStack() as readers:
        for _ in range(git_packs.PER_ADDRESS):
            assert readers.enter_context(idle_reader(hub, large)).startswith(b"HTTP/1.1 200")
        assert is_packing(hub)
        with idle_reader(hub, large) as head:
            assert head.startswith(b"HTTP/1.1 429")
            assert f"Retry-After: {git_packs.RETRY_S}".encode().lower() in head.lower()
            assert b"try again soon" in head
    wait_until(lambda: not is_packing(hub), "git ends with its readers")
    cloned = hub.git("clone", hub.remote(large), str(tmp_path / "clone"))
    assert cloned.returncode == 0, cloned.stderr
