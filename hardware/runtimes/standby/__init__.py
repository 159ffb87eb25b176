"""Processes that have imported Gradio and are forked for the apps of their environment (Linux): a start then
takes as long as the app's own code. No app can notice: one that could is started by itself
(docs/decisions/0013).

Each has a folder below `home`, with order.json, state.json, log, and what `spaceport_launcher/standby`
writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware.runtimes import shim
from hardware.runtimes.base_image import LAUNCHER, MAIN
from infra import file_locks
from infra.folders import private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)

READY_S, ANSWER_S, AGAIN_AFTER_S = 30.0, 5.0, 600.0
POLL_S = 0.02
REPLY_BYTES = 4096
GO = b"!"
#: What differs for every app and is changed after the fork, one folder within another before that one; where
#: it is before: below the folder of the standby process.
MOVED = {
    "HF_HOME": "cache/huggingface",
    "GRADIO_TEMP_DIR": "tmp/gradio",
    "GRADIO_EXAMPLES_CACHE": "tmp/examples",
    "MPLCONFIGDIR": "tmp/matplotlib",
    "TMPDIR": "tmp",
    "SPACEPORT_WORK": "home/app",
    "HOME": "home",
}
PORT, NO_PORT = "GRADIO_SERVER_PORT", "64977"
#: What differs too, and no import reads.
UNREAD = {"SPACEPORT_CODE", "SPACEPORT_MAX_THREADS", "CUDA_VISIBLE_DEVICES"}


@dataclass(frozen=True)
class App:
    """One to be started: the Python of its environment, its variables, and those that it would have if its
    owner had set none."""

    python: Path
    env: Mapping[str, str]
    usual_env: Mapping[str, str]


class Standby:
    """Those of one node: at most `most`; the least recently used is ended for a new one."""

    def __init__(self, home: Path, most: int) -> None:
        self._home, self._most = home, most if sys.platform == "linux" else 0

    def fork(self, app: App, replica: Path, shim_command: list[str]) -> int | None:
        """Start the replica whose order is in the folder `replica`, and return the process id of its shim;
        None: it has to be started without a standby process."""
        if not self._most:
            return None
        try:
            folder = self._of_environment(app)
            if not (why := _ready(folder)["refuses"]):
                return _request(folder, {"folder": str(replica), "shim": shim_command})
        except (OSError, ValueError, LookupError) as error:
            why = str(error)
        logger.info("replica %s is started by itself: %s", replica.name, why)
        return None

    def keep(self) -> None:
        """Tell the standby processes that the platform runs: without this they end after two minutes."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._home / "alive")

    def memory_bytes(self) -> int:
        """What they have in memory for themselves."""
        return sum(shim.memory_of([state["pid"]]) for _, state in self._living())

    def end(self) -> None:
        """End them all."""
        for folder, state in self._living():
            _end(folder, state)

    def _of_environment(self, app: App) -> Path:
        """The folder of the one for this app's environment, begun if need be."""
        complete = app.python.parents[1] / "complete"
        ours = max(path.stat().st_mtime_ns for path in (LAUNCHER / MAIN).parent.rglob("*.py"))
        env = {name: app.usual_env[name] for name in app.usual_env if name not in UNREAD | MOVED.keys()}
        env[PORT] = NO_PORT
        what = json.dumps([str(app.python), complete.stat().st_mtime_ns, ours, sorted(env.items())])
        folder = private(self._home) / hashlib.sha256(what.encode()).hexdigest()[:16]
        with file_locks.waited_for(self._home / "lock"):
            (self._home / "alive").touch()
            if not _is_there(folder):
                shutil.rmtree(folder, ignore_errors=True)
                self._make_room()
                _begin(folder, app.python, env, self._home / "alive")
            (folder / "used").touch()
        return folder

    def _make_room(self) -> None:
        living = sorted(self._living(), key=lambda one: (one[0] / "used").stat().st_mtime)
        for folder, state in living[: max(0, len(living) - self._most + 1)]:
            _end(folder, state)

    def _living(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for path in self._home.glob("*/state.json"):
            state = _state(path.parent)
            if state is not None and shim.is_alive(state):
                yield path.parent, state


def _begin(folder: Path, python: Path, env: dict[str, str], alive: Path) -> None:
    env = {**env, **{name: str(folder / path) for name, path in MOVED.items()}}
    for path in MOVED.values():
        (folder / path).mkdir(parents=True, exist_ok=True)
    (folder / "order.json").write_text(json.dumps({"alive": str(alive), "moved": list(MOVED), "port": PORT}))
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own program
            [python, LAUNCHER / MAIN, "--standby", folder], cwd=env["SPACEPORT_WORK"], env=env,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    state = {"pid": process.pid, "started_at": shim.started_at(process.pid)}
    (folder / "state.json").write_text(json.dumps(state))


def _is_there(folder: Path) -> bool:
    """Whether one waits in this folder, or is known to be impossible."""
    state = _state(folder)
    if state is not None and shim.is_alive(state):
        return True
    for name in ("failed", "ready.json"):
        with contextlib.suppress(OSError, ValueError):
            path = folder / name
            if name == "failed" or json.loads(path.read_text())["refuses"]:
                return time.time() - path.stat().st_mtime < AGAIN_AFTER_S
    return False


def _state(folder: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        state: dict[str, Any] = json.loads((folder / "state.json").read_text())
        return state
    return None


def _end(folder: Path, state: dict[str, Any]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(state["pid"], signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _ready(folder: Path) -> dict[str, Any]:
    """What it imported and how, once it has.

    Raises:
        TimeoutError, LookupError: it takes too long, or failed; then it is not tried again for a while.
    """
    deadline = time.monotonic() + READY_S
    while not (folder / "failed").exists():
        with contextlib.suppress(FileNotFoundError):
            ready: dict[str, Any] = json.loads((folder / "ready.json").read_text())
            return ready
        state = _state(folder)
        if state is None or not shim.is_alive(state):
            (folder / "failed").touch()
        elif time.monotonic() > deadline:
            (folder / "failed").touch()
            os.kill(state["pid"], signal.SIGKILL)
            raise TimeoutError("the standby process takes too long")
        time.sleep(POLL_S)
    raise LookupError(f"the standby process failed: {_last_line(folder / 'log')}")


def _last_line(log: Path) -> str:
    with contextlib.suppress(OSError, IndexError):
        return log.read_text(errors="replace").splitlines()[-1]
    return ""


def _request(folder: Path, request: dict[str, Any]) -> int:
    """Send the request, and return the process id that comes back. A standby process that does not answer is
    ended.

    Raises:
        OSError, ValueError, LookupError: nothing was started.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(ANSWER_S)
        place = os.open(folder, os.O_PATH)
        try:
            door.connect(f"/proc/self/fd/{place}/socket")  # the address of a socket has 107 bytes
            door.sendall(json.dumps(request).encode())
            pid: int = json.loads(door.recv(REPLY_BYTES))["pid"]
            door.sendall(GO)
        except TimeoutError:
            if (state := _state(folder)) is not None:
                _end(folder, state)
            raise
        finally:
            os.close(place)
        return pid
