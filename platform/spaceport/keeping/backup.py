"""Makes a backup while the platform runs.

The order makes the whole consistent: first the database as it is at one moment; then repositories, which only
gain commits, so every commit the database names is there; then large files, of which none is removed
meanwhile, so every pointer's object is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from hardware.models import Node
from hardware.runtimes import choose
from hardware.runtimes.volumes import size_of
from infra.file_locks import try_lock
from infra.folders import installation
from spaceport.keeping import database, engine_volumes, parts, queue, secret_key
from spaceport.keeping.manifest import Manifest, Refused
from spaceport.keeping.parts import Report, Writing
from spaces.git import locks
from spaces.lfs import store
from spaces.models import Secret

if TYPE_CHECKING:
    import docker

UNFINISHED = ".unfinished"
DATABASE, REDIS = "database.dump", "redis.rdb"
REPOSITORIES, LARGE_FILES, VOLUMES = "repositories.tar", "large-files.tar", "volumes.tar"


def make(target: Path, database_url: str, report: Report, key_file: Path | None = None) -> Manifest:
    """Write a backup into this folder, which is to be made.

    Raises:
        Refused: nothing is left of it.
    """
    home = Path(settings.SPACEPORT_HOME)
    if target.exists():
        raise Refused(f"{target} exists; a backup goes into a folder of its own.")
    if not target.parent.is_dir():
        raise Refused(f"There is no folder {target.parent}.")
    engine = _engine(report)
    with _alone(home), store.kept():
        home_bytes = _check_room(home, target, database_url, engine)
        if key_file is not None:
            secret_key.copied(settings.SECRET_KEY, key_file, target)
        unfinished = target.with_name(target.name + UNFINISHED)
        shutil.rmtree(unfinished, ignore_errors=True)  # of a backup that was killed
        unfinished.mkdir(mode=0o700)
        try:
            manifest = _written(home, unfinished, database_url, engine, home_bytes, report)
            _finish(unfinished, target, manifest)
        except OSError as error:
            raise Refused(f"The backup cannot be written: {error}.") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / "backup.lock").open("w") as lock:
        if not try_lock(lock):
            raise Refused("Another backup of this installation is being made.")
        yield


def _engine(report: Report) -> docker.DockerClient | None:
    """The container engine, where Spaces run in it."""
    runtime = choose(settings.SPACEPORT_RUNTIME)
    for node in Node.objects.exclude(place__in=["", runtime.place]):
        report(f"what apps saved on the node {node.name} is kept there and not in this backup")
    return engine_volumes.engine() if runtime.name == "docker" else None


def _check_room(home: Path, target: Path, database_url: str, engine: docker.DockerClient | None) -> int:
    """Bytes that the restored data folder takes.

    Raises:
        Refused: so many are not free.
    """
    takes = database.size_of(database_url) + queue.size_of(settings.REDIS_URL)
    takes += sum(size_of(str(home / name)) for name in ("repositories", "lfs/objects", "volumes"))
    names = {one.name for one in engine_volumes.kept(engine, installation(home))} if engine else set()
    needed = takes + (engine_volumes.size_of(engine, names) if engine else 0)
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise Refused(
            f"{target.parent} has {parts.size(free)} free; the backup takes up to {parts.size(needed)}."
        )
    return takes


def _written(
    home: Path,
    folder: Path,
    database_url: str,
    engine: docker.DockerClient | None,
    home_bytes: int,
    report: Report,
) -> Manifest:
    name = installation(home)
    manifest = Manifest(
        version=version("spaceport"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        installation=name,
        migrations=_migrations(),
        key_check=secret_key.check(settings.SECRET_KEY, name),
        secrets=_secrets(),
        home_bytes=home_bytes,
        redis_db=_redis_db(),
    )
    with Writing(folder, DATABASE, report) as into:
        database.dump(database_url, into)
    manifest.parts.append(into.part)
    with Writing(folder, REDIS, report) as into:
        queue.dump(settings.REDIS_URL, into)
    manifest.parts.append(into.part)
    with Writing(folder, REPOSITORIES, report) as into, _tar(into) as tar:
        manifest.gone += _pack_repositories(tar, home)
    manifest.parts.append(into.part)
    with Writing(folder, LARGE_FILES, report) as into, _tar(into) as tar:
        _add(tar, home, "lfs/objects")
    manifest.parts.append(into.part)
    if (home / "volumes").is_dir():
        with Writing(folder, VOLUMES, report) as into:
            parts.packed(home, "volumes", into)
        manifest.parts.append(into.part)
    for part, about in engine_volumes.save(engine, name, folder, report) if engine else ():
        manifest.parts.append(part)
        manifest.engine_volumes.append(about)
    return manifest


def _finish(unfinished: Path, target: Path, manifest: Manifest) -> None:
    """From now on it is a backup, whatever happens to the machine."""
    manifest.write(unfinished)
    _sync(unfinished / "manifest.json")
    _sync(unfinished)
    if target.exists():
        raise Refused(f"{target} was made meanwhile, not by this backup.")
    unfinished.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def _tar(into: Writing) -> Iterator[tarfile.TarFile]:
    with tarfile.open(fileobj=into, mode="w|", format=tarfile.PAX_FORMAT, bufsize=parts.CHUNK) as tar:  # type: ignore[call-overload]
        yield tar


def _add(tar: tarfile.TarFile, home: Path, name: str) -> None:
    """A folder below `home`, whose files do not change."""
    for where, folders, files in os.walk(home / name):
        folders.sort()
        for path in (Path(where), *(Path(where, file) for file in sorted(files))):
            tar.add(path, path.relative_to(home), recursive=False)
            tar.members = []  # type: ignore[attr-defined]  # it would remember all of them


def _pack_repositories(tar: tarfile.TarFile, home: Path) -> list[str]:
    """The names of those that were deleted meanwhile, of which the tar may have a part."""
    gone = []
    for folder in sorted((home / "repositories").glob("*.git")):
        try:
            with locks.alone(folder):
                _add(tar, home, f"repositories/{folder.name}")
        except FileNotFoundError:
            gone.append(folder.name)
        else:
            if not folder.exists():
                gone.append(folder.name)
    return gone


def _migrations() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for app, name in MigrationRecorder(connection).applied_migrations():
        found.setdefault(app, []).append(name)
    return {app: sorted(names) for app, names in sorted(found.items())}


def _secrets() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for secret in Secret.objects.select_related("space__owner").defer("value").order_by("key"):
        found.setdefault(str(secret.space), []).append(secret.key)
    return found


def _redis_db() -> int:
    import redis

    kwargs: dict[str, Any] = redis.ConnectionPool.from_url(settings.REDIS_URL).connection_kwargs
    return int(kwargs.get("db") or 0)
