"""Puts a backup into an empty data folder, and into the servers of this installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.db.migrations.loader import MigrationLoader

from hardware.runtimes.volumes import size_of
from spaceport.keeping import database, engine_volumes, parts, queue, secret_key
from spaceport.keeping.backup import DATABASE, LARGE_FILES, REDIS, REPOSITORIES, VOLUMES
from spaceport.keeping.manifest import Manifest, Refused
from spaceport.keeping.parts import Report
from spaceport.up import embedded

if TYPE_CHECKING:
    import docker

SECRETS, KEPT, QUEUE = "secrets", "volumes", "queue"
PARTS = (SECRETS, KEPT, QUEUE)
#: What a data folder has of what a backup has; the rest is made again.
REPLACED = (
    "postgres", "valkey", "repositories", "lfs", "volumes", "installation", secret_key.FILE, "beat-schedule",
)  # fmt: skip


@dataclass(kw_only=True)
class Restore:
    """`source`: the backup; `home`: the data folder to be; `replace`: what is there may be lost; `without`:
    of `PARTS`, what is given up."""

    source: Path
    home: Path
    environ: MutableMapping[str, str]
    report: Report
    replace: bool = False
    without: tuple[str, ...] = ()
    key_file: Path | None = None

    def run(self) -> None:
        """All of it.

        Raises:
            Refused: either nothing was changed, or the data folder is marked as half restored.
        """
        manifest = Manifest.read(self.source)
        self._check_version(manifest)
        key = secret_key.found(self.environ, self.home, self.key_file)
        if SECRETS not in self.without:
            secret_key.demand(key, manifest)
        self._check_home(manifest)
        engine = self._engine(manifest)
        if named := self.environ.get("DATABASE_URL"):
            self._check_database(named)
        if (named := self.environ.get("REDIS_URL")) and QUEUE not in self.without:
            self._check_redis(named)
        parts.verify(self.source, manifest, self.report)
        with embedded.restoring(self.home):
            self._put_files(manifest, key)
            numbers: list[int] = []
            if engine is not None:
                numbers = engine_volumes.load(engine, self.source, manifest.engine_volumes, self.report)
            with embedded.attached(self.environ):
                self._load_servers(manifest)
                self._settle(numbers)

    # --- refusals ---------------------------------------------------------------------------------

    def _check_version(self, manifest: Manifest) -> None:
        known: dict[str, set[str]] = {}
        for app, name in MigrationLoader(None).disk_migrations:
            known.setdefault(app, set()).add(name)
        unknown = [
            f"{app} {name}"
            for app, names in manifest.migrations.items()
            for name in names
            if name not in known.get(app, set())
        ]
        if unknown:
            raise Refused(
                f"This backup was made by a newer Spaceport ({manifest.version}): its database has "
                f"{unknown[-1]}, which this one does not know. Restore it with that version."
            )

    def _check_home(self, manifest: Manifest) -> None:
        if running := embedded.running(self.home):
            raise Refused(f"{' and '.join(running)} of {self.home} run. Stop `manage.py up` first.")
        if self.home.exists() and any(self.home.iterdir()) and not self.replace:
            raise Refused(
                f"{self.home} is not empty. Restore into an empty data folder (SPACEPORT_HOME), or lose what "
                "is there with --replace."
            )
        place = next(folder for folder in (self.home, *self.home.parents) if folder.exists())
        free = shutil.disk_usage(place).free
        if self.replace:
            free += sum(size_of(str(self.home / name)) for name in REPLACED)
        if manifest.home_bytes > free:
            raise Refused(
                f"{place} has {parts.size(free)} free; the restored data folder takes "
                f"{parts.size(manifest.home_bytes)}."
            )

    def _engine(self, manifest: Manifest) -> docker.DockerClient | None:
        if not manifest.engine_volumes:
            return None
        try:
            engine = engine_volumes.engine()
        except Refused:
            if KEPT in self.without:
                return None
            raise
        if engine_volumes.runs(engine, manifest.installation):
            raise Refused(
                f"The installation of this backup, {manifest.installation}, runs in this container engine. "
                "Stop it first: two of one name would stop each other's containers."
            )
        if KEPT in self.without:
            return None
        names = {about["name"] for about in manifest.engine_volumes}
        if (there := engine_volumes.there(engine, names)) and not self.replace:
            raise Refused(
                f"The container engine has {', '.join(sorted(there))} already. Keep what they hold with "
                "`--without volumes`, or lose it with --replace."
            )
        return engine

    def _check_database(self, url: str) -> None:
        if database.is_empty(url):
            return
        if not self.replace:
            raise Refused(
                "The database is not empty. Name an empty one, or lose what is there with --replace."
            )
        if database.nodes_up(url):
            raise Refused("Nodes of this database's platform are up. Stop all of its processes first.")

    def _check_redis(self, url: str) -> None:
        if not (queue.is_empty(url) or self.replace):
            raise Refused("Redis is not empty. Name an empty one, or lose what is there with --replace.")

    # --- the data ---------------------------------------------------------------------------------

    def _put_files(self, manifest: Manifest, key: str) -> None:
        for name in REPLACED:
            path = self.home / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        (self.home / "installation").write_text(manifest.installation)
        if key and SECRETS not in self.without and not self._is_in_environment():
            file = self.home / secret_key.FILE
            file.touch(mode=0o600)
            file.write_text(key)
        for name in (REPOSITORIES, LARGE_FILES, *(() if KEPT in self.without else (VOLUMES,))):
            if manifest.part(name) is not None:
                self.report(f"restoring {name}")
                parts.unpacked(self.source / name, self.home)
        for name in manifest.gone:
            shutil.rmtree(self.home / "repositories" / Path(name).name, ignore_errors=True)

    def _load_servers(self, manifest: Manifest) -> None:
        self.report(f"restoring {DATABASE}")
        database.load(self.environ["DATABASE_URL"], self.source / DATABASE, replace=self.replace)
        if QUEUE not in self.without:
            self.report(f"restoring {REDIS}")
            count = queue.load(self.environ["REDIS_URL"], self.source / REDIS, manifest.redis_db)
            self.report(f"{REDIS}: {count:,} keys")

    def _is_in_environment(self) -> bool:
        return self.environ.get(secret_key.VARIABLE, "") not in ("", secret_key.NONE_YET)

    def _settle(self, volumes: list[int]) -> None:
        """With the restored key and addresses, which the settings of this process have not.

        Raises:
            Refused
        """
        env = {**self.environ, "SPACEPORT_HOME": str(self.home)}
        if not self._is_in_environment():
            env.pop(secret_key.VARIABLE, None)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        lost = ["--without-secrets"] if SECRETS in self.without else []
        command = [sys.executable, "-m", "spaceport.keeping.settle", *lost, *map(str, volumes)]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as step:  # noqa: S603
            assert step.stdout is not None
            for line in step.stdout:
                self.report(line.rstrip())
        if step.returncode:
            raise Refused("The restored rows could not be brought up to date; see above.")
