"""Hot reload: a push of code is taken into the process that runs, which keeps all else in memory.

The launcher does it (`spaceport_launcher/reloading.py`), before the build of the same commit is ordered. That
build runs as usual: the next start uses its result. Once it is there, the replica counts as of that build
(`adopt`) instead of being replaced. Where a reload does not suffice, in whole or in part, the build is rolled
out as after any push.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from hardware import logs, replica_client, replicas
from hardware.models import Replica
from hardware.replica_client import ReplicaError
from spaces.git import repository
from spaces.lfs import pointers
from spaces.models import Sdk, Space

if TYPE_CHECKING:
    from hardware.runtimes.base import ReplicaSpec
    from spaces.models import Build

logger = logging.getLogger(__name__)

ROUTE = "/__spaceport__/reload"
MOST_FILES = 20
MOST_BYTES = 1024 * 1024  # of all files together
OUTCOME_BYTES = 1024 * 1024
TIMEOUT_S = 10.0
#: In `Replica.reloaded_to`: it runs some of a newer version.
HALF = "half"


class Outcome(msgspec.Struct):
    """What the launcher did. `operations`: as `hf spaces hot-reload` prints them, from a hostile source."""

    status: Literal["reloaded", "untouched", "half"]
    why: str = ""
    operations: list[dict[str, Any]] = []


def attempt(space: Space, before: str) -> bool:
    """Take the head of `main` into the process that serves the Space, if it runs `before` and only modules of
    it have changed since. Whether it runs the whole of it now."""
    replica = space.replica
    if replica is None or space.sdk != Sdk.GRADIO or not _runs(space, replica, before):
        return False
    files = changed_modules(space, before)
    if not files:
        return False
    try:
        outcome = asyncio.run(_send(replica.address, files))
    except (ReplicaError, msgspec.DecodeError) as error:
        logger.info("space %s was not reloaded: %s", space.pk, error)
        outcome = Outcome(status="half", why="The app did not answer.")
    _note(space, replica, outcome)
    return outcome.status == "reloaded"


def _runs(space: Space, replica: Replica, sha: str) -> bool:
    """Whether this is the one that serves, with nothing but the code of this commit in it."""
    if not _is_newest(space, replica) or replica.state != Replica.State.READY:
        return False
    return replica.reloaded_to != HALF and sha == running_sha(space, replica)


def _is_newest(space: Space, replica: Replica) -> bool:
    """Whether no other replica was ordered to replace it."""
    newest = replicas.candidate(space.pk)
    return newest is not None and newest.pk == replica.pk


def running_sha(space: Space, replica: Replica) -> str | None:
    """The commit whose code is in the replica's process."""
    if replica.reloaded_to and replica.reloaded_to != HALF:
        return replica.reloaded_to
    return space.builds.filter(pk=replica.build_id or 0).values_list("sha", flat=True).first()


def changed_modules(space: Space, before: str) -> dict[str, str]:
    """Text of each Python file that is another one in the Space's head; empty where anything else differs."""
    old, new = _files(space, before), _files(space, space.sha)
    paths = [path for path, oid in new.items() if old.get(path) != oid]
    if old.keys() != new.keys() or len(paths) > MOST_FILES or not all(path.endswith(".py") for path in paths):
        return {}
    files = {path: repository.read_blob(space.pk, space.sha, path) or b"" for path in paths}
    if sum(map(len, files.values())) > MOST_BYTES or any(map(pointers.parsed, files.values())):
        return {}
    try:
        return {path: content.decode() for path, content in files.items()}
    except UnicodeDecodeError:
        return {}


def _files(space: Space, sha: str) -> dict[str, str]:
    entries = repository.tree(space.pk, sha, recursive=True) or []
    return {entry.path: entry.oid for entry in entries if entry.is_file}


async def _send(address: str, files: dict[str, str]) -> Outcome:
    """Have the launcher reload these files.

    Raises:
        ReplicaError, msgspec.DecodeError
    """
    body = json.dumps({"files": files}).encode()
    async with (
        replica_client.ReplicaClient() as client,
        client.request("POST", address, ROUTE, data=body, total_s=TIMEOUT_S) as reply,
    ):
        answer = await reply.read(OUTCOME_BYTES)
        if reply.status != 200:  # a launcher of an earlier version
            return Outcome(
                status="untouched", why="Restart the Space once: it started before it could be reloaded."
            )
        # PostgreSQL keeps no such character.
        return msgspec.json.decode(answer.replace(b"\\u0000", b"\\ufffd"), type=Outcome)


def _note(space: Space, replica: Replica, outcome: Outcome) -> None:
    same = Replica.objects.filter(pk=replica.pk, runtime_id=replica.runtime_id, state=Replica.State.READY)
    to = {"reloaded": space.sha, "half": HALF, "untouched": replica.reloaded_to}[outcome.status]
    same.update(reloaded_to=to, reload={"sha": space.sha, **msgspec.to_builtins(outcome)})
    replica.refresh_from_db(fields=["reloaded_to", "reload"])
    what = "was reloaded" if outcome.status == "reloaded" else "is started anew"
    line = f"Spaceport: {space.sha[:7]} {what}. {outcome.why[:300]}".strip()
    logs.append("run", space.pk, [line], replica=replica.pk)


def adopt(space: Space, build: Build, spec: ReplicaSpec) -> bool:
    """What is to be rolled out is in the process that serves already: it counts as of this build from now on.
    False: it is not, or an order for it would differ in more."""
    replica = space.replica
    if replica is None or not _is_newest(space, replica):
        return False
    return replicas.replaced_in_place(replica, spec, sha=build.sha, build_id=build.pk)
