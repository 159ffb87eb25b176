"""What `git push` shows of the build that it began, by git's side band (gitprotocol-pack(5)): lines that the
client prints behind "remote:", until the new version runs or it is known why not. Whoever stops waiting stops
only that: the build goes on."""

from __future__ import annotations

import asyncio
import time
from typing import IO, TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection

from hardware import logs
from hardware.models import Replica
from spaces import publishing
from spaces.building import workers
from spaces.models import Build, Space, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FLUSH = b"0000"
ALIVE = b"0005\x01"  # nothing, on the band of git's own answer
ALIVE_EVERY_S = 5.0
POLL_PAUSES_S = (0.2, 1.0)  # between two polls: at first, and later
LINE = 300  # characters
COMMANDS = 64 * 1024  # bytes of a push in which its first line lies
FOLLOWED = 50  # pushes at a time, of one process

_followed = 0


def takes(body: IO[bytes]) -> bool:
    """Whether the client that pushes this takes a side band. The file is at its start afterwards."""
    head = body.read(COMMANDS)
    body.seek(0)
    try:
        length = int(head[:4], 16)
    except ValueError:
        return False
    return b"side-band-64k" in head[:length].partition(b"\0")[2].split()


async def followed(answer: AsyncIterator[bytes], space_id: int, sha: str) -> AsyncIterator[bytes]:
    """git's answer, and before its end what becomes of this commit."""
    global _followed
    end = b""
    async for chunk in answer:
        whole = end + chunk
        yield whole[: -len(FLUSH)]
        end = whole[-len(FLUSH) :]
    if end == FLUSH and _followed < FOLLOWED and settings.SPACEPORT_PUSH_FOLLOW_S > 0:
        _followed += 1
        try:
            async for packet in _packets(Push(space_id, sha)):
                yield packet
        finally:
            _followed -= 1
    yield end


async def _packets(push: Push) -> AsyncIterator[bytes]:
    deadline = time.monotonic() + settings.SPACEPORT_PUSH_FOLLOW_S
    sent_at = time.monotonic()
    pause, longest = POLL_PAUSES_S
    while True:
        for line in await sync_to_async(push.poll, thread_sensitive=False)():
            sent_at = time.monotonic()
            yield packet(line)
        if push.is_over:
            return
        if time.monotonic() > deadline:
            yield packet("It goes on without this terminal; the Space's page shows how.")
            return
        if time.monotonic() - sent_at > ALIVE_EVERY_S:
            sent_at = time.monotonic()
            yield ALIVE
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


def packet(line: str) -> bytes:
    """A line for people, on the second band. No control characters: a terminal would obey them."""
    plain = "".join(c if c.isprintable() else " " for c in line[:LINE])
    content = b"\x02" + plain.encode() + b"\n"
    return f"{len(content) + 4:04x}".encode() + content


class Push:
    """One commit on its way to visitors, as far as it has been reported."""

    def __init__(self, space_id: int, sha: str) -> None:
        self.space_id, self.sha = space_id, sha
        self.is_over = False
        self._reported: set[str] = set()
        self._after = "0-0"

    def poll(self) -> list[str]:
        """The lines that are new."""
        try:
            return list(self._poll())
        finally:
            connection.close()  # of a thread that may never come back

    def _poll(self) -> Iterator[str]:
        space = Space.objects.select_related("owner", "replica").filter(pk=self.space_id).first()
        if space is None or space.sha != self.sha:
            self.is_over = True
            yield "A newer commit came: that is built instead." if space else "The Space is deleted."
            return
        build = space.builds.filter(sha=self.sha).order_by("-pk").first()
        if build is not None and build.status == Build.Status.QUEUED:
            yield from self._waits(space)
            return
        if build is not None:
            yield from self._once(f"Building {space} at {self.sha[:7]}. Ctrl-C leaves the build running.")
            yield from self._log(build)
        if build is None or build.status != Build.Status.RUNNING:
            yield from self._outcome(space, build)

    def _waits(self, space: Space) -> Iterator[str]:
        if not workers.read().builders:
            self.is_over = True
            yield f"{space} is built once a build worker runs."
        else:
            yield from self._once(f"{space} waits for a build worker.")

    def _log(self, build: Build) -> Iterator[str]:
        began = build.started_at.timestamp() if build.started_at else 0.0
        for entry in logs.since("build", self.space_id, self._after):
            self._after = entry.id
            if entry.at >= began:  # not of the build before
                yield f"| {entry.text}"

    def _outcome(self, space: Space, build: Build | None) -> Iterator[str]:
        url = f"{settings.SPACEPORT_URL}/{space}"
        replica = space.replica
        runs = replica is not None and replica.state == Replica.State.READY
        is_new = build is None or (replica is not None and replica.build_id == build.pk)
        if build is not None and build.status != Build.Status.SUCCEEDED:
            self.is_over = True
            yield f"{space} is not built: {build.reason or build.status}"
        elif space.stage == Stage.RUNNING and is_new and (runs or build is None):
            self.is_over = True
            yield f"{space} runs: {url}"
        elif space.stage in publishing.CLOSED or space.stage == Stage.SLEEPING:
            self.is_over = True
            reason = space.stage_reason.split("\n")[0] or publishing.CLOSED.get(
                Stage(space.stage), "It sleeps."
            )
            yield f"{space} does not run ({space.stage}): {reason} See {url}"
        else:
            yield from self._once("Starting. Visitors stay with the version before until this one answers.")

    def _once(self, line: str) -> Iterator[str]:
        if line not in self._reported:
            self._reported.add(line)
            yield line
