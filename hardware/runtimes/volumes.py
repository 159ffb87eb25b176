"""A Space's data on disk, which outlives its containers, and how much disk it may use.

No storage driver of the engine bounds a volume, and few bound a container's own layer. So both are measured,
and a container that uses too much is stopped."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

import docker.errors
from django.conf import settings
from docker.types import Mount

from hardware.runtimes import base_image, container_files
from hardware.runtimes.base import Use

if TYPE_CHECKING:
    import docker

    from hardware.runtimes.base import NamedVolume, ReplicaSpec

GIGABYTE = 1024**3
#: The label of a named volume, its number.
VOLUME = "spaceport.volume"
DATA, CACHE = "/data", "/home/user/.cache"
#: Everything is counted again after this, however little was written.
RECOUNT_S = 300.0
FOR_EVERYBODY = 0o002
FILE_BYTES = 4096


def cache_bytes() -> int:
    """How large a Space's kept cache may grow."""
    return round(settings.SPACEPORT_CACHE_GB * GIGABYTE)


def mounts(client: docker.DockerClient, installation: str, spec: ReplicaSpec, user: str) -> list[Mount]:
    """The Space's volumes, made when missing: /data for all, the cache of Gradio Spaces, and named ones. A
    Docker Space's caches are where its image has them."""
    name, cache = _names(installation, spec.space_id)
    made = [_named(client, installation, one) for one in spec.volumes]
    has_data = any(volume.path == DATA for volume in spec.volumes)
    if spec.scratch and not has_data:
        made.append(_scratch(spec.sdk))
    elif not has_data:
        _ensure(client, installation, name, DATA)
        if spec.sdk != "gradio":
            _open(client, name, user)
        made.append(Mount(DATA, name, type="volume"))
    if spec.sdk == "gradio":
        _ensure(client, installation, cache, CACHE)
        made.append(Mount(CACHE, cache, type="volume"))
    return made


def _scratch(sdk: str) -> Mount:
    """A /data that goes with its container. A volume without a name has the rights that the image gives the
    folder; an image of its owner's may have none."""
    if sdk == "gradio":
        return Mount(DATA, None, type="volume")
    return Mount(DATA, None, type="tmpfs", tmpfs_mode=0o1777)


def _named(client: docker.DockerClient, installation: str, volume: NamedVolume) -> Mount:
    name = named(installation, volume.volume_id)
    _ensure(client, installation, name, DATA, **{VOLUME: str(volume.volume_id)})
    # What an image has at this path is hidden, not copied to where others would find it.
    return Mount(volume.path, name, type="volume", read_only=volume.read_only, no_copy=True)


def named(installation: str, volume_id: int | str) -> str:
    """The engine's name of a named volume."""
    return f"spaceport-{installation}-volume-{volume_id}"


def remove_named(client: docker.DockerClient, installation: str, volume_id: int) -> None:
    """Remove a named volume; the engine refuses one that a container uses."""
    with contextlib.suppress(docker.errors.NotFound):
        client.volumes.get(named(installation, volume_id)).remove()


def uses(client: docker.DockerClient, installation: str) -> dict[int, Use]:
    """The use of the named volumes that this process may read."""
    labels = [f"spaceport.installation={installation}", VOLUME]
    found = {}
    for volume in client.volumes.list(filters={"label": labels}):
        folder = str(volume.attrs["Mountpoint"])
        if os.access(folder, os.R_OK | os.X_OK):
            found[int(volume.attrs["Labels"][VOLUME])] = use_of(folder)
    return found


def remove(client: docker.DockerClient, installation: str, space_id: int) -> None:
    """Remove the volumes of a deleted Space; the engine refuses those that a container uses."""
    for name in _names(installation, space_id):
        with contextlib.suppress(docker.errors.NotFound):
            client.volumes.get(name).remove()


def _names(installation: str, space_id: int) -> tuple[str, str]:
    """Of its /data, and of its cache."""
    return f"spaceport-{installation}-data-{space_id}", f"spaceport-{installation}-cache-{space_id}"


def _ensure(client: docker.DockerClient, installation: str, name: str, folder: str, **labels: str) -> None:
    """The engine gives a new volume the owner and rights that its folder has in the image it is first mounted
    in; in the base image those fit every Space."""
    try:
        client.volumes.get(name)
    except docker.errors.NotFound:
        base = base_image.ensure(client, "", lambda _line: None)
        client.volumes.create(name, labels={"spaceport.installation": installation, **labels})
        client.containers.create(base, mounts=[Mount(folder, name, type="volume")]).remove()


