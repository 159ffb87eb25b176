"""What a build made, for a node that runs it: the folder of an environment, or of a Space's code, as a tar
archive while it is read. Both are named by what is in them, so a node asks once."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from django.conf import settings

from hardware.runtimes.base import ReplicaSpec
from hardware.trust.joining import Refused, spec_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hardware.models import JoinedNode

Part = Literal["environment", "code"]
CHUNK = 256 * 1024


def folder_for(row: JoinedNode, replica_id: int, part: Part) -> Path:
    """The folder that a replica on this node needs.

    Raises:
        Refused: it is not this node's, or the folder is not here.
    """
    spec = ReplicaSpec.from_json(json.loads(spec_json(row, replica_id)))
    named = spec.artifact.environment if part == "environment" else spec.artifact.code
    below = settings.SPACEPORT_HOME / ("environments" if part == "environment" else "code")
    folder = Path(named)
    if not named or below not in folder.parents or not folder.is_dir():
        raise Refused(404, f"The {part} of this build is not on the platform's machine any more.")
    return folder


async def archive(folder: Path) -> AsyncIterator[bytes]:
    """The folder, under its own name, as GNU tar writes it."""
    tar = await asyncio.create_subprocess_exec(
        "tar", "-C", str(folder.parent), "-c", "--", folder.name,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert tar.stdout is not None
    try:
        while chunk := await tar.stdout.read(CHUNK):
            yield chunk
        if await tar.wait():
            raise OSError(f"{folder} changed while it was read.")
    finally:
        with contextlib.suppress(ProcessLookupError):
            tar.kill()
