"""Images: what goes into them, and how they come into the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import docker.errors

if TYPE_CHECKING:
    import docker


def exists(client: docker.DockerClient, image: str) -> bool:
    """Whether the engine has this image."""
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        return False
    return True
