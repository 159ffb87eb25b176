"""What the kernel gives a plain process that is no container: the app's own process calls `close` before the
app's first line. Standard library only, and Python 3.10: apps' environments run it too.

- A mount namespace in which the platform's folder is empty but for what is the app's own (Linux; without root
  also a user namespace, in which it stays the same user).
- Landlock (Linux 5.13): it writes nowhere but where it is told, and neither looks into processes that are not
  its own nor (6.12) signals them.
- No capabilities, no new privileges; limits of open files, of a file's size, of core dumps.

Each is used where the kernel has it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import struct
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPEN_FILES = 4096
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MS_NOSUID, MS_NODEV = 2, 4
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
PR_SET_SECUREBITS, SECURE = 28, 0b101111  # no capabilities for user 0, locked
CAPSET = 126 if os.uname().machine == "x86_64" else 91
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
#: Of `linux/landlock.h`: WRITE_FILE, REMOVE_DIR … MAKE_SYM; REFER (2), TRUNCATE (3) by the ABI's number.
WRITES = 1 << 1 | 0b1_1111_1111 << 4
REFER, TRUNCATE = 1 << 13, 1 << 14
SCOPES = 0b11  # abstract sockets and signals, ABI 6
O_PATH: int = getattr(os, "O_PATH", 0)
#: Folders of the machine's own, for programs that know nothing of their user's folders.
WRITABLE = ("/dev", "/proc", "/tmp", "/var/tmp")  # noqa: S108  # the app's


def wall(hidden: Path, own: list[Path], code: Path, gigabytes: float) -> dict[str, Any]:
    """The order for `close`, as JSON: of the folder `hidden`, an app sees `own`, which it may write to, and
    `code`. The platform's own code is read-only, also below /tmp. No file may have more `gigabytes`."""
    return {
        "module": __file__,
        "hidden": str(hidden),
        "platform": str(Path(__file__).resolve().parents[3]),
        "kept": [str(path) for path in (*own, code)],
        "writable": [*map(str, own), *WRITABLE],
        "file_bytes": round(gigabytes * 1024**3),
    }


def close(wall: dict[str, Any]) -> list[str]:
    """Close this process, which has one thread, and all that it starts in this wall. It ends with its parent.
    Answers what the kernel refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    refused = []
    for name, part in (("mounts", _hide), ("privileges", _give_up), ("landlock", _restrict)):
        try:
            part(libc, wall)
        except OSError as error:
            refused.append(f"{name}: {error}")
    _limit(wall)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return refused


def _limit(wall: dict[str, Any]) -> None:
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: wall["file_bytes"],
    }
    for what, most in wanted.items():
        hard = resource.getrlimit(what)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


def _hide(libc: Any, wall: dict[str, Any]) -> None:
    """The folder "hidden", empty but for "kept"."""
    if os.geteuid() and (tried := os.fork()) == 0:
        # Some distributions let a user namespace be made, but nothing be done in it: there is no way back.
        try:
            _enter(libc, wall)
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.geteuid() and os.waitpid(tried, 0)[1] != 0:
        raise PermissionError(errno.EPERM, "user namespaces are restricted")
    _enter(libc, wall)


def _enter(libc: Any, wall: dict[str, Any]) -> None:
    user, group = os.geteuid(), os.getegid()
    hidden = Path(wall["hidden"]).resolve()
    here = Path.cwd()
    _done(libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if user else 0)))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _mount(libc, "none", "/", MS_REC | MS_PRIVATE)
    kept = []
    for path in map(Path, wall["kept"]):
        with contextlib.suppress(FileNotFoundError):
            kept.append((path, path.resolve(), os.open(path, O_PATH | os.O_CLOEXEC)))
    with contextlib.suppress(OSError):  # in a user namespace it may be locked
        _mount(libc, wall["platform"], wall["platform"], MS_BIND | MS_REC)
        _mount(libc, "none", wall["platform"], MS_REMOUNT | MS_BIND | MS_RDONLY)
    _mount(libc, "tmpfs", str(hidden), MS_NOSUID | MS_NODEV, "size=1m,mode=0755")
    for path, real, source in kept:
        if hidden in real.parents:
            real.mkdir(parents=True, exist_ok=True)
            _mount(libc, f"/proc/self/fd/{source}", str(real), MS_BIND | MS_REC)
        elif not path.exists():  # it was reached through a link
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(real)
        os.close(source)
    _mount(libc, "none", str(hidden), MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    with contextlib.suppress(FileNotFoundError):  # that of a process in standby, which goes to its app's
        os.chdir(here)


def _mount(libc: Any, source: str, target: str, flags: int, data: str = "") -> None:
    kind = b"tmpfs" if source == "tmpfs" else None
    options = data.encode() or None
    _done(libc.mount(source.encode(), target.encode(), kind, ctypes.c_ulong(flags), options))


def _give_up(libc: Any, _wall: dict[str, Any]) -> None:
    """All capabilities for good, those of user 0 too."""
    libc.prctl(PR_SET_SECUREBITS, SECURE, 0, 0, 0)
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    _done(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    header = struct.pack("=Ii", 0x20080522, 0)
    _done(_call(libc, CAPSET, header, struct.pack("=6I", *[0] * 6)))


def _restrict(libc: Any, wall: dict[str, Any]) -> None:
    abi = _done(_call(libc, CREATE_RULESET, None, 0, 1))
    handled = WRITES | (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0)
    about = struct.pack("=QQQ", handled, 0, SCOPES if abi >= 6 else 0)
    about = about[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    rules = _done(_call(libc, CREATE_RULESET, about, len(about), 0))
    for path in wall["writable"]:
        with contextlib.suppress(FileNotFoundError):
            place = os.open(path, O_PATH | os.O_CLOEXEC)
            _done(_call(libc, ADD_RULE, rules, 1, struct.pack("=Qi", handled, place), 0))
            os.close(place)
    _done(_call(libc, RESTRICT_SELF, rules, 0))
    os.close(rules)


def _call(libc: Any, number: int, *arguments: Any) -> int:
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    answer: int = libc.syscall(ctypes.c_long(number), *words)
    return answer


def _done(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
