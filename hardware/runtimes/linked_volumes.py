"""Named volumes where Spaces are plain processes: folders of the node, each linked into the homes of the apps
that have it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from django.conf import settings

from hardware.runtimes import mount_paths
from hardware.runtimes.base import StartFailed, Use
from hardware.runtimes.volumes import GIGABYTE, use_of
from infra.folders import private

if TYPE_CHECKING:
    from pathlib import Path

    from hardware.runtimes.base import NamedVolume


class LinkedVolumes:
    """Those below this folder, by id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def link(self, home: Path, volumes: tuple[NamedVolume, ...]) -> None:
        """Make them appear in this home.

        Raises:
            StartFailed
        """
        for place, target in [(home / _inside(volume), self._ready(volume)) for volume in volumes]:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)

    def folder(self, volume_id: int) -> Path:
        """Where this one is."""
        return self._folder.resolve() / str(volume_id)

    def _ready(self, volume: NamedVolume) -> Path:
        private(self._folder)
        folder = self.folder(volume.volume_id)
        folder.mkdir(exist_ok=True)
        if use_of(str(folder)).size_bytes > settings.SPACEPORT_VOLUME_GB * GIGABYTE:
            raise StartFailed(
                f"The volume {volume.name} holds more than {settings.SPACEPORT_VOLUME_GB:g} GB, so no Space "
                "starts with it. Unmount it, or have its administrator remove files."
            )
        return folder

    def remove(self, volume_id: int) -> None:
        """Remove one with all its contents."""
        shutil.rmtree(self._folder / str(volume_id), ignore_errors=True)

    def uses(self) -> dict[int, Use]:
        """The use of each."""
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        return {int(path.name): use_of(str(path)) for path in found if path.name.isdigit()}


def _inside(volume: NamedVolume) -> str:
    try:
        return mount_paths.in_home(volume.path, read_only=volume.read_only)
    except mount_paths.BadMount as error:
        raise StartFailed(str(error)) from error
