"""What every container runtime offers: a small interface, two implementations (`docker`, `process`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from hardware.tiers import TIERS, Limits

if TYPE_CHECKING:
    from pathlib import Path

    from infra.listening import Listener

#: Takes one line of a build's output. An exception from it ends the build.
Log = Callable[[str], None]
#: Takes the image with a Space's dependencies, where a build finds it made, before the code is laid upon it.
Found = Callable[[str], None]


class BuildFailed(Exception):
    """The Space's own files could not be built; the message gives the fault and what to do."""


class StartFailed(Exception):
    """The replica could not be started or never answered; the message gives the fault and what to do."""


class ArtifactMissing(StartFailed):
    """What the build made is not on this machine (any more); building that commit again mends it."""


class InUse(Exception):
    """What should be removed is still used by a replica that is being stopped; try again."""


class EngineUnavailable(Exception):
    """The container engine does not answer; try again."""


class ImageMissing(EngineUnavailable):
    """An image of the platform's own is missing and cannot be made now; the message gives the remedy."""


@dataclass(frozen=True, kw_only=True)
class BuildSpec:
    """What to build. `source` is a checkout of the commit that the runtime may read but not change."""

    space: str  # "owner/name", for labels and messages
    space_id: int
    sha: str
    sdk: Literal["gradio", "docker"]
    source: Path
    app_file: str = "app.py"
    python_version: str = ""  # "3.11"; empty: the platform's default
    sdk_version: str = ""  # of Gradio; empty: the platform's default
    #: What is to be in the image from the Hub: "repository [file,file] [revision]".
    preload: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)  # build arguments of a Dockerfile
    secrets: dict[str, str] = field(default_factory=dict)  # for steps that mount them
    timeout_s: float = 1800


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What a build made: an image (docker) or an environment and a folder of code (process). `size_bytes` of
    the image with all its layers, or of the code alone; 0: not known."""

    runtime: Literal["docker", "process"]
    image: str = ""
    environment: str = ""
    code: str = ""
    size_bytes: int = 0
    #: By which other nodes pull the image: "registry/repository@sha256:…".
    pull: str = ""

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        if not self.pull:
            del value["pull"]  # a node of an earlier version knows none
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Artifact:
        return cls(**value)


@dataclass(frozen=True, kw_only=True)
class NamedVolume:
    """A folder that Spaces of one owner may share and that outlives their replicas: its number and name
    ("owner/name"), and where this Space has it."""

    volume_id: int
    name: str
    path: str
    read_only: bool = False


class Use(NamedTuple):
    """The contents of a named volume on a machine, counted; `files` includes folders."""

    size_bytes: int
    files: int


@dataclass(frozen=True, kw_only=True)
class ReplicaSpec:
    """Everything needed to start one replica: written once at roll-out, never read from elsewhere later."""

    space: str
    space_id: int
    sdk: Literal["gradio", "docker"]
    artifact: Artifact
    tier: str
    app_file: str = "app.py"
    port: int = 7860
    env: dict[str, str] = field(default_factory=dict)  # variables and secrets, and ours
    max_threads: int = 40
    start_timeout_s: float = 1800
    egress: str = "none"  # where it may connect to (`egress_policy.Egress`)
    volumes: tuple[NamedVolume, ...] = ()
    health_path: str = ""  # of a Docker Space: it is ready once this answers with success; "": an open port
    limits: Limits | None = None  # None: its tier's of now
    scratch: bool = False  # its /data is its own, empty at first, and goes with it

    @property
    def may_use(self) -> Limits:
        """What the replica may use of its node."""
        return self.limits or TIERS[self.tier].limits

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        if not self.volumes:
            del value["volumes"]  # a node of an earlier version knows none
        if not self.health_path:
            del value["health_path"]  # the same
        if not self.scratch:
            del value["scratch"]  # the same
        del value["limits"]  # they are beside it in the row
        value["artifact"] = self.artifact.to_json()
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ReplicaSpec:
        volumes = tuple(NamedVolume(**one) for one in value.get("volumes", ()))
        return cls(**{**value, "artifact": Artifact.from_json(value["artifact"]), "volumes": volumes})


@dataclass(frozen=True, kw_only=True)
class Running:
    """A started replica: the runtime's own name for it, and where it listens ("host:port")."""

    runtime_id: str
    address: str
    gpus: tuple[str, ...] = ()  # the UUIDs of the devices it was given


