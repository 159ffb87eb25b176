"""The docker runtime: every Space in a container of its own, isolated as far as the engine can."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import docker
import docker.errors
import requests
from django.conf import settings

from hardware.runtimes import (
    base_image,
    build_caches,
    container,
    docker_build,
    docker_network,
    firewall,
    volumes,
)
from hardware.runtimes.base import (
    Artifact,
    ArtifactMissing,
    EngineUnavailable,
    Exit,
    InUse,
    LogLine,
    Running,
    StartFailed,
    Stats,
)
from hardware.runtimes.build_job import Engine
from hardware.runtimes.egress_policy import Egress
from hardware.runtimes.environment import describe_exit
from hardware.runtimes.images import code
from hardware.runtimes.standby.containers import Containers, may_wait
from hardware.runtimes.walls import sandboxes
from infra import listening
from infra.folders import installation
from infra.line_splitter import LINE_BYTES, Cut, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.base import BuildSpec, Found, Log, ReplicaSpec, Use
    from hardware.runtimes.docker_network import Subnet
    from infra.listening import Listener

logger = logging.getLogger(__name__)

API_TIMEOUT_S = 30
BUILD_API_TIMEOUT_S = 900  # some of its requests move gigabytes
KEEP_ENDED_S = 3600
WATCH_EVERY_S = 5.0
RENEW_EVERY = 12  # times
LAST_LINES = 20
RESOLVER = "127.0.0.11"  # the engine's own, in the network of each container


@contextlib.contextmanager
def _engine() -> Iterator[None]:
    """Every way in which the engine can fail to answer, as one."""
    try:
        yield
    except (requests.RequestException, docker.errors.DockerException) as error:
        raise EngineUnavailable(f"The container engine does not answer: {error}") from error


@contextlib.contextmanager
def _is_free(what: str) -> Iterator[None]:
    """The engine removes nothing that a container uses."""
    try:
        yield
    except docker.errors.APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
        raise InUse(f"{what} is in use.") from error


class DockerRuntime:
    """Talks to the engine that DOCKER_HOST names (default: this machine's). `home` keeps the installation's
    id, which marks everything it makes. At most `standby` containers wait."""

    name: Literal["docker"] = "docker"

    def __init__(self, home: Path, *, standby: int = 0) -> None:
        with _engine():
            self.client = docker.from_env(timeout=API_TIMEOUT_S)
            self.client.ping()
            about = self.client.info()
        self._cores: int = about["NCPU"]
        self.installation = installation(home)
        self.place = f"{self.installation} {about['ID']}"
        self._disk = volumes.DiskWatch(self.client, self.installation, about["DockerRootDir"])
        self._standby = Containers(self.client, self.installation, standby)
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._lock = threading.Lock()

    # --- build ------------------------------------------------------------------------------------

    def build(self, spec: BuildSpec, log: Log, found: Found | None = None) -> Artifact:
        with _engine():
            with self._lock:
                network = docker_network.ensure_build_network(self.client, self.installation)
            version = self.client.api.api_version  # else it is asked again
            with contextlib.closing(docker.from_env(version=version, timeout=BUILD_API_TIMEOUT_S)) as client:
                engine = Engine(
                    client=client, network=network, installation=self.installation, space_id=spec.space_id
                )
                image = docker_build.build(engine, spec, log, found)
                size: int = client.images.get(image).attrs["Size"]
        return Artifact(runtime="docker", image=image, size_bytes=size)

    def forget(self, artifact: Artifact) -> None:
        if artifact.image:
            with _engine(), _is_free(artifact.image), contextlib.suppress(docker.errors.ImageNotFound):
                self.client.images.remove(artifact.image)
                code.collect(self.client)

    def forget_space(self, space_id: int) -> bool:
        repository = docker_build.repository(self.installation, space_id)
        try:
            with _engine():
                self._standby.forget(space_id)
            with _engine(), _is_free(repository):
                for image in self.client.images.list(repository):
                    for name in image.tags:
                        self.client.images.remove(name)
                code.collect(self.client)
                volumes.remove(self.client, self.installation, space_id)
        except InUse:
            return False
        return True

    def forget_volume(self, volume_id: int) -> bool:
        try:
            with _engine(), _is_free(f"volume {volume_id}"):
                self._standby.let_go(volumes.named(self.installation, volume_id))
                volumes.remove_named(self.client, self.installation, volume_id)
        except InUse:
            return False
        return True

    def volume_uses(self) -> dict[int, Use]:
        with _engine():
            return volumes.uses(self.client, self.installation)

    # --- run --------------------------------------------------------------------------------------

    def start(self, replica_id: int, spec: ReplicaSpec, *, gpus: tuple[str, ...] = ()) -> Running:
        if (there := self.running().get(replica_id)) is not None:
            return there
        with _engine():
            fetched = self._standby.fetched(spec.space_id, spec.artifact.image)
            self._remove(self._container_name(replica_id))
            options, subnet = self._options(spec, gpus)
            options["name"] = self._container_name(replica_id)
            if may_wait(spec, gpus, options):
                claimed = self._standby.claim(spec.space_id, options, subnet, fetched)
                if claimed is not None:
                    return claimed
            for address in docker_network.addresses(subnet, replica_id):
                place = self.client.api.create_endpoint_config(ipv4_address=address)
                made = self.client.containers.create(**options, networking_config={options["network"]: place})
                try:
                    made.start()
                except docker.errors.APIError as error:
                    made.remove(force=True, v=True)
                    if "ddress already in use" in str(error):
                        continue
                    raise StartFailed(f"The container could not be started: {error.explanation}") from error
                return Running(runtime_id=str(made.id), address=f"{address}:{spec.port}", gpus=gpus)
        raise StartFailed("This node has no free address for another container.")

    def _options(self, spec: ReplicaSpec, gpus: tuple[str, ...]) -> tuple[dict[str, Any], Subnet]:
        """All of its container's but the name, and the addresses that it may have."""
        sandboxes.check(self.client, spec.may_use.sandbox)
        network, subnet, leads_out = self._network(Egress.parse(spec.egress))
        try:
            run_as = container.identity(self.client, spec.artifact.image, spec.sdk)
            staging = container.staging(self.client, spec.artifact.image) if spec.sdk == "gradio" else {}
        except docker.errors.ImageNotFound as error:
            raise ArtifactMissing(
                "What the last build made is not on this node any more. Rebuild the Space."
            ) from error
        options = container.options(
            spec, run_as, cores=self._cores, gpus=gpus, network=network, leads_out=leads_out
        )
        options["environment"] |= staging
        options["labels"] = self._labels(spec, gpus)
        options["mounts"] = volumes.mounts(self.client, self.installation, spec, run_as.user)
        return options, subnet

    def prepare(self, spec: ReplicaSpec) -> None:
        with _engine(), contextlib.suppress(ArtifactMissing):
            if self._standby.most and not self._standby.waits(spec.space_id, spec.artifact.image):
                options, subnet = self._options(spec, ())
                if may_wait(spec, (), options):
                    self._standby.prepare(spec.space_id, options, subnet)

    def _network(self, egress: Egress) -> tuple[str, Subnet, bool]:
        """The network for Spaces with this policy, its addresses, and whether it leads out. Where the packet
        filter cannot be set, none does."""
        with self._lock:
            if egress != Egress():
                name, bridge, subnet = docker_network.ensure_way_out(
                    self.client, self.installation, str(egress)
                )
                try:
                    self._enclose(bridge, egress)
                except firewall.NoFirewall as error:
                    logger.warning("Spaces have no way out on this node. %s", error)
                else:
                    return name, subnet, True
            return *docker_network.ensure_run_network(self.client, self.installation), False

    def _labels(self, spec: ReplicaSpec, gpus: tuple[str, ...]) -> dict[str, str]:
        return {
            "spaceport.installation": self.installation,
            "spaceport.space": spec.space,
            "spaceport.port": str(spec.port),
            "spaceport.gpus": ",".join(gpus),
        }

    def poll(self, runtime_id: str) -> Exit | None:
        with _engine():
            try:
                there = self.client.api.inspect_container(runtime_id)
            except docker.errors.NotFound:
                return describe_exit(None, out_of_memory=False, memory_limit_bytes=0, last_lines=[])
            if (state := there["State"])["Running"] or state["Status"] == "created":
                return None
            lines = self.client.api.logs(runtime_id, tail=LAST_LINES).decode(errors="replace").splitlines()
            return describe_exit(
                state["ExitCode"],
                out_of_memory=state["OOMKilled"] or self._was_out_of_memory(runtime_id, state),
                memory_limit_bytes=there["HostConfig"]["Memory"],
                last_lines=lines,
                stopped_for=self._disk.reason(runtime_id),
            )

    def lacks(self) -> str:
        with _engine():
            return base_image.lacks(self.client)

    def running(self) -> dict[int, Running]:
        with self._lock:
            if self._watcher.ident is None:
                self._watcher.start()
        with _engine():
            containers = self.client.api.containers(
                filters={"label": f"spaceport.installation={self.installation}", "status": "running"}
            )
        found = {}
        for one in containers:
            labels = one["Labels"]
            networks = one["NetworkSettings"]["Networks"].values()
            address = next((network["IPAddress"] for network in networks if network["IPAddress"]), "")
            replica_id = next(filter(None, map(self._replica_of, one["Names"])), None)
            if replica_id is not None and address:
                found[replica_id] = Running(
                    runtime_id=one["Id"],
                    address=f"{address}:{labels['spaceport.port']}",
                    gpus=tuple(filter(None, labels["spaceport.gpus"].split(","))),
                )
        return found

    def stop(self, runtime_id: str, *, grace_s: float = 10) -> None:
        with _engine():
            with contextlib.suppress(docker.errors.NotFound, docker.errors.APIError):
                self.client.api.stop(runtime_id, timeout=max(1, round(grace_s)))
            self._remove(runtime_id)

    def logs(self, runtime_id: str, *, since: float = 0) -> Iterator[LogLine]:
        with _engine():
            try:
                parts = self.client.api.logs(
                    runtime_id, stream=True, follow=True, timestamps=True, since=since or None
                )
                lines = Lines(LINE_BYTES)
                for part in parts:
                    for line in lines.feed(part):
                        stamp, _, text = (line.start if isinstance(line, Cut) else line).partition(b" ")
                        with contextlib.suppress(ValueError):
                            if (at := container.seconds(stamp.decode())) > since:
                                yield LogLine(at, text.rstrip(b"\r").decode(errors="replace"))
            except docker.errors.NotFound:
                return

    def stats(self, runtime_id: str) -> Stats | None:
        with _engine():
            return container.stats(self.client, runtime_id)

    def listeners(self, runtime_id: str) -> set[Listener] | None:
        with _engine(), contextlib.suppress(docker.errors.NotFound, OSError):
            pid = self.client.api.inspect_container(runtime_id)["State"]["Pid"]
            if runtime_id in Path(f"/proc/{pid}/cgroup").read_text():  # else the engine's machine is another
                return {one for one in listening.in_network_of(pid) if one.address != RESOLVER}
        return None

    def standby_bytes(self) -> int:
        with _engine():
            return self._standby.memory_bytes()

    def end_standby(self) -> None:
        with _engine():
            self._standby.end()

    def dispose(self) -> None:
        with _engine():
            mine = {"label": f"spaceport.installation={self.installation}"}
            for one in self.client.api.containers(all=True, filters=mine):
                self._remove(one["Id"])
            with contextlib.closing(docker.from_env(timeout=BUILD_API_TIMEOUT_S)) as client:
                build_caches.remove_old(client, self.installation, datetime.timedelta())
            with self._lock:
                firewall.remove(self.client, list(docker_network.ways_out(self.client, self.installation)))
                docker_network.remove_networks(self.client, self.installation)

    # --- what it watches --------------------------------------------------------------------------

    def _watch(self) -> None:
        for number in itertools.count(1):
            time.sleep(WATCH_EVERY_S)
            try:
                self._disk.check()
                self._standby.refill()
                if number % RENEW_EVERY == 0:
                    self._prune()
                    self.renew_walls()
            except (OSError, docker.errors.DockerException, EngineUnavailable) as error:
                logger.warning("watching this node's containers: %s", error)

    def renew_walls(self) -> None:
        """Put the rules of all ways out in place again: others on this machine may have flushed them, and the
        names in a list may have other addresses now.

        Raises:
            firewall.NoFirewall
        """
        with self._lock:
            for bridge, policy in docker_network.ways_out(self.client, self.installation).items():
                self._enclose(bridge, Egress.parse(policy))

    def _enclose(self, bridge: str, egress: Egress) -> None:
        bounds = firewall.Bounds(
            connections=settings.SPACEPORT_EGRESS_CONNECTIONS, mbits=settings.SPACEPORT_EGRESS_MBITS
        )
        firewall.enclose(self.client, bridge, egress, settings.SPACEPORT_EGRESS_REACHES, bounds)

    # --- parts ------------------------------------------------------------------------------------

    def _container_name(self, replica_id: int | str) -> str:
        return f"spaceport-{self.installation}-{replica_id}"

    def _replica_of(self, container_name: str) -> int | None:
        _, found, replica_id = container_name.partition(self._container_name(""))
        return int(replica_id) if found and replica_id.isdigit() else None

    def _remove(self, name: str) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self.client.api.remove_container(name, force=True, v=True)

    def _prune(self) -> None:
        """Remove containers that ended long ago and were never polled since."""
        filters = {"label": f"spaceport.installation={self.installation}", "status": "exited"}
        for one in self.client.api.containers(all=True, filters=filters):
            if time.time() - one["Created"] > KEEP_ENDED_S:  # one that waited may have ended just now
                state = self.client.api.inspect_container(one["Id"])["State"]
                if time.time() - container.seconds(state["FinishedAt"]) > KEEP_ENDED_S:
                    self._remove(one["Id"])

    def _was_out_of_memory(self, runtime_id: str, state: dict[str, Any]) -> bool:
        """The engine's `oom` events cover a child too; the flag in the state does not."""
        events = self.client.api.events(
            since=int(container.seconds(state["StartedAt"])), until=int(time.time()) + 1, decode=True,
            filters={"container": runtime_id, "event": "oom"},
        )  # fmt: skip
        return any(True for _ in events)
