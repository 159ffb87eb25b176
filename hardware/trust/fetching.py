"""What a build made elsewhere, brought to this node before a replica starts with it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from django.conf import settings

from hardware.runtimes import venvs
from hardware.runtimes.base import Artifact, EngineUnavailable
from hardware.trust import platform_calls
from infra import file_locks
from infra.folders import private

if TYPE_CHECKING:
    from collections.abc import Callable

    from hardware.runtimes.base import ReplicaSpec
    from hardware.trust.membership import Membership

#: The newest code folders of a Space that stay.
VERSIONS_KEPT = 3


class Broken(EngineUnavailable):
    """It did not come whole; try again."""


def bring(membership: Membership | None, replica_id: int, spec: ReplicaSpec) -> Artifact:
    """What this replica's build made as it is on this node, fetched where it is not there yet: an image from
    the registry, folders from the platform that this node joined. What those do not have either is left for
    the runtime to miss.

    Raises:
        EngineUnavailable: platform or registry do not answer, or break off.
    """
    artifact, home = spec.artifact, settings.SPACEPORT_HOME
    if artifact.pull:
        from hardware.runtimes.images import registry  # it loads the engine's client

        return registry.ensured(home, spec)
    if membership is None or artifact.runtime != "process":
        return artifact
    there = Path(artifact.code)
    environment = home / "environments" / Path(artifact.environment).name
    code = private(home / "code") / there.parent.name / there.name
    _ensure(membership, replica_id, "environment", environment, venvs.is_whole)
    if _ensure(membership, replica_id, "code", code, Path.is_dir):
        _forget_older(code)
    return replace(artifact, environment=str(environment), code=str(code))


def _ensure(
    membership: Membership, replica_id: int, part: str, folder: Path, is_there: Callable[[Path], bool]
) -> bool:
    """Whether it was fetched now."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with file_locks.waited_for(folder.with_name(f"{folder.name}.lock")):
        if is_there(folder):
            return False
        new = folder.parent / f"{folder.name}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            _unpack(membership, replica_id, part, new)
            shutil.rmtree(folder, ignore_errors=True)
            (new / folder.name).rename(folder)
        except platform_calls.Refused as error:
            if error.status != 404:
                raise EngineUnavailable(str(error)) from error
        except (platform_calls.PlatformAway, OSError) as error:
            raise Broken(f"The {part} of replica {replica_id} did not come whole: {error}") from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return True


def _unpack(membership: Membership, replica_id: int, part: str, into: Path) -> None:
    with platform_calls.part(membership, replica_id, part) as chunks:
        tar = subprocess.Popen(  # noqa: S603
            [which("tar") or "tar", "-x", "--no-same-owner", "-C", str(into)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert tar.stdin is not None
        try:
            for chunk in chunks:
                tar.stdin.write(chunk)
            tar.stdin.close()
            if tar.wait():
                raise OSError("tar could not unpack it")
        finally:
            tar.kill()
            tar.wait()


def _forget_older(code: Path) -> None:
    folders = [path for path in code.parent.iterdir() if path.is_dir()]
    for old in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)[VERSIONS_KEPT:]:
        if old != code:
            shutil.rmtree(old, ignore_errors=True)
            old.with_name(f"{old.name}.lock").unlink(missing_ok=True)
