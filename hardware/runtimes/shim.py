"""One small process beside each replica of the process runtime: `python -I shim.py FOLDER [PID]`.

It outlives the worker that started it. It bounds the app's log, enforces the memory limit, notes the exit
code, and leaves nothing of the app behind. Standard library only.

Reads FOLDER/start.json (argv, cwd, env, wall, memory_limit_bytes, most_processes, log_limit_bytes; removed
once read: it contains secrets) and writes FOLDER/log ("<unix time> <line>"), and in the end FOLDER/exit.json.
SIGTERM ends the app politely, a second one by force. With a PID the app is its child already, and writes to
descriptor 0.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

PR_SET_CHILD_SUBREAPER = 36
MEMORY_CHECK_S = 0.5
MAX_LINE_BYTES = 16 * 1024


def main(folder: Path, app: int) -> None:
    start = json.loads((folder / "start.json").read_text())
    (folder / "start.json").unlink()
    libc = ctypes.CDLL(None)
    # The app's own children come to us when their parents die, so that none escapes.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    sys.path.insert(0, str(Path(__file__).parent))
    walls = importlib.import_module("walls.process")

    stream: IO[bytes]
    if app:
        stream = os.fdopen(os.dup(0), "rb")
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
    else:
        process = subprocess.Popen(  # noqa: S603  # running the Space is the purpose
            start["argv"], cwd=start["cwd"], env=start["env"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=lambda: walls.close(start["wall"]),
        )  # fmt: skip
        app = process.pid
        stream = process.stdout  # type: ignore[assignment]
    signals = 0

    def stop(_number: int, _frame: Any) -> None:
        nonlocal signals
        signals += 1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(app, signal.SIGTERM if signals == 1 else signal.SIGKILL)

    signal.signal(signal.SIGTERM, stop)
    log = threading.Thread(target=_pump, args=(stream, folder, start["log_limit_bytes"]), daemon=True)
    log.start()
    limit_bytes, most = start["memory_limit_bytes"], start["most_processes"]
    code, peak_bytes, peak = _wait(app, limit_bytes, most)
    _end_family()
    log.join(5)
    note = folder / "exit.json.new"
    is_above = bool(limit_bytes) and peak_bytes > limit_bytes
    report = {"code": code, "out_of_memory": is_above, "memory_peak_bytes": peak_bytes, "at": time.time()}
    if peak > most:
        report["stopped_for"] = (
            f"The app was stopped: it had more than {most} processes. Start fewer at once."
        )
    note.write_text(json.dumps(report))
    note.rename(folder / "exit.json")


def give(folder: Path, order: dict[str, Any]) -> None:
    """Leave this order for the shim that is started next in this folder."""
    path = folder / "start.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(order))


def _wait(app: int, limit_bytes: int, most: int) -> tuple[int, int, int]:
    """Wait for the end and return its code, the highest memory use and the highest number of processes that
    were seen; kill the process family when it grows above one of the limits."""
    ended = select.poll()
    ended.register(os.pidfd_open(app), select.POLLIN)
    peak_bytes = peak = 0
    while limit_bytes and not ended.poll(MEMORY_CHECK_S * 1000):
        family = descendants(os.getpid())
        peak, peak_bytes = max(peak, len(family)), max(peak_bytes, memory_of(family))
        if peak_bytes > limit_bytes or peak > most:
            os.killpg(app, signal.SIGKILL)
            break
    return os.waitstatus_to_exitcode(os.waitpid(app, 0)[1]), peak_bytes, peak


def started_at(pid: int) -> int:
    """When the kernel started this process, in its own ticks: detects a reused pid. 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def is_alive(state: dict[str, Any]) -> bool:
    """Whether the process of this note ("pid", "started_at") runs."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(state["pid"], os.WNOHANG)  # ours may be waiting as a zombie
    began: int = state["started_at"]
    return started_at(state["pid"]) == began != 0


def descendants(ancestor: int) -> list[int]:
    """Every process below this one."""
    # Reading all of /proc twice a second, for each Space, would cost more than an idle Space itself.
    known = Path("/proc/thread-self/children").exists()
    children = _children if known else _table_of_all().get
    members: set[int] = set()
    unread = [ancestor]
    while unread:
        new = (children(unread.pop()) or set()) - members
        unread += new
        members |= new
    return sorted(members)


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found |= {int(child) for child in (thread / "children").read_text().split()}
    return found


def _table_of_all() -> dict[int, set[int]]:
    """The children of every process, on a kernel that does not list them (CONFIG_PROC_CHILDREN)."""
    table: dict[int, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                table.setdefault(parent, set()).add(int(entry.name))
    return table


def memory_of(pids: list[int]) -> int:
    """Resident bytes of these processes, shared pages counted once as far as the kernel knows."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
            total += (int(resident) - int(shared)) * resource.getpagesize()
    return total


def _end_family() -> None:
    for _ in range(50):
        left = descendants(os.getpid())
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _pump(stream: IO[bytes], folder: Path, limit_bytes: int) -> None:
    """Lines into the log, in two files of half the limit each."""
    path, old = folder / "log", folder / "log.1"
    out = path.open("ab")
    while line := stream.readline(MAX_LINE_BYTES):
        if out.tell() > limit_bytes // 2:
            out.close()
            path.rename(old)
            out = path.open("ab")
        out.write(b"%.6f " % time.time() + line.rstrip(b"\r\n") + b"\n")
        out.flush()
    out.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
