"""One job in a builder container: the platform's side of `docker/builder/walled_build.py`.

The container lives as long as the connection to it: it ends by itself when the worker that wanted it is
gone."""

from __future__ import annotations

import contextlib
import io
import json
import re
import secrets
import socket
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import docker
import docker.errors
import docker.utils.socket
from django.conf import settings
from docker.types import LogConfig

from hardware.runtimes import builder_image, container_files, docker_network, egress_policy
from hardware.runtimes.base import BuildFailed, EngineUnavailable, Log
from hardware.runtimes.images.context import package_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docker.types import Mount

GIGABYTE = 1024**3
NO_WALL, TOO_LATE, KILLED = 97, 98, 137  # exit codes
CAPABILITIES = ["NET_ADMIN", "SETGID", "SETUID", "SYS_ADMIN"]  # of its first process only
LONGEST_LINE = 16 * 1024
LARGEST_NOTE = 8 * 1024**2
#: In the builder container: the folder of a build's secrets, and the user that the build's root is there.
SECRETS, BUILD_USER = "/build/secrets", 2_000_000_000
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
REASONS = {
    "memory": "The build was killed: it used more than {memory:g} GB of memory.",
    "processes": "The build was stopped: it wanted more than {processes} processes at once.",
    "disk": "The build was stopped: it filled more than {disk:g} GB of disk, kept layers included.",
    "disk full": "The build was stopped: this node's disk is nearly full. Ask its administrator for room.",
}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The engine to build on, the network of builds, and the installation that they belong to."""

    client: docker.DockerClient
    network: str
    installation: str
    space_id: int

    @property
    def labels(self) -> dict[str, str]:
        """Of its builder containers."""
        return {"spaceport.installation": self.installation, "spaceport.builds": str(self.space_id)}


def remove_left(engine: Engine) -> None:
    """Remove what this Space's builds left when their worker was killed: only one build of a Space runs at a
    time."""
    labels = [f"{name}={value}" for name, value in engine.labels.items()]
    for one in engine.client.api.containers(all=True, filters={"label": labels}):
        with contextlib.suppress(docker.errors.NotFound):
            engine.client.api.remove_container(one["Id"], force=True, v=True)


class Job:
    """One builder container, from its creation to its removal (a context manager)."""

    def __init__(self, engine: Engine, mounts: list[Mount], seconds: float, log: Log) -> None:
        self.engine, self.api = engine, engine.client.api
        self._log, self._seconds = log, seconds
        image = builder_image.ensure(engine.client, log)
        self.id = str(
            self.api.create_container(
                image, name=f"spaceport-{engine.installation}-build-{secrets.token_hex(4)}",
                labels=engine.labels, stdin_open=True,
                host_config=self._host_config(mounts),
            )["Id"]
        )  # fmt: skip

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self.api.remove_container(self.id, force=True, v=True)

    def _host_config(self, mounts: list[Mount]) -> dict[str, Any]:
        memory = round(settings.SPACEPORT_BUILD_MEMORY_GB * GIGABYTE)
        cores = self.engine.client.info()["NCPU"]
        cpus = settings.SPACEPORT_BUILD_CPUS or max(1, cores * 0.75)
        config = self.api.create_host_config(
            network_mode=self.engine.network, dns=egress_policy.resolvers() or None, mounts=mounts,
            mem_limit=memory, memswap_limit=memory, pids_limit=settings.SPACEPORT_BUILD_PROCESSES,
            nano_cpus=int(min(cpus, cores) * 1e9), cpu_shares=256,
            cap_drop=["ALL"], cap_add=CAPABILITIES,
            security_opt=[
                "no-new-privileges:true", "apparmor=unconfined", f"seccomp={builder_image.seccomp()}",
            ],
            ipc_mode="private", sysctls={"net.ipv6.conf.all.disable_ipv6": "1"},
            log_config=LogConfig(type="none"),
        )  # fmt: skip
        # A /proc of its own can only be mounted beside one that hides nothing. The first process alone could
        # write there: everybody else is nobody.
        return {**config, "MaskedPaths": [], "ReadonlyPaths": []}

    def run(
        self,
        job: dict[str, Any],
        context: IO[bytes] | None = None,
        stdin: Iterable[bytes] = (),
        secrets: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Do it and answer its result.json. `context` is a tar with everything below context/; `secrets`
        become files in SECRETS, which only the build's own user can read.

        Raises:
            BuildFailed: a limit was met; other failures are in the result.
            EngineUnavailable: builds cannot be walled off, or the builder broke.
        """
        job = {
            "seconds": self._seconds,
            "disk_bytes": round(settings.SPACEPORT_BUILD_DISK_GB * GIGABYTE),
            "wall": self._wall(),
            **job,
        }
        self.api.put_archive(self.id, "/build", _tar_of("job.json", json.dumps(job).encode()))
        for name, value in (secrets or {}).items():
            content = _tar_of(f"{SECRETS.rpartition('/')[2]}/{name}", value.encode(), owner=BUILD_USER)
            self.api.put_archive(self.id, "/build", content)
        if context is not None:
            self.api.put_archive(self.id, "/build", context)
        last = self._follow(stdin)
        code = self.api.wait(self.id)["StatusCode"]
        if code == TOO_LATE:
            raise BuildFailed(f"The build took longer than {self._seconds:.0f} s and was stopped.")
        if code == NO_WALL:
            raise EngineUnavailable(f"Builds cannot be walled off on this engine: {last}")
        if code == KILLED:
            raise self._stopped("memory")
        if code != 0:
            raise EngineUnavailable(f"The builder ended with code {code}: {last}")
        result: dict[str, Any] = json.loads(self.read("/out/result.json"))
        if result.get("reason") in REASONS:
            raise self._stopped(result["reason"])
        return {**result, "last": last}

    def _wall(self) -> dict[str, Any]:
        return egress_policy.of_builds(
            networks=[str(subnet) for subnet in docker_network.subnets(self.engine.client)],
            addresses=egress_policy.own_addresses(),
            resolvers=egress_policy.resolvers(),
            index=package_index(),
            reaches=settings.SPACEPORT_BUILD_REACHES,
        )

    @staticmethod
    def _stopped(reason: str) -> BuildFailed:
        return BuildFailed(
            REASONS[reason].format(
                memory=settings.SPACEPORT_BUILD_MEMORY_GB,
                disk=settings.SPACEPORT_BUILD_DISK_GB,
                processes=settings.SPACEPORT_BUILD_PROCESSES,
            )
        )

    def _follow(self, stdin: Iterable[bytes]) -> str:
        """Start it, send it its input, log its lines; the last one of them."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        stream: Any = self.api.attach_socket(self.id, params=params)
        last = ""
        try:
            self.api.start(self.id)
            raw = getattr(stream, "_sock", stream)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # ended: its last line says why
                for part in stdin:
                    raw.sendall(part)
                if stdin:
                    raw.shutdown(socket.SHUT_WR)
            frames: Any = docker.utils.socket  # without types
            for line in _lines(data for _, data in frames.frames_iter(stream, tty=False)):
                if line.strip():
                    last = line.strip()
                    self._log(line.rstrip())
        finally:
            stream.close()
        return last

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The size and the content of one file in the container."""
        with container_files.archive(self.engine.client, self.id, path) as parts:
            tar = tarfile.open(fileobj=_Parts(parts), mode="r|")  # noqa: SIM115  # it ends with its parts
            entry = tar.next()
            if entry is None or not entry.isreg():
                raise EngineUnavailable(f"The builder left no file {path}.")
            file = tar.extractfile(entry)
            yield entry.size, iter(lambda: file.read(1024**2) if file else b"", b"")

    def read(self, path: str) -> bytes:
        """The content of one small file in the container."""
        with self.stream(path) as (size, parts):
            if size > LARGEST_NOTE:
                raise EngineUnavailable(f"The builder's {path} is too large.")
            return b"".join(parts)


def _lines(parts: Iterable[bytes]) -> Iterator[str]:
    """Lines of bounded length, without the colours of programs that think they write to a terminal."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if len(rest) > LONGEST_LINE:
            whole, rest = [*whole, rest], b""
        for line in whole:
            yield COLOURS.sub("", line[:LONGEST_LINE].decode(errors="replace"))
    yield COLOURS.sub("", rest.decode(errors="replace"))


def _tar_of(name: str, content: bytes, *, owner: int = 0) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o400 if owner else 0o644
        entry.uid = entry.gid = owner
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class _Parts(io.RawIOBase):
    """An iterator of bytes as a file to read from."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._rest = iter(parts), b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size or size < 0:
            part = next(self._parts, b"")
            if not part:
                break
            self._rest += part
        found, self._rest = (self._rest[:size], self._rest[size:]) if size >= 0 else (self._rest, b"")
        return found
