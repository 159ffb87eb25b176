"""A Space that tries to get out: run inside its container, it prints each attack with how it ended. It
imports nothing of the platform's."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

#: Of x86-64: number and arguments. Each is refused to a process without privileges, or harmless.
CALLS: dict[str, tuple[int, ...]] = {
    "ptrace": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "pidfd_getfd": (438, -1, 0, 0),
    "keyctl": (250, 0, -3, 0),
    "add_key": (248, 0, 0, 0, 0, -2),
    "request_key": (249, 0, 0, 0, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "io_uring_setup": (425, 1, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 0),
    "fsopen": (430, 0, 0),
    "open_tree": (428, -100, 0, 1),
    "move_mount": (429, -1, 0, -1, 0, 0),
    "pivot_root": (155, 0, 0),
    "chroot": (161, 0),
    "unshare of user namespaces": (272, 0x10000000),
    "unshare of network namespaces": (272, 0x40000000),
    "setns": (308, -1, 0),
    "name_to_handle_at": (303, -100, 0, 0, 0, 0),
    "open_by_handle_at": (304, -1, 0, 0),
    "vmsplice": (278, -1, 0, 0, 0),
    "modify_ldt": (154, 0, 0, 0),
    "syslog": (103, 3, 0, 0),
    "init_module": (175, 0, 0, 0),
    "finit_module": (313, -1, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "reboot": (169, 0, 0, 0, 0),
    "fanotify_init": (300, 0, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "swapon": (167, 0, 0),
    "memfd_secret": (447, 0),
    "mbind": (237, 0, 0, 0, 0, 0, 0),
    "clock_settime": (227, 0, 0),
    "acct": (163, 0),
}
#: Family, type, protocol.
SOCKETS = {
    "AF_VSOCK": (40, 1, 0),
    "AF_ALG": (38, 5, 0),
    "AF_PACKET": (17, 3, 0),
    "AF_XDP": (44, 3, 0),
    "AF_CAN": (29, 3, 1),
    "AF_BLUETOOTH": (31, 3, 1),
    "raw internet": (2, 3, 1),
    "netlink of the audit system": (16, 3, 9),
    "netlink of IPsec": (16, 3, 6),
    "netlink of the packet filter": (16, 3, 12),
}
WRITES = (
    "/x",
    "/etc/passwd",
    "/usr/bin/x",
    "/usr/local/bin/x",
    "/opt/launcher/x",
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/release_agent",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/pids/pids.max",
    "/sys/fs/cgroup/cgroup.procs",
)
READS = ("/proc/kcore", "/proc/kpagecount", "/dev/mem", "/dev/sda", "/dev/vda", "/etc/shadow")
OPEN, SHUT = "OPEN", "shut"


def call(number: int, *arguments: int) -> str:
    """A system call in a process of its own; ENOSYS and EPERM are what a filter answers, all else is the
    kernel's own answer."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(one) for one in arguments]
    if libc.syscall(ctypes.c_long(number), *words) >= 0:
        return OPEN
    name = errno.errorcode.get(ctypes.get_errno(), "?")
    return f"{SHUT}: {name}" if name in {"EPERM", "ENOSYS", "EACCES"} else f"{OPEN}: {name}"


def opens(family: int, kind: int, protocol: int) -> str:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError as error:
        return f"{SHUT}: {error}"
    return OPEN


def forked(do: Callable[[], str]) -> str:
    """`do` in a process of its own: what it changes about itself must not change the next attack."""
    into, out = os.pipe()
    if (pid := os.fork()) == 0:
        with contextlib.suppress(BaseException):
            os.write(out, do().encode())
        os._exit(0)
    os.close(out)
    os.waitpid(pid, 0)
    return os.read(into, 4096).decode() or f"{SHUT}: killed"


def touches(path: str, mode: int) -> str:
    if mode & os.O_WRONLY and not Path(path).exists():
        mode |= os.O_CREAT
    try:
        os.close(os.open(path, mode))
    except OSError as error:
        return f"{SHUT}: {error.strerror}"
    return OPEN


def makes_devices() -> str:
    found = Path("/sys/dev/block")
    names = [one.name for one in found.iterdir()] if found.is_dir() else []
    major, _, minor = (names or ["254:0"])[0].partition(":")
    try:
        os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(int(major), int(minor)))  # noqa: S108
        os.close(os.open("/tmp/disk", os.O_RDONLY))  # noqa: S108
    except OSError as error:
        return f"{SHUT}: {error.strerror}"
    return OPEN


def sees_devices() -> str:
    found = [one.name for one in Path("/dev").iterdir() if one.is_block_device()]
    return f"{OPEN}: {found}" if found else SHUT


def becomes_root() -> str:
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    capabilities = {value for name, value in fields.items() if name.startswith("Cap")}
    safe = (
        capabilities == {"0" * 16}
        and fields.get("NoNewPrivs", "1") == "1"
        and "0" not in fields["Uid"].split()
    )
    if not safe:
        return f"{OPEN}: {capabilities} {fields.get('NoNewPrivs')} {fields['Uid']}"
    for name in ("su", "newgrp"):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [name, "-c", "id -u"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
            )
            if done.stdout.strip() == b"0":
                return f"{OPEN}: {name}"
    return SHUT


def sees_others() -> str:
    seen = [one.name for one in Path("/proc").iterdir() if one.name.isdigit()]
    return SHUT if len(seen) < 20 else f"{OPEN}: {len(seen)} processes"


def reaches_engine() -> str:
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"):
        if Path(path).exists():
            return f"{OPEN}: {path}"
    return SHUT


def outlives_the_platform() -> str:
    """Where memory is short, the kernel ends the process with the highest score first."""
    try:
        Path("/proc/self/oom_score_adj").write_text("-1")
    except OSError as error:
        return f"{SHUT}: {error.strerror}"
    return OPEN


def forks_without_end() -> str:
    """Says how many processes it had when it was refused the next."""
    children: list[int] = []
    try:
        while len(children) < 5000:
            if (pid := os.fork()) == 0:
                signal.pause()
            children.append(pid)
    except OSError:
        return f"{SHUT}: {len(children)} processes"
    finally:
        for pid in children:
            os.kill(pid, 9)
        for pid in children:
            os.waitpid(pid, 0)
    return OPEN


def opens_files_without_end() -> str:
    files: list[int] = []
    try:
        while len(files) < 100_000:
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return f"{SHUT}: {len(files)} files"
    finally:
        for one in files:
            os.close(one)
    return OPEN


def connects(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), 2).close()
    except OSError as error:
        return f"{SHUT}: {error}"
    return OPEN


def main(targets: dict[str, tuple[str, int]]) -> dict[str, str]:
    """Every attack by name, with how it ended; `targets` are addresses by name. "kernel" is whose it was."""
    found = {f"system call {name}": forked(lambda what=what: call(*what)) for name, what in CALLS.items()}  # type: ignore[misc]
    found |= {f"socket {name}": opens(*what) for name, what in SOCKETS.items()}
    found |= {f"write {path}": touches(path, os.O_WRONLY) for path in WRITES}
    found |= {f"read {path}": touches(path, os.O_RDONLY) for path in READS}
    others = (
        makes_devices,
        sees_devices,
        becomes_root,
        sees_others,
        reaches_engine,
        outlives_the_platform,
        opens_files_without_end,
    )
    found |= {one.__name__.replace("_", " "): one() for one in others}
    found |= {f"connect to {name}": connects(*where) for name, where in targets.items()}
    return found | {"kernel": os.uname().release}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))) if len(sys.argv) > 1 else forks_without_end())
