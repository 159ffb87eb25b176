"""Images of Spaces in a registry (SPACEPORT_REGISTRY), for nodes with an engine of their own: pushed by the
node that built them, pulled by digest where a replica starts without them. The engine itself signs in, with
what `docker login` has kept. https://distribution.github.io/distribution/spec/api/"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import docker
import docker.errors
import requests

from hardware.runtimes import docker_build
from hardware.runtimes.base import EngineUnavailable
from infra.folders import installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hardware.runtimes.base import Artifact, ReplicaSpec

logger = logging.getLogger(__name__)

TIMEOUT_S = 30.0
ENGINE_S = 900  # an image may have gigabytes
#: Images of a Space that a node keeps of those that it pulled.
VERSIONS_KEPT = 3


class RegistryFailed(EngineUnavailable):
    """The registry refuses, or does not answer; try again."""


def push(client: docker.DockerClient, registry: str, image: str) -> str:
    """Push one of the engine's images there; answers the reference by which others pull it.

    Raises:
        RegistryFailed
    """
    name, _, tag = image.rpartition(":")
    repository = f"{registry}/{name.rpartition('/')[2]}"
    client.images.get(image).tag(repository, tag)
    digest = ""
    try:
        for told in client.images.push(repository, tag, stream=True, decode=True):
            if "error" in told:
                raise RegistryFailed(f"The image could not be pushed to {registry}: {told['error']}")
            digest = (told.get("aux") or {}).get("Digest", digest)
    finally:
        _unname(client, f"{repository}:{tag}")
        _unname(client, f"{repository}@{digest}")
    if not digest:
        raise RegistryFailed(f"{registry} did not name the digest of what was pushed.")
    return f"{repository}@{digest}"


def pushed(registry: str, artifact: Artifact) -> Artifact:
    """What a build made, once it is in this registry too.

    Raises:
        RegistryFailed
    """
    with _engine() as client:
        return replace(artifact, pull=push(client, registry, artifact.image))


def ensured(home: Path, spec: ReplicaSpec) -> Artifact:
    """What a build made, as it is in this machine's engine: pulled where it is not there yet. One that the
    registry does not have any more is left for the runtime to miss.

    Raises:
        RegistryFailed
    """
    artifact = spec.artifact
    with _engine() as client:
        for image in (artifact.image, _own_name(home, spec)):
            with contextlib.suppress(docker.errors.ImageNotFound):
                client.images.get(image)
                return replace(artifact, image=image)
        image = _own_name(home, spec)
        with contextlib.suppress(docker.errors.ImageNotFound):
            pull(client, artifact.pull, image)
        return replace(artifact, image=image)


def _own_name(home: Path, spec: ReplicaSpec) -> str:
    """This installation's name for it, by which it is found again when the Space is deleted."""
    tag = spec.artifact.image.rpartition(":")[2]
    return f"{docker_build.repository(installation(home), spec.space_id)}:{tag}"


@contextlib.contextmanager
def _engine() -> Iterator[docker.DockerClient]:
    try:
        with contextlib.closing(docker.from_env(timeout=ENGINE_S)) as client:
            yield client
    except docker.errors.ImageNotFound:
        raise
    except (requests.RequestException, docker.errors.DockerException) as error:
        raise EngineUnavailable(f"The container engine does not answer: {error}") from error


def pull(client: docker.DockerClient, reference: str, image: str) -> None:
    """Pull what a reference names, and call it `image` here; older ones of the same Space go.

    Raises:
        RegistryFailed
        docker.errors.ImageNotFound: the registry does not have it any more.
    """
    repository, _, digest = reference.partition("@")
    try:
        pulled = client.images.pull(repository, tag=digest)
    except docker.errors.NotFound as error:
        raise docker.errors.ImageNotFound(str(error)) from error
    except docker.errors.APIError as error:
        raise RegistryFailed(f"{reference} could not be pulled: {error.explanation}") from error
    name, _, tag = image.rpartition(":")
    pulled.tag(name, tag)
    _unname(client, reference)
    _remove_older(client, name)


def _unname(client: docker.DockerClient, reference: str) -> None:
    """The image has another name, and goes once that does."""
    with contextlib.suppress(docker.errors.APIError):
        client.images.remove(reference, noprune=True)


def _remove_older(client: docker.DockerClient, name: str) -> None:
    images: list[Any] = sorted(client.images.list(name), key=lambda one: one.attrs["Created"], reverse=True)
    for old in images[VERSIONS_KEPT:]:
        for reference in old.tags:
            with contextlib.suppress(docker.errors.APIError):  # in use
                client.images.remove(reference)


def forget(reference: str) -> None:
    """Delete it in the registry, which then frees its layers with its own garbage collection. A registry that
    deletes nothing is no error."""
    repository, _, digest = reference.partition("@")
    host, _, path = repository.partition("/")
    scheme = "http" if _is_local(host) else "https"
    request = urllib.request.Request(f"{scheme}://{host}/v2/{path}/manifests/{digest}", method="DELETE")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            pass
    except OSError as error:
        logger.warning("%s stays in the registry: %s", reference, error)


def _is_local(host: str) -> bool:
    """As the engine has it: there it speaks plain HTTP."""
    name = host.rpartition(":")[0] or host
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost"
