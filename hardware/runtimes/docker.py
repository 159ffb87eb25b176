"""The docker runtime: every Space in a container of its own, shut in as far as the engine can."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import docker
import docker.errors
import docker.types
import requests

from hardware.runtimes import base_image, build_caches, docker_build, docker_network
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
from hardware.runtimes.environment import describe_exit, launcher_environment
from hardware.runtimes.walled import Engine
from hardware.tiers import TIERS
from infra.line_splitter import LINE_BYTES, Cut, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hardware.runtimes.base import BuildSpec, Log, ReplicaSpec

API_TIMEOUT_S = 30
BUILD_API_TIMEOUT_S = 900  # some of its requests move gigabytes
USER = "10001:10001"
CPU_SHARES = 512  # half of what the platform's own processes have, where cores are short
KEEP_ENDED_S = 3600
LAST_LINES = 20


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
    id, which marks everything it makes."""

    name: Literal["docker"] = "docker"

    def __init__(self, home: Path) -> None:
        with _engine():
            self.client = docker.from_env(timeout=API_TIMEOUT_S)
            self.client.ping()
            self._cores: int = self.client.info()["NCPU"]
        self.installation = _installation(home)
        self._lock = threading.Lock()

    # --- build ------------------------------------------------------------------------------------

    def build(self, spec: BuildSpec, log: Log) -> Artifact:
        with _engine():
            with self._lock:
                network = docker_network.ensure_build_network(self.client, self.installation)
            with contextlib.closing(docker.from_env(timeout=BUILD_API_TIMEOUT_S)) as client:
                engine = Engine(client=client, network=network, installation=self.installation)
                image = docker_build.build(engine, spec, log)
        return Artifact(runtime="docker", image=image)

    def forget(self, artifact: Artifact) -> None:
        if artifact.image:
            with _engine(), _is_free(artifact.image), contextlib.suppress(docker.errors.ImageNotFound):
                self.client.images.remove(artifact.image)

    def forget_space(self, space_id: int) -> bool:
        repository = docker_build.repository(self.installation, space_id)
        try:
            with _engine(), _is_free(repository):
                for image in self.client.images.list(repository):
                    for name in image.tags:
                        self.client.images.remove(name)
                with contextlib.suppress(docker.errors.NotFound):
                    self.client.volumes.get(self._volume_name(space_id)).remove()
        except InUse:
            return False
        return True

    # --- run --------------------------------------------------------------------------------------

    def start(self, replica_id: int, spec: ReplicaSpec, *, gpus: tuple[str, ...] = ()) -> Running:
        if (there := self.running().get(replica_id)) is not None:
            return there
        with _engine():
            self._prune()
            self._remove(self._container_name(replica_id))
            with self._lock:
                network, subnet = docker_network.ensure_run_network(self.client, self.installation)
            self._ensure_volume(spec.space_id)
            options = self.container_options(replica_id, spec, gpus, network)
            for address in docker_network.addresses(subnet, replica_id):
                endpoint = self.client.api.create_endpoint_config(ipv4_address=address)
                try:
                    container = self.client.containers.create(
                        **options, networking_config={network: endpoint}
                    )
                except docker.errors.ImageNotFound as error:
                    raise ArtifactMissing(
                        "What the last build made is not on this node any more. Rebuild the Space."
                    ) from error
                try:
                    container.start()
                except docker.errors.APIError as error:
                    container.remove(force=True, v=True)
                    if "ddress already in use" in str(error):
                        continue
                    raise StartFailed(f"The container could not be started: {error.explanation}") from error
                return Running(runtime_id=str(container.id), address=f"{address}:{spec.port}", gpus=gpus)
        raise StartFailed("This node has no free address for another container.")

    def container_options(
        self, replica_id: int, spec: ReplicaSpec, gpus: tuple[str, ...], network: str
    ) -> dict[str, Any]:
        """The container's whole configuration: a fixed template, filled in."""
        tier = TIERS[spec.tier]
        is_gradio = spec.sdk == "gradio"
        writable = f"rw,exec,nosuid,nodev,size={tier.memory_bytes // 2}"
        options: dict[str, Any] = {
            "image": spec.artifact.image,
            "name": self._container_name(replica_id),
            "labels": self._labels(replica_id, spec, gpus),
            "environment": launcher_environment(
                spec, host="0.0.0.0", port=spec.port,  # noqa: S104  # of a network only the host reaches
                home="/home/user" if is_gradio else "/tmp", tmp="/tmp",  # noqa: S108  # its own tmpfs
            ),
            "user": USER,
            "read_only": True,
            "tmpfs": {"/tmp": f"{writable},mode=1777"},  # noqa: S108  # its own tmpfs
            "mounts": [docker.types.Mount("/data", self._volume_name(spec.space_id), type="volume")],
            "mem_limit": tier.memory_bytes,
            "memswap_limit": tier.memory_bytes,
            "cpu_shares": CPU_SHARES,
            "nano_cpus": int(min(tier.cpus, self._cores) * 1e9),
            "pids_limit": tier.pids,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "init": True,
            "ipc_mode": "private",
            "network": network,
            "ulimits": [
                docker.types.Ulimit(name="nofile", soft=4096, hard=4096),
                docker.types.Ulimit(name="core", soft=0, hard=0),
            ],
            "log_config": docker.types.LogConfig(
                type="json-file", config={"max-size": "5m", "max-file": "2"}
            ),
            "healthcheck": {"test": ["NONE"]},
            "stop_signal": "SIGTERM",
        }  # fmt: skip
        if is_gradio:
            options["command"] = ["python", f"/opt/launcher/{base_image.MAIN}", spec.app_file]
            options["working_dir"] = "/home/user"
            options["tmpfs"]["/home/user"] = f"{writable},mode=0755,uid=10001,gid=10001"
            options["environment"] |= {"SPACEPORT_CODE": "/opt/app", "SPACEPORT_WORK": "/home/user/app"}
        if gpus:
            options["device_requests"] = [
                docker.types.DeviceRequest(driver="nvidia", device_ids=list(gpus), capabilities=[["gpu"]])
            ]
        return options

    def _labels(self, replica_id: int, spec: ReplicaSpec, gpus: tuple[str, ...]) -> dict[str, str]:
        return {
            "spaceport.installation": self.installation,
            "spaceport.replica": str(replica_id),
            "spaceport.space": spec.space,
            "spaceport.port": str(spec.port),
            "spaceport.gpus": ",".join(gpus),
        }

    def poll(self, runtime_id: str) -> Exit | None:
        with _engine():
            try:
                container = self.client.api.inspect_container(runtime_id)
            except docker.errors.NotFound:
                return describe_exit(None, out_of_memory=False, memory_limit_bytes=0, last_lines=[])
            state = container["State"]
            if state["Running"] or state["Status"] == "created":
                return None
            lines = self.client.api.logs(runtime_id, tail=LAST_LINES).decode(errors="replace").splitlines()
            return describe_exit(
                state["ExitCode"],
                out_of_memory=state["OOMKilled"] or self._was_out_of_memory(runtime_id, state),
                memory_limit_bytes=container["HostConfig"]["Memory"],
                last_lines=lines,
            )

    def running(self) -> dict[int, Running]:
        with _engine():
            containers = self.client.api.containers(
                filters={"label": f"spaceport.installation={self.installation}", "status": "running"}
            )
        found = {}
        for container in containers:
            labels = container["Labels"]
            networks = container["NetworkSettings"]["Networks"].values()
            address = next((network["IPAddress"] for network in networks if network["IPAddress"]), "")
            if "spaceport.replica" in labels and address:
                found[int(labels["spaceport.replica"])] = Running(
                    runtime_id=container["Id"],
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
                            if (at := _seconds(stamp.decode())) > since:
                                yield LogLine(at, text.rstrip(b"\r").decode(errors="replace"))
            except docker.errors.NotFound:
                return

    def stats(self, runtime_id: str) -> Stats | None:
        with _engine():
            try:
                found = self.client.api.stats(runtime_id, stream=False, one_shot=True)
            except docker.errors.NotFound:
                return None
        memory = found.get("memory_stats") or {}
        if "usage" not in memory:
            return None
        detail = memory.get("stats", {})
        cached = detail.get("total_inactive_file", detail.get("inactive_file", 0))
        return Stats(
            memory_bytes=memory["usage"] - cached,
            memory_limit_bytes=memory["limit"],
            cpu_seconds=found["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        )

    def dispose(self) -> None:
        with _engine():
            mine = {"label": f"spaceport.installation={self.installation}"}
            for container in self.client.api.containers(all=True, filters=mine):
                self._remove(container["Id"])
            with contextlib.closing(docker.from_env(timeout=BUILD_API_TIMEOUT_S)) as client:
                build_caches.remove_old(client, self.installation, datetime.timedelta())
            docker_network.remove_networks(self.client, self.installation)

    # --- parts ------------------------------------------------------------------------------------

    def _container_name(self, replica_id: int) -> str:
        return f"spaceport-{self.installation}-{replica_id}"

    def _volume_name(self, space_id: int) -> str:
        return f"spaceport-{self.installation}-data-{space_id}"

    def _ensure_volume(self, space_id: int) -> None:
        """The Space's /data. The engine gives a new volume the owner that the folder has in the image it is
        first mounted in; in the base image that is the user every Space runs as."""
        name = self._volume_name(space_id)
        try:
            self.client.volumes.get(name)
        except docker.errors.NotFound:
            base = base_image.ensure(self.client, "", lambda _line: None)
            self.client.volumes.create(name, labels={"spaceport.installation": self.installation})
            mount = docker.types.Mount("/data", name, type="volume")
            self.client.containers.create(base, mounts=[mount]).remove()

    def _remove(self, name: str) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self.client.api.remove_container(name, force=True, v=True)

    def _prune(self) -> None:
        """Remove containers that ended long ago and nobody asked about."""
        filters = {"label": f"spaceport.installation={self.installation}", "status": "exited"}
        for container in self.client.api.containers(all=True, filters=filters):
            if time.time() - container["Created"] > KEEP_ENDED_S:
                self._remove(container["Id"])

    def _was_out_of_memory(self, runtime_id: str, state: dict[str, Any]) -> bool:
        """The engine's `oom` events cover a child too; the flag in the state does not."""
        events = self.client.api.events(
            since=int(_seconds(state["StartedAt"])), until=int(time.time()) + 1, decode=True,
            filters={"container": runtime_id, "event": "oom"},
        )  # fmt: skip
        return any(True for _ in events)


def _installation(home: Path) -> str:
    """Eight letters that distinguish this platform's containers from another's on the same engine."""
    path = home / "installation"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), path.open("x") as file:
            file.write(secrets.token_hex(4))
    return path.read_text().strip()


def _seconds(stamp: str) -> float:
    """Unix seconds of the engine's "2026-11-23T15:04:05.123456789Z"."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.UTC).timestamp()
    return at + float(f"0.{fraction or 0}")
