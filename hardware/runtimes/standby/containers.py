"""Containers that have imported Gradio and wait for the next code of their Space: a push of code, a restart
or a wake then takes as long as the app's own code. Each is made as its Space's own container, but without
the code, and never serves another Space (docs/decisions/0013)."""

from __future__ import annotations

import contextlib
import itertools
import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker.errors

from hardware.runtimes import docker_network, mount_paths
from hardware.runtimes.base import Running
from hardware.runtimes.container import HOME
from hardware.runtimes.images import code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from typing import IO

    import docker

    from hardware.runtimes.base import ReplicaSpec
    from hardware.runtimes.docker_network import Subnet

    #: On its way, as `code.fetch` returns it.
    Code = Future[IO[bytes] | None]

logger = logging.getLogger(__name__)

#: Label: the id of the Space that a container waits for.
LABEL = "spaceport.standby"
#: A replica has started for itself before a container is made for the next one.
AFTER_S = 20.0
#: Above this a repository's files come to the container faster as layers of its image.
CODE_BYTES = 64 * 1024**2
FETCHERS = 4
#: `waiting.NEXT.parent` and `waiting.CAME` of spaceport_launcher.standby.
NEXT_IN, CAME = "/tmp", "spaceport-code-came"  # noqa: S108  # the container's own


@dataclass
class _Space:
    """What its next container has to be; `options` are the engine's, without the container's name."""

    options: dict[str, Any]
    subnet: Subnet
    environment: str  # id of the image without the code; "": it is looked up when it is needed
    since: float
    container: str = ""
    address: str = ""


class Containers:
    """Those of one node: for the `most` Spaces that were started last."""

    def __init__(self, client: docker.DockerClient, installation: str, most: int) -> None:
        self._client, self._installation, self.most = client, installation, most
        self._spaces: dict[int, _Space] = {}
        self._numbers = itertools.count(secrets.randbelow(1 << 16))
        self._lock = threading.RLock()
        self._fetchers = ThreadPoolExecutor(FETCHERS, thread_name_prefix="fetch")
        self._left_behind = True

    def fetched(self, space_id: int, image: str) -> Code | None:
        """Begin to fetch the code in this image, if a container waits for it, or is perhaps being made."""
        return self._fetched(image) if space_id in self._spaces else None

    def _fetched(self, image: str) -> Code:
        return self._fetchers.submit(code.fetch, self._client, image, HOME, CAME, CODE_BYTES)

    def claim(
        self, space_id: int, options: dict[str, Any], subnet: Subnet, fetched: Code | None
    ) -> Running | None:
        """Start the Space in the container that waits for it; None: none waits that is the same as one made
        with these options. In either case, one is made for its next start."""
        if not self.most:
            return None
        with self._lock:
            known = self._spaces.pop(space_id, None)
            made = self._spaces[space_id] = _Space(options, subnet, "", time.monotonic())
            if known is None or not known.container:
                return None
            try:
                made.environment = code.environment_of(self._client, options["image"])
                same = _form(known.options) == _form(options) and known.environment == made.environment
                if same and self._go(known, options, fetched or self._fetched(options["image"])):
                    port = options["labels"]["spaceport.port"]
                    return Running(runtime_id=known.container, address=f"{known.address}:{port}")
            except docker.errors.APIError as error:
                logger.info("space %s starts without the container that waited: %s", space_id, error)
            self._remove_meanwhile(known.container)
            return None

    def _go(self, known: _Space, options: dict[str, Any], fetched: Code) -> bool:
        """False: it has ended, or the code is too large."""
        api: Any = self._client.api
        if (archive := fetched.result()) is None:
            return False
        with archive:
            api.put_archive(known.container, NEXT_IN, archive)
        if not api.inspect_container(known.container)["State"]["Running"]:
            return False
        api.rename(known.container, options["name"])
        return True

    def waits(self, space_id: int, image: str) -> bool:
        """Whether one waits for this Space upon this image of dependencies."""
        known = self._spaces.get(space_id)
        with contextlib.suppress(docker.errors.ImageNotFound):
            return known is not None and bool(known.container) and known.environment == self._id_of(image)
        return False

    def prepare(self, space_id: int, options: dict[str, Any], subnet: Subnet) -> None:
        """Make the one for the Space's next start now, in place of one that waits upon another image."""
        with self._lock:
            if self.waits(space_id, options["image"]):  # by now
                return
            known = self._spaces.pop(space_id, None)
            if known is not None and known.container:
                self._remove_meanwhile(known.container)
            made = _Space(options, subnet, self._id_of(options["image"]), time.monotonic())
            self._spaces[space_id] = made
            self._make(space_id, made)

    def _id_of(self, image: str) -> str:
        return str(self._client.images.get(image).id)

    def refill(self) -> None:
        """Make those that are missing, and remove those of Spaces that were started too long ago."""
        with self._lock:
            if self._left_behind:
                ours = {space.container for space in self._spaces.values()}
                for one in self._there():
                    if one["Id"] not in ours:
                        self._remove(one["Id"])
                self._left_behind = False
            for space_id, space in list(self._spaces.items()):
                if not space.environment and not self._finds_environment(space):
                    del self._spaces[space_id]
            for space_id in list(self._spaces)[: -self.most or None]:
                self.forget(space_id)
            for space_id, space in list(self._spaces.items()):
                if not space.container and time.monotonic() - space.since >= AFTER_S:
                    try:
                        self._make(space_id, space)
                    except docker.errors.ImageNotFound:
                        del self._spaces[space_id]

    def _finds_environment(self, space: _Space) -> bool:
        with contextlib.suppress(docker.errors.ImageNotFound):
            space.environment = code.environment_of(self._client, space.options["image"])
        return bool(space.environment)

    def _make(self, space_id: int, space: _Space) -> None:
        options = {
            **space.options,
            "image": space.environment,
            "name": f"spaceport-{self._installation}-standby-{space_id}-{secrets.token_hex(4)}",
            "labels": {**space.options["labels"], LABEL: str(space_id)},
            "command": [*space.options["command"][:2], "--await", *space.options["command"][2:]],
        }
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
            for one in self._there(f"{LABEL}={space_id}"):
                self._remove(one["Id"])

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

    def _there(self, label: str = LABEL) -> Iterator[dict[str, Any]]:
        """Containers that wait. One that was claimed has the name of its replica."""
        mine = [f"spaceport.installation={self._installation}", label]
        for one in self._client.api.containers(all=True, filters={"label": mine}):
            if any("-standby-" in name for name in one["Names"]):
                yield one

    def _remove(self, name: str) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self._client.api.remove_container(name, force=True, v=True)

    def _remove_meanwhile(self, container: str) -> None:
        """The engine takes most of a second for it, which a start need not wait for."""
        threading.Thread(target=self._remove, args=(container,), daemon=True).start()


def may_wait(spec: ReplicaSpec, gpus: tuple[str, ...], options: dict[str, Any]) -> bool:
    """Whether a container can wait for the code of such a replica: its app finds the code where the image has
    it, and nothing else there."""
    elsewhere = "SPACEPORT_CODE" in options["environment"]
    mounted = any(volume.path.startswith(f"{mount_paths.APP}/") for volume in spec.volumes)
    return spec.sdk == "gradio" and not (gpus or elsewhere or mounted or spec.scratch)


def _form(options: dict[str, Any]) -> dict[str, Any]:
    """What two containers must have in common."""
    return {name: options[name] for name in options.keys() - {"image", "name"}}