def _open(client: docker.DockerClient, name: str, user: str) -> None:
    """Give /data, as earlier versions made it, to the user that its Space runs as now."""
    base = base_image.ensure(client, "", lambda _line: None)
    mount = Mount(DATA, name, type="volume")
    container = client.containers.create(base, mounts=[mount])
    try:
        mode = container_files.mode(client, str(container.id), DATA)
    finally:
        container.remove()
    if not mode & FOR_EVERYBODY:
        command = f"chown -R {user.partition(':')[0]} {DATA} && chmod 0777 {DATA}"
        client.containers.run(
            base, ["sh", "-c", command], user="0:0", network_mode="none", mounts=[mount], remove=True
        )


class DiskWatch:
    """Checks the containers of this installation and stops those that use more disk than they may."""

    def __init__(self, client: docker.DockerClient, installation: str, root: str) -> None:
        """`root`: the engine's data folder."""
        self._client, self._installation, self._root = client, installation, root
        self._reasons: dict[str, str] = {}
        self._seen: set[str] = set()
        self._free = self._left = self._at = 0.0

    def reason(self, runtime_id: str) -> str:
        """Why this container was stopped; empty when it was not."""
        return self._reasons.get(runtime_id, "")

    def check(self) -> None:
        """Count the use, if enough was written since the last count to matter."""
        found = {"label": f"spaceport.installation={self._installation}", "status": "running"}
        ids = {one["Id"] for one in self._client.api.containers(filters=found)}
        free = self._free_bytes()
        written = self._free - free
        if ids == self._seen and written < self._left and time.monotonic() - self._at < RECOUNT_S:
            return
        self._seen, self._free, self._at = ids, free, time.monotonic()
        self._left = float("inf")
        for one in self._client.api.containers(filters=found, size=True) if ids else ():
            if "spaceport.space" in one["Labels"]:
                self._count(one)

    def _count(self, container: dict[str, Any]) -> None:
        layer = (container.get("SizeRw") or 0, settings.SPACEPORT_DISK_GB, "its own folders")
        usages = [layer]
        for mount in container["Mounts"]:
            if limit := self._limit(mount):
                usages.append((size_of(mount["Source"]), limit, mount["Destination"]))
        for used, gigabytes, where in usages:
            self._left = min(self._left, gigabytes * GIGABYTE - used)
            if used > gigabytes * GIGABYTE:
                self._stop(
                    container["Id"],
                    f"The app was stopped: it holds more than {gigabytes:g} GB of disk in {where}. "
                    "Let it remove files, or write less.",
                )

    def _limit(self, mount: dict[str, Any]) -> float | None:
        """The limit in gigabytes; None: mounted read-only, so other Spaces count for it."""
        if str(mount.get("Name", "")).startswith(named(self._installation, "")):
            return float(settings.SPACEPORT_VOLUME_GB) if mount["RW"] else None
        limits = {DATA: settings.SPACEPORT_DATA_GB, CACHE: settings.SPACEPORT_CACHE_GB}
        return limits.get(mount["Destination"])

    def _stop(self, runtime_id: str, reason: str) -> None:
        self._reasons[runtime_id] = reason
        with contextlib.suppress(docker.errors.APIError):  # it has just ended
            self._client.api.kill(runtime_id)

    def _free_bytes(self) -> float:
        """Free bytes of the engine's disk; 0 where it is another machine's."""
        with contextlib.suppress(OSError):
            now = os.statvfs(self._root)
            return now.f_bavail * now.f_frsize
        return 0.0


def size_of(folder: str) -> int:
    """Bytes on disk below this folder, as far as this process may read it; a file counts as one block at
    least. It is counted by `du`, which goes as deep as names can be nested: paths end at 4,096 bytes."""
    return max(_counted(folder, "--block-size=1"), _counted(folder, "--inodes") * FILE_BYTES)


def use_of(folder: str) -> Use:
    """The same for a named volume, which is more than its folder itself."""
    files = max(0, _counted(folder, "--inodes") - 1)
    return Use(size_bytes=size_of(folder) - FILE_BYTES if files else 0, files=files)


def _counted(folder: str, what: str) -> int:
    done = subprocess.run(  # noqa: S603  # no shell, and an option cannot begin with "/"
        ["/usr/bin/du", "--summarize", what, folder], capture_output=True, text=True, check=False
    )
    return int(done.stdout.partition("\t")[0] or 0)
