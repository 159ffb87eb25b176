"""Containers that have imported Gradio and wait for the next code of their Space: a push of code, a restart
or a wake then takes as long as the app's own code. Each is made as its Space's own container, but without
the code, and never serves another Space (docs/decisions/0013)."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker.errors

from hardware.runtimes import docker_network
from hardware.runtimes.base import Running
from hardware.runtimes.container import HOME
from hardware.runtimes.images import code

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from hardware.runtimes.docker_network import Subnet

#: Label: the id of the Space that a container waits for.
LABEL = "spaceport.standby"
#: A replica has started for itself before a container is made for the next one.
AFTER_S = 20.0
#: Above this a repository's files come to the container faster as layers of its image.
CODE_BYTES = 64 * 1024**2
#: `waiting.READY` and `CODE_CAME` of spaceport_launcher.standby.
READY, CODE_CAME = "/tmp/spaceport-waiting", "SIGUSR1"  # noqa: S108  # the container's own


@dataclass
class _Space:
    """What its next container has to be; `options` are the engine's, without the container's name."""

    options: dict[str, Any]
    subnet: Subnet
    environment: str  # id of the image without the code
    since: float
    container: str = ""
    address: str = ""


class Containers:
    """Those of one node: for the `most` Spaces that were started last."""

    def __init__(self, client: docker.DockerClient, installation: str, most: int) -> None:
        self._client, self._installation, self._most = client, installation, most
        self._spaces: dict[int, _Space] = {}
        self._numbers = itertools.count(secrets.randbelow(1 << 16))
        self._lock = threading.RLock()
        self._left_behind = True

    def claim(self, space_id: int, options: dict[str, Any], subnet: Subnet) -> Running | None:
        """Start the Space in the container that waits for it; None: none waits that is the same as one made
        with these options. In either case, one is made for its next start."""
        if not self._most:
            return None
        with self._lock:
            known = self._spaces.pop(space_id, None)
            likely = known.environment if known is not None else ""
            environment = code.environment_of(self._client, options["image"], likely)
            if environment:
                self._spaces[space_id] = _Space(options, subnet, environment, time.monotonic())
            if known is None or not known.container:
                return None
            if _form(known.options) == _form(options) and known.environment == environment:
                with contextlib.suppress(docker.errors.APIError):
                    if self._go(known, options):
                        port = options["labels"]["spaceport.port"]
                        return Running(runtime_id=known.container, address=f"{known.address}:{port}")
            self._remove(known.container)
            return None

    def _go(self, known: _Space, options: dict[str, Any]) -> bool:
        api: Any = self._client.api
        b"".join(api.get_archive(known.container, READY)[0])  # fails while it has not imported all
        with code.taken(self._client, options["image"], HOME, CODE_BYTES) as archive:
            if archive is None:
                return False
            api.put_archive(known.container, HOME, archive)
        api.rename(known.container, options["name"])
        api.kill(known.container, CODE_CAME)
        return True

    def refill(self) -> None:
        """Make those that are missing, and remove those of Spaces that were started too long ago."""
        with self._lock:
            if self._left_behind:
                for one in self._there():
                    self._remove(one["Id"])
                self._left_behind = False
            for space_id in list(self._spaces)[: -self._most or None]:
                self.forget(space_id)
            for space_id, space in self._spaces.items():
                if not space.container and time.monotonic() - space.since >= AFTER_S:
                    self._make(space_id, space)

    def _make(self, space_id: int, space: _Space) -> None:
        options = {
            **space.options,
            "image": space.environment,
            "name": self._name(space_id),
            "labels": {**space.options["labels"], LABEL: str(space_id)},
            "command": [*space.options["command"][:2], "--wait", *space.options["command"][2:]],
        }
        self._remove(options["name"])
        for address in docker_network.addresses(space.subnet, next(self._numbers)):
            endpoint = self._client.api.create_endpoint_config(ipv4_address=address)
            made = self._client.containers.create(**options, networking_config={options["network"]: endpoint})
            try:
                made.start()
            except docker.errors.APIError as error:
                made.remove(force=True, v=True)
                if "ddress already in use" in str(error):
                    continue
                raise
            space.container, space.address = str(made.id), address
            return

    def forget(self, space_id: int) -> None:
        """Remove what waits for this Space, whichever process made it."""
        with self._lock:
            self._spaces.pop(space_id, None)
            self._remove(self._name(space_id))

    def let_go(self, volume: str) -> None:
        """Remove those that use this volume of the engine's."""
        with self._lock:
            for space_id, space in list(self._spaces.items()):
                if any(mount["Source"] == volume for mount in space.options["mounts"]):
                    self.forget(space_id)

    def memory_bytes(self) -> int:
        """What they have in memory."""
        found = 0
        for container in [space.container for space in list(self._spaces.values()) if space.container]:
            with contextlib.suppress(docker.errors.APIError):
                about = self._client.api.stats(container, stream=False, one_shot=True)
                found += about["memory_stats"].get("usage", 0)
        return found

    def end(self) -> None:
        """Remove them all."""
        with self._lock:
            self._spaces.clear()
            for one in self._there():
                self._remove(one["Id"])

    def _name(self, space_id: int) -> str:
        return f"spaceport-{self._installation}-standby-{space_id}"

    def _there(self) -> Iterator[dict[str, Any]]:
        """Containers that wait. One that was claimed has the name of its replica."""
        mine = [f"spaceport.installation={self._installation}", LABEL]
        for one in self._client.api.containers(all=True, filters={"label": mine}):
            if any("-standby-" in name for name in one["Names"]):
                yield one

    def _remove(self, name: str) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self._client.api.remove_container(name, force=True, v=True)


def _form(options: dict[str, Any]) -> dict[str, Any]:
    """What two containers must have in common."""
    return {name: options[name] for name in options.keys() - {"image", "name"}}
