"""A process that has imported Gradio waits, and is forked for each app of its environment: then what takes
longest at a start is done already. `python …/spaceport_launcher/__main__.py --standby FOLDER`.

FOLDER/order.json names the file that is touched while the platform runs, and the variables that differ for
every app. Once Gradio is imported it writes
FOLDER/ready.json (`preimport.Imported.to_json`) and answers at FOLDER/socket:
`{"folder": …, "shim": […]}` gets `{"pid": …}`, and `!` starts the app. That process is then the shim of the
replica in that folder (`hardware/runtimes/shim.py`), its child the app.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from spaceport_launcher import finder
from spaceport_launcher.standby import noticing, preimport

PR_SET_CHILD_SUBREAPER = 36
OPEN_FILES = 4096
LOOK_EVERY_S = 10
#: The platform is gone when its sign of life is older than this.
GONE_AFTER_S = 120
REQUEST_BYTES = 64 * 1024
ANSWER_S = 10
GO = b"!"


def serve() -> None:
    """Wait for requests; ends with the platform, and returns only in a fork, as whose process began for its
    app. An app that could notice gets a new process there."""
    folder = Path(sys.argv[2])
    order = json.loads((folder / "order.json").read_text())
    # As the shim does for an app: some modules read them.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    ours, sys.path[:2] = sys.path[:2], [os.environ["SPACEPORT_WORK"]]
    sys.argv[:] = ["app.py"]
    finder.install()
    imported = preimport.for_forks(folder, order["moved"], order["port"])
    new = folder / "ready.json.new"
    new.write_text(json.dumps(imported.to_json()))
    if imported.refuses:
        new.rename(folder / "ready.json")
        os._exit(0)
    with socket.socket(socket.AF_UNIX) as door:
        os.chdir(folder)  # the address of a socket has 107 bytes
        door.bind("socket")
        door.listen(64)
        new.rename(folder / "ready.json")
        # A fork's own collections would copy the pages of all that it shares.
        gc.freeze()
        while _lives(folder, Path(order["alive"])):
            if select.select([door], [], [], LOOK_EVERY_S)[0]:
                visitor, _ = door.accept()
                with visitor:
                    start = _answered(visitor)
                if start is not None:
                    door.close()
                    _become(start, imported, ours)
                    return
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    os._exit(0)


def _lives(folder: Path, alive: Path) -> bool:
    """Whether the platform still runs, and wants this process."""
    try:
        return (folder / "order.json").exists() and time.time() - alive.stat().st_mtime < GONE_AFTER_S
    except OSError:
        return False


def _answered(visitor: socket.socket) -> dict[str, Any] | None:
    """In the fork that is to be the app: apply the order in its replica's folder."""
    visitor.settimeout(ANSWER_S)
    try:
        request = json.loads(visitor.recv(REQUEST_BYTES))
    except (OSError, ValueError):
        return None
    if _fork():
        return None
    try:
        start: dict[str, Any] = json.loads((Path(request["folder"]) / "start.json").read_text())
        visitor.sendall(json.dumps({"pid": os.getpid()}).encode())
        if visitor.recv(1) != GO:  # it may have lost its patience and started the app by itself
            os._exit(1)
    except (OSError, ValueError, KeyError):
        os._exit(1)
    os.setsid()
    output, ours = os.pipe()
    us = os.getpid()
    if app := _fork():
        _become_shim(request, app, output)
    wall: dict[str, Any] = {"__name__": "wall"}
    module = Path(start["wall"]["module"])
    exec(compile(module.read_bytes(), module, "exec"), wall)  # noqa: S102  # the platform's own
    wall["close"](start["wall"])
    if os.getppid() != us:
        os._exit(1)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, given in enumerate((nothing, ours, ours)):
        os.dup2(given, number)
    for given in (nothing, ours, output):
        os.close(given)
    return start


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads: numpy's own, which handle a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become_shim(request: dict[str, Any], app: int, output: int) -> None:
    """Go on as the shim, its app's output on descriptor 0. The app stays its child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.chdir(request["folder"])
    log = os.open("shim.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number, given in enumerate((output, log, log)):
        os.dup2(given, number)
    command = [*request["shim"], str(app)]
    os.execve(command[0], command, {"PATH": os.defpath})  # noqa: S606  # our own program


def forget() -> None:
    """Leave no module of this package loaded."""
    for name in [name for name in sys.modules if name.startswith(__name__)]:
        del sys.modules[name]
    sys.path_importer_cache.pop(str(Path(__file__).parent), None)


def _become(start: dict[str, Any], imported: preimport.Imported, ours: list[str]) -> None:
    """Leave nothing that shows another start than `python app.py`."""
    before, env = dict(os.environ), start["env"]
    os.chdir(start["cwd"])
    app = Path(env["SPACEPORT_CODE"]) / start["argv"][-1]
    if noticing.reason(app, env, start["usual_env"], imported.to_json()):
        os.execve(start["argv"][0], start["argv"], env)  # noqa: S606  # our own program
    os.environ.clear()
    os.environ.update(env)
    python, *sys.argv[:] = start["argv"]
    sys.orig_argv[:] = [python, *sys.argv]
    sys.path[:1] = ours
    imported.move(before, env)
    forget()
