"""The process runtime: a virtual environment and a plain process. For machines without a container engine,
and for code that is trusted: it runs as the platform's own user, sees the machine's files, and reaches its
network (`walls.process` says what it does not)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from django.conf import settings

from hardware.runtimes import dependencies, shim, venvs
from hardware.runtimes.base import (
    Artifact,
    ArtifactMissing,
    BuildFailed,
    BuildSpec,
    Exit,
    LogLine,
    Running,
    Stats,
)
from hardware.runtimes.base_image import LAUNCHER, MAIN
from hardware.runtimes.environment import describe_exit, launcher_environment
from hardware.runtimes.linked_volumes import LinkedVolumes
from hardware.runtimes.standby import App, Standby
from hardware.runtimes.volumes import size_of
from hardware.runtimes.walls import process, sandboxes
from infra import listening
from infra.folders import installation, private
from infra.line_splitter import LINE_BYTES, Cut, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hardware.runtimes.base import Found, Log, ReplicaSpec, Use
    from infra.listening import Listener

LOG_LIMIT_BYTES = 10 * 1024 * 1024
POLL_S = 0.2
LONGEST_POLL_S = 1.0  # of an app that has written nothing for some seconds
READ_BYTES = 256 * 1024
LAST_LINES = 20
KEEP_ENDED_S = 24 * 3600


class ProcessRuntime:
    """Keeps everything below `home`: `environments/`, `code/`, `caches/`, `replicas/`, `standby/`,
    `volumes/`.

    At most `standby` processes wait that have imported Gradio; `hub` is the HF_ENDPOINT of Spaces."""

    name: Literal["process"] = "process"

    def __init__(self, home: Path, *, standby: int = 0, hub: str = "") -> None:
        self._standby = Standby(home / "standby", standby)
        self._hub = {"HF_ENDPOINT": hub} if hub else {}
        self._home = home
        self._environments = home / "environments"
        self._code = home / "code"
        self._replicas = home / "replicas"
        self._caches = home / "caches"
        self._volumes = LinkedVolumes(home / "volumes")
        self.place = installation(home)

    # --- build ------------------------------------------------------------------------------------

    def build(self, spec: BuildSpec, log: Log, found: Found | None = None) -> Artifact:
        if spec.sdk == "docker":
            raise BuildFailed(
                "This Space has the docker SDK, and this platform runs without a container engine. "
                "Install Docker on this machine and start the platform again, or use the gradio SDK."
            )
        dependencies.check_app_file(spec)
        wanted = dependencies.read(spec)
        if wanted.packages:
            log(
                f"packages.txt is ignored without a container engine: {', '.join(wanted.packages)} "
                "must be installed on this machine by its administrator."
            )
        environment = venvs.ensure(self._environments, wanted, spec.source, spec.timeout_s, log)
        code = private(self._code) / str(spec.space_id) / spec.sha
        if not code.exists():
            new = code.with_name(f"{code.name}.{os.getpid()}.new")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(spec.source, new, symlinks=True, ignore=shutil.ignore_patterns(".git"))
            with contextlib.suppress(OSError):  # another worker was faster
                new.rename(code)
            shutil.rmtree(new, ignore_errors=True)
        log("The code is in place.")
        return Artifact(
            runtime="process", environment=str(environment), code=str(code), size_bytes=size_of(str(code))
        )

    def forget(self, artifact: Artifact) -> None:
        if artifact.code and self._code.resolve() in Path(artifact.code).resolve().parents:
            shutil.rmtree(artifact.code, ignore_errors=True)

    def forget_space(self, space_id: int) -> bool:
        for kept in (self._code, self._caches):
            shutil.rmtree(kept / str(space_id), ignore_errors=True)
        return True

    def forget_volume(self, volume_id: int) -> bool:
        self._volumes.remove(volume_id)
        return True

    def volume_uses(self) -> dict[int, Use]:
        return self._volumes.uses()

    # --- run --------------------------------------------------------------------------------------

    def start(self, replica_id: int, spec: ReplicaSpec, *, gpus: tuple[str, ...] = ()) -> Running:
        if (there := self.running().get(replica_id)) is not None:
            return there
        sandboxes.check(None, spec.may_use.sandbox)
        artifact = spec.artifact
        python = Path(artifact.environment) / "bin" / "python"
        is_whole = venvs.is_whole(Path(artifact.environment))  # and not being made just now
        if artifact.runtime != "process" or not is_whole or not Path(artifact.code).is_dir():
            raise ArtifactMissing(
                "What the last build made is not on this node any more. Restart the Space with a rebuild."
            )
        venvs.used(Path(artifact.environment))
        self._prune(time.time())
        folder = self._folder(replica_id)
        shutil.rmtree(folder, ignore_errors=True)
        self._volumes.link(folder / "home", spec.volumes)
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        port = _free_port()
        app = self.app(spec, folder, port, gpus)
        order = {
            "argv": [str(python), str(LAUNCHER / MAIN), spec.app_file],
            "cwd": str(folder / "home"),
            "env": app.env,
            "usual_env": app.usual_env,
            "wall": self._wall(spec, folder),
            "memory_limit_bytes": spec.may_use.memory_bytes,
            "most_processes": spec.may_use.pids,
            "log_limit_bytes": LOG_LIMIT_BYTES,
        }
        shim.give(folder, order)
        command = [sys.executable, "-I", shim.__file__, str(folder)]
        pid = self._standby.fork(app, folder, command) or _shim(command, folder)
        began = shim.started_at(pid)
        state: dict[str, Any] = {
            "runtime_id": f"{replica_id}-{pid}-{began}",
            "pid": pid,
            "started_at": began,
            "address": f"127.0.0.1:{port}",
            "gpus": list(gpus),
            "environment": artifact.environment,
            "memory_limit_bytes": spec.may_use.memory_bytes,
        }
        new = folder / "state.json.new"
        new.write_text(json.dumps(state))
        new.rename(folder / "state.json")
        return Running(runtime_id=state["runtime_id"], address=state["address"], gpus=gpus)

    def _wall(self, spec: ReplicaSpec, folder: Path) -> dict[str, Any]:
        own = [folder / "home", folder / "tmp", self._cache(spec.space_id), Path(spec.artifact.environment)]
        own += [self._volumes.folder(volume.volume_id) for volume in spec.volumes]
        return process.wall(self._home, own, Path(spec.artifact.code).parent, settings.SPACEPORT_DISK_GB)

    def app(self, spec: ReplicaSpec, folder: Path, port: int, gpus: tuple[str, ...]) -> App:
        """The app to run for this replica, with its folder and port."""
        environment = Path(spec.artifact.environment)
        ours = {
            "PATH": f"{environment}/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            **venvs.passed_on(venvs.NETWORK_VARIABLES),
        }
        paths: dict[str, Any] = {
            "host": "127.0.0.1", "port": port, "home": str(folder / "home"), "tmp": str(folder / "tmp"),
            "cache": str(self._cache(spec.space_id)),
        }  # fmt: skip
        fixed = {
            "SPACEPORT_CODE": spec.artifact.code,
            "SPACEPORT_WORK": str(folder / "home" / "app"),
            "CUDA_VISIBLE_DEVICES": ",".join(gpus),
            "VIRTUAL_ENV": spec.artifact.environment,
        }
        usual = replace(spec, env=self._hub)
        return App(
            python=environment / "bin" / "python",
            env={**ours, **launcher_environment(spec, **paths), **fixed},
            usual_env={**ours, **launcher_environment(usual, **paths), **fixed},
        )

    def prepare(self, spec: ReplicaSpec) -> None:
        pass

    def poll(self, runtime_id: str) -> Exit | None:
        state = self._state(runtime_id)
        if state is not None and shim.is_alive(state):
            return None
        note: dict[str, Any] = {}
        folder = self._folder(_replica_of(runtime_id))
        if state is not None:
            with contextlib.suppress(OSError, ValueError):
                note = json.loads((folder / "exit.json").read_text())
        return describe_exit(
            note.get("code"),
            out_of_memory=note.get("out_of_memory", False),
            memory_limit_bytes=state["memory_limit_bytes"] if state else 0,
            memory_peak_bytes=note.get("memory_peak_bytes", 0),
            stopped_for=note.get("stopped_for", ""),
            last_lines=[line.text for line in _parse(_lines_of(folder / "log")[-LAST_LINES:])]
            if state
            else [],
        )

    def lacks(self) -> str:
        return ""

    def running(self) -> dict[int, Running]:
        self._standby.keep()
        found = {}
        for path in self._replicas.glob("*/state.json"):
            with contextlib.suppress(OSError, ValueError):
                state = json.loads(path.read_text())
                if shim.is_alive(state):
                    found[int(path.parent.name)] = Running(
                        runtime_id=state["runtime_id"], address=state["address"], gpus=tuple(state["gpus"])
                    )
        return found

    def stop(self, runtime_id: str, *, grace_s: float = 10) -> None:
        state = self._state(runtime_id)
        if state is None:
            return
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if not shim.is_alive(state):
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(state["pid"], number)
            deadline = time.monotonic() + patience_s
            while shim.is_alive(state) and time.monotonic() < deadline:
                time.sleep(0.02)
        folder = self._folder(_replica_of(runtime_id))
        for name in ("home", "tmp"):
            shutil.rmtree(folder / name, ignore_errors=True)

    def logs(self, runtime_id: str, *, since: float = 0) -> Iterator[LogLine]:
        folder = self._folder(_replica_of(runtime_id))
        with contextlib.ExitStack() as stack:
            yield from _parse(_lines_of(folder / "log.1"), since)
            while not (folder / "log").exists():
                if (state := self._state(runtime_id)) is None or not shim.is_alive(state):
                    return
                time.sleep(POLL_S)
            log = stack.enter_context((folder / "log").open("rb"))
            unread, pause_s = Lines(LINE_BYTES), POLL_S
            while (state := self._state(runtime_id)) is not None:
                ended = not shim.is_alive(state)  # checked first: all output until then is in the file
                while part := log.read(READ_BYTES):
                    pause_s = POLL_S
                    lines = unread.feed(part)
                    yield from _parse(
                        [line.start if isinstance(line, Cut) else line for line in lines], since
                    )
                if _is_replaced(log, folder / "log"):
                    log = stack.enter_context((folder / "log").open("rb"))
                elif ended:
                    return
                else:
                    time.sleep(pause_s)
                    pause_s = min(1.5 * pause_s, LONGEST_POLL_S)

    def stats(self, runtime_id: str) -> Stats | None:
        state = self._state(runtime_id)
        if state is None or not shim.is_alive(state):
            return None
        pids = shim.descendants(state["pid"])
        ticks = 0
        for pid in pids:
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return Stats(
            memory_bytes=shim.memory_of(pids),
            memory_limit_bytes=state["memory_limit_bytes"],
            cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"),
        )

    def listeners(self, runtime_id: str) -> set[Listener] | None:
        state = self._state(runtime_id)
        return listening.of_processes(shim.descendants(state["pid"])) if state is not None else None

    def standby_bytes(self) -> int:
        return self._standby.memory_bytes()

    def end_standby(self) -> None:
        self._standby.end()

    def dispose(self) -> None:
        for running in self.running().values():
            self.stop(running.runtime_id, grace_s=2)
        self.end_standby()
        shutil.rmtree(self._replicas, ignore_errors=True)

    # --- its notes --------------------------------------------------------------------------------

    def _folder(self, replica_id: int) -> Path:
        return self._replicas / str(replica_id)

    def _cache(self, space_id: int) -> Path:
        folder = private(self._caches) / str(space_id)
        folder.mkdir(exist_ok=True)
        return folder

    def _state(self, runtime_id: str) -> dict[str, Any] | None:
        """The note of this very run; None when another run has taken its folder, or it is gone."""
        with contextlib.suppress(OSError, ValueError):
            state: dict[str, Any] = json.loads(
                (self._folder(_replica_of(runtime_id)) / "state.json").read_text()
            )
            if state["runtime_id"] == runtime_id:
                return state
        return None

    def _prune(self, now: float) -> None:
        """Remove what is left of replicas that ended long ago, and environments of no use."""
        environments = set()
        for folder in {path.parent for path in self._replicas.glob("*/*.json")}:
            with contextlib.suppress(OSError, ValueError):
                note = folder / "state.json"
                state = json.loads(note.read_text()) if note.exists() else None
                if state is not None and shim.is_alive(state):
                    environments.add(Path(state.get("environment", "")))
                elif now - _ended_at(folder) > KEEP_ENDED_S:
                    shutil.rmtree(folder, ignore_errors=True)
        if Path() not in environments:  # of an app that an earlier version started
            venvs.remove_unused(self._environments, environments, now)


def _ended_at(folder: Path) -> float:
    """When this replica ended, in Unix seconds; when it began, where nobody noted its end."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / "exit.json").stat().st_mtime
    return folder.stat().st_mtime


def _shim(command: list[str], folder: Path) -> int:
    """Start an app by itself, and answer the process id of its shim."""
    with (folder / "shim.log").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own program
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env={"PATH": os.defpath}, cwd=folder,
        )  # fmt: skip
    return process.pid


def _replica_of(runtime_id: str) -> int:
    number = runtime_id.partition("-")[0]
    return int(number) if number.isdigit() else 0


def _lines_of(path: Path) -> list[bytes]:
    with contextlib.suppress(OSError):
        return path.read_bytes().splitlines()
    return []


def _parse(lines: list[bytes], after: float = 0) -> Iterator[LogLine]:
    for line in lines:
        at, _, text = line.partition(b" ")
        with contextlib.suppress(ValueError):
            if float(at) > after:
                yield LogLine(float(at), text.decode(errors="replace"))


def _is_replaced(log: IO[bytes], path: Path) -> bool:
    """The log was rotated away and its new file exists."""
    with contextlib.suppress(OSError):
        return path.stat().st_ino != os.fstat(log.fileno()).st_ino
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
