"""Files in a container, whether it runs or not: `/containers/{id}/archive` of the engine's API. While the
engine sends an archive it does not remove the container, so one that is not read to its end is ended here."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import docker.utils

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

CHUNK = 1024**2


@contextlib.contextmanager
def archive(client: docker.DockerClient, container: str, path: str) -> Iterator[Iterator[bytes]]:
    """What is at this path as a tar archive, in pieces, of which the caller may leave the rest.

    Raises:
        docker.errors.NotFound
    """
    api: Any = client.api  # without `_url` and its like in its types
    answer = api.get(
        api._url("/containers/{0}/archive", container),
        params={"path": path}, headers={"Accept-Encoding": "identity"}, stream=True, timeout=api.timeout,
    )  # fmt: skip
    with contextlib.closing(answer):
        api._raise_for_status(answer)
        yield answer.iter_content(CHUNK)


def mode(client: docker.DockerClient, container: str, path: str) -> int:
    """The mode of what is at this path.

    Raises:
        docker.errors.NotFound
    """
    api: Any = client.api
    url = api._url("/containers/{0}/archive", container)
    answer = api.head(url, params={"path": path}, timeout=api.timeout)
    api._raise_for_status(answer)
    about = docker.utils.decode_json_header(answer.headers["X-Docker-Container-Path-Stat"])
    return int(about["mode"])
