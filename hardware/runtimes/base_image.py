"""The image every Space runs in: built from `docker/base/`, once on each node's engine."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import docker
import docker.errors
from django.conf import settings

from hardware.runtimes.base import BuildFailed, EngineUnavailable, ImageMissing, Log
from hardware.runtimes.images import context as image_context
from hardware.runtimes.images import exists

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "base"
LAUNCHER = FOLDER / "launcher"
MAIN = "spaceport_launcher/__main__.py"  # the file in it that runs an app
DEFAULT_PYTHON = "3.11"
DEFAULT_FROM = "debian:bookworm-slim"
#: Labels of a base image: what it was made of (a digest), and from which image.
MADE_OF, MADE_FROM = "spaceport.made-of", "spaceport.made-from"

_building: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # by Python version


def tag(python_version: str) -> str:
    """The image's name for this Python, "3.11"."""
    return f"{settings.SPACEPORT_BASE_IMAGE}:py{python_version}"


def pythons(client: docker.DockerClient) -> list[str]:
    """The Python versions there is a base image for, e.g. ["3.11"]."""
    found = []
    for image in client.images.list(name=settings.SPACEPORT_BASE_IMAGE):
        found += re.findall(r":py(\d+\.\d+)$", "\n".join(image.tags), re.MULTILINE)
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def ensure(client: docker.DockerClient, python_version: str, log: Log) -> str:
    """The base image for this Python ("3.12"; empty: the default), built now when it is missing, and built
    again when `docker/base/` has changed since: an upgraded platform needs its own launcher.

    Raises:
        BuildFailed: there is no image for this version, and none can be made; names the ones there are.
        ImageMissing: the default base image, or one that there was, cannot be built.
    """
    wanted = python_version or DEFAULT_PYTHON
    with _building[wanted]:
        labels = _labels(client, tag(wanted))
        if labels.get(MADE_OF) == image_context.digest(_context()):
            return tag(wanted)
        base = DEFAULT_FROM if wanted == DEFAULT_PYTHON else f"python:{wanted}-slim"
        log(f"Building the base image {tag(wanted)}, once on this node; this takes a minute.")
        try:
            build(client, labels.get(MADE_FROM, base), log)
        except EngineUnavailable as error:
            if labels or wanted == DEFAULT_PYTHON:
                raise ImageMissing(how_to_mend(error)) from error
            raise BuildFailed(
                f"README.md asks for python_version {wanted}, but this platform has Python "
                f"{', '.join(pythons(client) or [DEFAULT_PYTHON])}, and {base} cannot be had: "
                f"{str(error)[:300]} Change the version, or ask its administrator to run "
                "`manage.py base_image --from IMAGE` with an image that has this Python."
            ) from error
    return tag(wanted)


def how_to_mend(error: Exception) -> str:
    """What is missing, why it cannot be made now, and the command that makes it."""
    return (
        f"The image that Spaces run in, {tag(DEFAULT_PYTHON)}, cannot be made: {str(error)[:300]} "
        "Run `manage.py base_image --from IMAGE` with a Debian image that the engine has or can pull; builds "
        "wait for that and go on by themselves."
    )


def lacks(client: docker.DockerClient) -> str:
    """The text of `how_to_mend` if there is no base image and none can be made; "" otherwise."""
    if exists(client, tag(DEFAULT_PYTHON)) or exists(client, DEFAULT_FROM):
        return ""
    try:
        client.images.pull(DEFAULT_FROM)
    except docker.errors.DockerException as error:
        return how_to_mend(error)
    return ""


def made_from(client: docker.DockerClient) -> str:
    """The image that the default base image was made from."""
    return _labels(client, tag(DEFAULT_PYTHON)).get(MADE_FROM, DEFAULT_FROM)


def allowed(client: docker.DockerClient) -> dict[str, str]:
    """The engine's images that Dockerfiles may start from, and their ids: the base images, those they were
    made from, and what SPACEPORT_BUILD_IMAGES names."""
    names = {tag(version) for version in pythons(client)}
    names |= {_labels(client, name).get(MADE_FROM, "") for name in names}
    found = {}
    for name in sorted({*names, *settings.SPACEPORT_BUILD_IMAGES} - {""}):
        with contextlib.suppress(docker.errors.ImageNotFound):
            found[name] = str(client.images.get(name).id)
    return found


def _labels(client: docker.DockerClient, image: str) -> dict[str, str]:
    try:
        return dict(client.images.get(image).labels)
    except docker.errors.ImageNotFound:
        return {}


def build(client: docker.DockerClient, base: str, log: Log) -> str:
    """Build the base image from image `base`; returns its name, which contains its Python version.

    Raises:
        EngineUnavailable: with the builder's last lines.
    """
    context = _context()
    labels = {MADE_OF: image_context.digest(context), MADE_FROM: base}
    try:
        image_id = image_context.build(
            client, context, "base image", log, arguments={"BASE_IMAGE": base}, labels=labels
        )
        version = _run(client, image_id, "import sys; print('%d.%d' % sys.version_info[:2])")
    except docker.errors.DockerException as error:
        raise EngineUnavailable(f"The base image could not be built: {error}") from error
    client.images.get(image_id).tag(settings.SPACEPORT_BASE_IMAGE, f"py{version}")
    return tag(version)


def _run(client: docker.DockerClient, image: str, code: str) -> str:
    output: Any = client.containers.run(image, ["python", "-c", code], remove=True, network_mode="none")
    return bytes(output).decode().strip()


def _context() -> io.BytesIO:
    return image_context.pack(FOLDER)
