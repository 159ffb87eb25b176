"""The image of a Gradio Space: that of its dependencies, which others may share, and its code upon it. No
step of a build runs for the code, so it needs no builder: the engine lays it down itself."""

from __future__ import annotations

import contextlib
import datetime
import tarfile
import tempfile
import threading
from typing import IO, TYPE_CHECKING, Any

import docker.errors

from hardware.runtimes import container_files
from hardware.runtimes.images import tree
from hardware.runtimes.images.transfer import layers

if TYPE_CHECKING:
    from pathlib import Path

    import docker

USER = 10001  # of Gradio Spaces
#: Label of an image: "environment" (dependencies alone) or "space".
KIND = "spaceport.kind"
ENVIRONMENT, SPACE = "environment", "space"
#: Label of a Space's image: the id of the image of dependencies that it stands upon.
UPON = "spaceport.upon"
#: How long an image of dependencies is kept that no Space's image stands upon.
KEPT = datetime.timedelta(days=1)
IN_MEMORY_BYTES = 1024**2


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
    upon = str(client.images.get(environment).id)
    container = api.create_container(upon, labels={**labels, KIND: SPACE, UPON: upon})["Id"]
    try:
        with _archive(source) as archive:
            api.put_archive(container, home, archive)
        api.commit(container, repository, tag)
    finally:
        api.remove_container(container, force=True, v=True)


def environment_of(client: docker.DockerClient, image: str) -> str:
    """The id of the image of dependencies that a Space's image stands upon. "": it has gone, or there is more
    upon it than the code.

    Raises:
        docker.errors.ImageNotFound: the Space's image has gone.
    """
    about = client.images.get(image)
    own = list(about.attrs["RootFS"].get("Layers") or [])[:-1]
    with contextlib.suppress(docker.errors.NotFound):
        if (upon := about.labels.get(UPON)) is not None:
            # Compared too: where a build ran steps of the Space, they may have written the label.
            return upon if layers(client, upon) == own else ""
    # An earlier version made it. The engine takes half a second to list hundreds of images.
    for one in client.api.images(filters={"label": f"{KIND}={ENVIRONMENT}"}):
        if layers(client, one["Id"]) == own:
            return str(one["Id"])
    return ""


def fetch(client: docker.DockerClient, image: str, home: str, last: str, most_bytes: int) -> IO[bytes] | None:
    """The code in a Space's image as a tar of `app`, a folder of `home`, and after it an empty file `last`,
    the Space's own; None: it is larger than that.

    Raises:
        docker.errors.APIError
    """
    container = client.containers.create(image, ["true"])
    try:
        file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  # the caller closes it
        with container_files.archive(client, str(container.id), f"{home}/app") as parts:
            for part in parts:
                file.write(part)
                if file.tell() > most_bytes:
                    file.close()
                    return None
    finally:
        # A start waits for the code, not for this.
        threading.Thread(target=container.remove, kwargs={"v": True}).start()
    file.seek(0)
    entry = tarfile.TarInfo(last)
    entry.uid = entry.gid = USER
    with tarfile.open(fileobj=file, mode="a") as tar:
        tar.addfile(entry)
    file.seek(0)
    return file


def _archive(source: Path) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    with tree.writing(file) as tar:
        tree.add_folder(tar, "app", USER)
        tree.add(tar, source, "app/", USER)
    file.seek(0)
    return file


def collect(client: docker.DockerClient) -> None:
    """Remove images of dependencies that no Space's image stands upon any more, of whichever platform."""
    there = client.api.images(filters={"label": KIND})
    oldest = (datetime.datetime.now(datetime.UTC) - KEPT).timestamp()
    old = [
        image["Id"] for image in there if image["Labels"][KIND] == ENVIRONMENT and image["Created"] < oldest
    ]
    if not old:
        return
    spaces = [image for image in there if image["Labels"][KIND] == SPACE]
    upon = {image["Labels"].get(UPON) for image in spaces}
    unlabelled = [layers(client, image["Id"]) for image in spaces if UPON not in image["Labels"]]
    for environment in old:
        with contextlib.suppress(docker.errors.APIError):  # used or removed just now
            own = layers(client, environment)
            if environment not in upon and own not in [each[: len(own)] for each in unlabelled]:
                client.images.remove(environment)
