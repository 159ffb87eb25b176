"""The image that Spaces are built in: made from `docker/builder/`, once on each node's engine."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import docker.errors

from hardware.runtimes import base_image
from hardware.runtimes.base import EngineUnavailable, ImageMissing
from hardware.runtimes.images import context as image_context

if TYPE_CHECKING:
    from hardware.runtimes.base import Log

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "builder"
REPOSITORY = "spaceport/builder"

_building = threading.Lock()


def ensure(client: docker.DockerClient, log: Log) -> str:
    """The builder image, built now when it is missing. Its name is a digest of its sources, so checkouts of
    different versions beside one engine do not disturb each other.

    Raises:
        ImageMissing: it cannot be built.
    """
    context = image_context.pack(FOLDER)
    version = image_context.digest(context)[:12]
    name = f"{REPOSITORY}:{version}"
    with _building:
        try:
            client.images.get(name)
        except docker.errors.ImageNotFound:
            log("Building the image that builds Spaces, once on this node; this takes a minute.")
            try:
                image_id = image_context.build(
                    client, context, "builder image", log,
                    arguments={"BASE_IMAGE": base_image.made_from(client)}, labels={},
                )  # fmt: skip
                client.images.get(image_id).tag(REPOSITORY, version)
            except (docker.errors.DockerException, EngineUnavailable) as error:
                raise ImageMissing(base_image.how_to_mend(error)) from error
    return name


def seccomp() -> str:
    """The profile of system calls for its containers, as JSON. RUN steps get buildah's own, narrower one
    besides."""
    return (FOLDER / "seccomp.json").read_text()
