"""Image stores of builders, as volumes of the engine: one with the images that Dockerfiles may start from,
which builds can only read, and one for the layers of each Space, or of all Gradio Spaces with the same
dependencies."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from typing import TYPE_CHECKING

import docker.errors
from docker.types import Mount

from hardware.runtimes import build_job

if TYPE_CHECKING:
    import docker

    from hardware.runtimes.base import Log
    from hardware.runtimes.build_job import Engine

BASES = "spaceport-builds-bases"
LABEL = "spaceport.build-cache"
SHARED = "shared"
KEPT = datetime.timedelta(days=14)
LOAD_S = 1800.0


def bases(*, read_only: bool) -> Mount:
    """The volume of images that builds start from. All platforms beside one engine share it."""
    return Mount("/bases", BASES, type="volume", read_only=read_only)


def layers(engine: Engine, owner: str, subject: str, upon: dict[str, str]) -> Mount:
    """The volume for the layers of `subject` ("space-7", "environment-1a2b") on top of these images; other
    images have another volume. It belongs to `owner`: an installation, or SHARED."""
    identity = "\n".join([owner, subject, *sorted(upon.values())])
    name = f"spaceport-build-cache-{hashlib.sha256(identity.encode()).hexdigest()[:24]}"
    with contextlib.suppress(docker.errors.APIError):  # another worker was faster
        engine.client.volumes.create(name, labels={LABEL: owner})
    return Mount("/store", name, type="volume")


def load(engine: Engine, images: dict[str, str], log: Log) -> None:
    """Put these images of the engine (by name: their ids) where builds can read them."""
    for name, image in images.items():
        log(f"Handing {name} to the builder, once on this node; this takes a moment.")
        with build_job.Job(engine, [bases(read_only=False)], LOAD_S, lambda _line: None) as job:
            job.run(
                {
                    "kind": "load", "store": "/bases", "others": [], "needs": [],
                    "names": {image.removeprefix("sha256:"): [f"localhost/{name}", full_name(name)]},
                },
                stdin=engine.client.api.get_image(image),
            )  # fmt: skip


def full_name(name: str) -> str:
    """The name with the registry that Docker means when there is none: "docker.io/library/debian:12"."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def remove_old(client: docker.DockerClient, owner: str, kept: datetime.timedelta = KEPT) -> None:
    """Remove this owner's stores of layers that are older than this and not in use."""
    limit = datetime.datetime.now(datetime.UTC) - kept
    for volume in client.volumes.list(filters={"label": f"{LABEL}={owner}"}):
        if datetime.datetime.fromisoformat(volume.attrs["CreatedAt"]) <= limit:
            with contextlib.suppress(docker.errors.APIError):  # in use
                volume.remove()