class LogLine(NamedTuple):
    """One line of a replica's output, and when it was written (Unix seconds)."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a replica ended; `reason` is a sentence for people, with the last lines it wrote. Bytes are 0 where
    they are not known."""

    code: int | None
    reason: str
    out_of_memory: bool = False
    memory_limit_bytes: int = 0
    memory_peak_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Use now. `memory_bytes` of `memory_limit_bytes` (0: no limit known); `cpu_seconds` since its start."""

    memory_bytes: int
    memory_limit_bytes: int
    cpu_seconds: float


class Runtime(Protocol):
    """Builds and runs Spaces on this machine. Every call blocks; none is made on an event loop."""

    @property
    def name(self) -> Literal["docker", "process"]: ...

    @property
    def place(self) -> str:
        """Where named volumes are kept, in a word: nodes with the same one share them."""
        ...

    def build(self, spec: BuildSpec, log: Log, found: Found | None = None) -> Artifact:
        """Build, one line of output at a time to `log`. A build of the same dependencies installs nothing.

        Raises:
            BuildFailed: the Space's fault, in a sentence.
            ImageMissing, EngineUnavailable: ours.
        """
        ...

    def lacks(self) -> str:
        """What builds need but cannot be made now, with the remedy; "" for nothing.

        Raises:
            EngineUnavailable
        """
        ...

    def start(self, replica_id: int, spec: ReplicaSpec, *, gpus: tuple[str, ...] = ()) -> Running:
        """Start replica `replica_id` with these devices (UUIDs, `hardware.devices`) and no others; does not
        wait until it answers. A replica of this id that runs already is returned as it is.

        Raises:
            StartFailed, ArtifactMissing, EngineUnavailable
        """
        ...

    def prepare(self, spec: ReplicaSpec) -> None:
        """A replica like this is to be started soon, with code that is not there yet: do what can be done
        before. `spec.artifact` is the image of its dependencies.

        Raises:
            EngineUnavailable
        """
        ...

    def poll(self, runtime_id: str) -> Exit | None:
        """None while it runs; how it ended otherwise. An unknown id has ended."""
        ...

    def running(self) -> dict[int, Running]:
        """Every replica of this platform that runs here now, by replica id."""
        ...

    def stop(self, runtime_id: str, *, grace_s: float = 10) -> None:
        """End it: politely, then by force after `grace_s` seconds. An unknown id is no error."""
        ...

    def logs(self, runtime_id: str, *, since: float = 0) -> Iterator[LogLine]:
        """Follow its output after `since` (Unix seconds), line by line, until it ends."""
        ...

    def stats(self, runtime_id: str) -> Stats | None:
        """What it uses now; None when it does not run."""
        ...

    def listeners(self, runtime_id: str) -> set[Listener] | None:
        """Where it listens for TCP connections now; None where that cannot be told."""
        ...

    def standby_bytes(self) -> int:
        """Memory of the processes that wait for starts."""
        ...

    def end_standby(self) -> None:
        """End them."""
        ...

    def forget(self, artifact: Artifact) -> None:
        """Remove what a build made; shared dependencies stay cached. No error when it is gone.

        Raises:
            InUse, EngineUnavailable
        """
        ...

    def forget_space(self, space_id: int) -> bool:
        """Remove all that a deleted Space has here: what its builds made, and its data. False: something is
        still in use.

        Raises:
            EngineUnavailable
        """
        ...

    def forget_volume(self, volume_id: int) -> bool:
        """Remove a named volume with all its contents. False: it is still in use.

        Raises:
            EngineUnavailable
        """
        ...

    def volume_uses(self) -> dict[int, Use]:
        """The use of the named volumes that are kept here, by their numbers, as far as it can be counted.

        Raises:
            EngineUnavailable
        """
        ...

    def dispose(self) -> None:
        """End and remove everything this platform has on this machine: replicas, networks, rules. What was
        built stays."""
        ...
