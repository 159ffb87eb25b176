"""The image of a Gradio Space: that of its dependencies, which others may share, and its code upon it. No
step of a build runs for the code, so it needs no builder: the engine lays it down itself."""

from __future__ import annotations

import contextlib
import datetime
import io
import tarfile
import tempfile
from typing import IO, TYPE_CHECKING, Any

import docker.errors

from hardware.runtimes.images import tree
from hardware.runtimes.images.transfer import layers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

USER = 10001  # of Gradio Spaces
#: Label of an image: "environment" (dependencies alone) or "space".
KIND = "spaceport.kind"
ENVIRONMENT, SPACE = "environment", "space"
#: How long an image of dependencies is kept that no Space's image stands upon.
KEPT = datetime.timedelta(days=1)


def environment_name(key: str, base: str) -> str:
    """The name of the image with these dependencies on top of base image `base` (its id)."""
    return f"spaceport/environment:{key}-{base[-12:]}"


def add(
    client: docker.DockerClient, environment: str, source: Path, home: str, name: str, labels: dict[str, str]
) -> None:
    """Make image `name`: `environment` with the repository `source` in `home`/app.

    Raises:
        docker.errors.ImageNotFound: the environment has gone.
        docker.errors.APIError
    """
    repository, _, tag = name.rpartition(":")
    api: Any = client.api
    container = api.create_container(environment, labels={**labels, KIND: SPACE})["Id"]
    try:
        with _archive(source) as archive:
            api.put_archive(container, home, archive)
        api.commit(container, repository, tag)
    finally:
        api.remove_container(container, force=True, v=True)


def environment_of(client: docker.DockerClient, image: str, likely: str = "") -> str:
    """The id of the image of dependencies that a Space's image stands upon; `likely` is tried first. "": it
    has gone, or there is more upon it than the code."""
    own = layers(client, image)[:-1]
    with contextlib.suppress(docker.errors.NotFound):
        if likely and layers(client, likely) == own:
            return likely
    for one in client.api.images(filters={"label": f"{KIND}={ENVIRONMENT}"}):
        if layers(client, one["Id"]) == own:
            return str(one["Id"])
    return ""


@contextlib.contextmanager
def taken(client: docker.DockerClient, image: str, home: str, most_bytes: int) -> Iterator[IO[bytes] | None]:
    """The code in a Space's image as a tar of `app`, a folder of `home`; None: it is larger than that.

    Raises:
        docker.errors.APIError
    """
    container = client.containers.create(image, ["true"])
    try:
        parts, _ = client.api.get_archive(str(container.id), f"{home}/app")
        with tempfile.TemporaryFile() as file:
            for part in parts:
                file.write(part)
                if file.tell() > most_bytes:
                    yield None
                    return
            file.seek(0)
            yield file
    finally:
        container.remove(v=True)


def mark(name: str) -> bytes:
    """A tar of one empty file, the Space's own."""
    entry, buffer = tarfile.TarInfo(name), io.BytesIO()
    entry.uid = entry.gid = USER
    with tree.writing(buffer) as tar:
        tar.addfile(entry)
    return buffer.getvalue()


def _archive(source: Path) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    with tree.writing(file) as tar:
        tree.add_folder(tar, "app", USER)
        tree.add(tar, source, "app/", USER)
    file.seek(0)
    return file


def collect(client: docker.DockerClient) -> None:
    """Remove images of dependencies that no Space's image stands upon any more, of whichever platform."""
    images = client.api.images
    used = [layers(client, image["Id"]) for image in images(filters={"label": f"{KIND}={SPACE}"})]
    oldest = (datetime.datetime.now(datetime.UTC) - KEPT).timestamp()
    for image in images(filters={"label": f"{KIND}={ENVIRONMENT}"}):
        with contextlib.suppress(docker.errors.APIError):  # used or removed just now
            own = layers(client, image["Id"])
            if image["Created"] < oldest and own not in [each[: len(own)] for each in used]:
                client.images.remove(image["Id"])
