"""Takes a builder's result into the engine: the layers that the engine lacks, each checked against its
digest.

Nothing that comes out of a builder is trusted: an image that named another Space's layers without having
them would get them from the engine."""

from __future__ import annotations

import hashlib
import json
import tarfile
from typing import TYPE_CHECKING, Any

import docker.errors

from hardware.runtimes.base import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from hardware.runtimes.build_job import Job

BLOCK = 512


class Untrue(EngineUnavailable):
    """The builder's image does not match its description."""


def take(
    client: docker.DockerClient,
    job: Job,
    result: dict[str, Any],
    known: list[list[str]],
    name: str,
    labels: dict[str, str],
) -> None:
    """Load what `job` built into the engine as `name`, with these labels. `known` are the layers, from the
    bottom up, of the images that this build may have built upon and the engine has.

    Raises:
        Untrue: a digest does not fit, or layers were left out that this build may not have.
        EngineUnavailable: the engine refused it.
    """
    text = job.read(f"/out/{result['config']}")
    config = json.loads(text)
    diff_ids = config["rootfs"]["diff_ids"]
    omitted = diff_ids[: result["omitted"]]
    if hashlib.sha256(text).hexdigest() != result["config"] or diff_ids != result["diff_ids"]:
        raise Untrue("The image's configuration does not fit its digest.")
    if omitted and omitted not in [layers[: len(omitted)] for layers in known]:
        raise Untrue("The image builds upon layers that this build was not given.")
    config["config"]["Labels"] = {**(config["config"].get("Labels") or {}), **labels}
    text = json.dumps(config).encode()
    api: Any = client.api  # without types for this
    api.load_image(_archive(job, text, diff_ids, len(omitted), name))
    try:
        if client.images.get(name).id != f"sha256:{hashlib.sha256(text).hexdigest()}":
            raise Untrue("The engine made another image of what was built.")
    except docker.errors.ImageNotFound as error:
        raise EngineUnavailable("The engine did not take what was built.") from error


def _archive(job: Job, config: bytes, diff_ids: list[str], omitted: int, name: str) -> Iterator[bytes]:
    """An archive for `docker load`. Layers that it has already need not be in it."""
    names = [diff_id.removeprefix("sha256:") for diff_id in diff_ids]
    for layer in dict.fromkeys(names[omitted:]):
        seen = hashlib.sha256()
        with job.stream(f"/out/{layer}") as (size, parts):
            yield _head(f"{layer}.tar", size)
            for part in parts:
                seen.update(part)
                yield part
        if seen.hexdigest() != layer:
            raise Untrue("A layer does not fit its digest.")
        yield bytes(-size % BLOCK)
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [f"{layer}.tar" for layer in names]}]
    for file, content in (("config.json", config), ("manifest.json", json.dumps(manifest).encode())):
        yield _head(file, len(content)) + content + bytes(-len(content) % BLOCK)
    yield bytes(2 * BLOCK)


def _head(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.GNU_FORMAT)


def layers(client: docker.DockerClient, image: str) -> list[str]:
    """The layers of one of the engine's images, from the bottom up."""
    return list(client.images.get(image).attrs["RootFS"].get("Layers") or [])
