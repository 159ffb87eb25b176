"""Volumes of the container engine: `/data` of Spaces, and named ones. The engine itself packs and unpacks
them, wherever it runs, through a container that has no program and is never started."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.types import Mount

from hardware.runtimes import container_files
from hardware.runtimes.volumes import VOLUME
from spaceport.keeping.manifest import Part, Refused
from spaceport.keeping.parts import Report, Writing, chunks

FOLDER = "engine-volumes"
INSIDE = "/data"
LABEL = "spaceport.installation"
API_TIMEOUT_S = 600


def engine() -> docker.DockerClient:
    """
    Raises:
        Refused: none answers.
    """
    try:
        client = docker.from_env(timeout=API_TIMEOUT_S)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:  # requests' errors are the latter
        raise Refused(
            "The backup has volumes of a container engine, and none answers here. Start it, or leave them "
            "out with `--without volumes`."
        ) from error
    return client


def kept(client: docker.DockerClient, installation: str) -> list[Any]:
    """Those with what apps saved. Caches fill again."""
    found = client.volumes.list(filters={"label": f"{LABEL}={installation}"})
    return [one for one in found if not one.name.startswith(f"spaceport-{installation}-cache-")]


def runs(client: docker.DockerClient, installation: str) -> bool:
    """Whether a container of this installation runs."""
    return bool(client.containers.list(filters={"label": f"{LABEL}={installation}"}))


def size_of(client: docker.DockerClient, names: set[str]) -> int:
    """The size of these in bytes."""
    if not names:
        return 0
    volumes = client.df().get("Volumes") or []
    sizes = [(one.get("UsageData") or {}).get("Size", 0) for one in volumes if one["Name"] in names]
    return sum(max(size, 0) for size in sizes)


def save(
    client: docker.DockerClient, installation: str, folder: Path, report: Report
) -> list[tuple[Part, Any]]:
    """Write each into a tar of its own; returns the parts, with their entries in the manifest."""
    saved = []
    for volume in kept(client, installation):
        file = f"{FOLDER}/{volume.name}.tar"
        about = {"file": file, "name": volume.name, "labels": volume.attrs.get("Labels") or {}}
        with (
            Writing(folder, file, report) as into,
            _mounted(client, volume.name) as container,
            container_files.archive(client, container.id, INSIDE) as content,
        ):
            for chunk in content:
                into.write(chunk)
        saved.append((into.part, about))
    return saved


def there(client: docker.DockerClient, names: set[str]) -> set[str]:
    """Those of these volumes that the engine has."""
    return names & {one.name for one in client.volumes.list()}


def load(
    client: docker.DockerClient, folder: Path, volumes: list[dict[str, Any]], report: Report
) -> list[int]:
    """Make them, in place of those that are there; the numbers of the named ones.

    Raises:
        Refused: a container uses one.
    """
    for about in volumes:
        report(f"restoring {about['file']}")
        try:
            with contextlib.suppress(docker.errors.NotFound):
                client.volumes.get(about["name"]).remove()
        except docker.errors.APIError as error:
            raise Refused(f"The volume {about['name']} is in use: {error.explanation}") from error
        client.volumes.create(about["name"], labels=about["labels"])
        with _mounted(client, about["name"]) as container:
            container.put_archive("/", chunks(folder / about["file"]))
    return [int(about["labels"][VOLUME]) for about in volumes if VOLUME in about["labels"]]


@contextlib.contextmanager
def _mounted(client: docker.DockerClient, name: str) -> Iterator[Any]:
    nothing = io.BytesIO()
    with tarfile.open(fileobj=nothing, mode="w"):
        pass
    client.api.import_image_from_data(nothing.getvalue(), repository="spaceport/nothing", tag=name)
    container = client.containers.create(
        f"spaceport/nothing:{name}", ["none"], mounts=[Mount(INSIDE, name, type="volume", no_copy=True)]
    )
    try:
        yield container
    finally:
        container.remove()
        with contextlib.suppress(docker.errors.APIError):  # another one's is the same image
            client.images.remove(f"spaceport/nothing:{name}")
