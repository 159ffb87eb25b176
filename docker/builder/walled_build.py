"""The first process of a builder container: shuts the container in, then runs buildah. Standard library only.

It reads the job from /build/job.json, which `hardware/runtimes/build_job.py` writes, and what to build from
/build/context. Output goes to stdout, the result to /out/result.json, and the image's parts beside it.

The first process is the container's root and runs no code of a Space. It closes the network for good, then
starts the second process in its own user namespace, whose root has no rights outside, and none over the
network. All processes end when stdin closes (the platform is gone or has cancelled the build) or the time is
up.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FIRST_ID, IDS = 2_000_000_000, 2**24
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x8000000, 0x10000000, 0x20000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
#: Exit codes where there is no result.json.
NO_WALL, TOO_LATE, GONE = 97, 98, 99
#: Seconds between two checks of a running command.
CHECK_EVERY_S = 0.5
#: A fork bomb: processes were refused at this many checks in a row.
FORK_BOMB_CHECKS = 8
#: A build stops when less than this is free on the disk, however little it has written itself.
FREE_BYTES, FREE_FILES = 2 * 1024**3, 100_000
FILES = 3_000_000
RECOUNT_S = 60

#: Where buildah runs. It takes a git repository that it cannot fetch for its working directory.
NOWHERE = "/tmp/nowhere"  # noqa: S108  # the container's own

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    job = json.loads(Path("/build/job.json").read_text())
    try:
        raise_wall(job["wall"])
        inner = in_own_users(job)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{error} {getattr(error, 'stderr', '')}", flush=True)
        os._exit(NO_WALL)
    ends = select.poll()
    ends.register(pid := os.pidfd_open(inner), select.POLLIN)
    if job["kind"] != "load":  # which reads stdin
        ends.register(0, select.POLLIN)
    ready = ends.poll(job["seconds"] * 1000)
    if pid not in dict(ready):
        os._exit(GONE if ready else TOO_LATE)  # the kernel ends the rest with the first process
    os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) & 255)


# --- the wall -----------------------------------------------------------------------------------------------


def raise_wall(wall: dict[str, Any]) -> None:
    """Close the network: no incoming connections, no IPv6. `allow` ([network, protocol, port; 0 is any])
    comes before `deny` (networks), which is rejected at once, so that a build fails instead of waiting."""
    rules = [":INPUT DROP", ":FORWARD DROP", ":OUTPUT ACCEPT", "-A INPUT -i lo -j ACCEPT"]
    rules += ["-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "-A OUTPUT -o lo -j ACCEPT"]
    for network, protocol, port in wall["allow"]:
        ports = f" --dport {port}" if port else ""
        rules.append(f"-A OUTPUT -d {network} -p {protocol}{ports} -j ACCEPT")
    rules += [f"-A OUTPUT -d {network} -j REJECT" for network in wall["deny"]]
    _restore("iptables", rules)
    if Path("/proc/net/if_inet6").exists():
        lo = ["-A INPUT -i lo -j ACCEPT", "-A OUTPUT -o lo -j ACCEPT"]
        _restore("ip6tables", [":INPUT DROP", ":FORWARD DROP", ":OUTPUT DROP", *lo])


def _restore(tables: str, rules: list[str]) -> None:
    text = "\n".join(["*filter", *rules, "COMMIT", ""])
    for command in (f"{tables}-nft-restore", f"{tables}-legacy-restore"):
        done = subprocess.run([command], input=text, text=True, capture_output=True, check=False)
        if done.returncode == 0:
            return
    done.check_returncode()


def in_own_users(job: dict[str, Any]) -> int:
    """Run the job in a user namespace whose users have no rights outside; the id of the process that waits
    for it."""
    (made, make), (mapped, map_) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC):
            print("No user namespace can be made:", os.strerror(ctypes.get_errno()), flush=True)
            os._exit(NO_WALL)
        os.write(make, b"x")
        os.read(mapped, 1)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        first = os.fork()
        if first == 0:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            _libc.prctl(PR_SET_DUMPABLE, 1)  # lost with the old user; else its /proc files are not its own
            _inside(job)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 255)
    os.close(make)
    if os.read(made, 1):
        for kind in ("uid", "gid"):
            Path(f"/proc/{child}/{kind}_map").write_text(f"0 {FIRST_ID} {IDS}")
    os.write(map_, b"x")
    return child


def _inside(job: dict[str, Any]) -> None:
    code = 1
    try:
        if _libc.mount(b"proc", b"/proc", b"proc", 0, None):
            print("No /proc can be mounted:", os.strerror(ctypes.get_errno()), flush=True)
            code = NO_WALL
        else:
            result = Job(job).run()
            Path("/out/result.json").write_text(json.dumps(result))
            code = 0
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(code)  # never back into the parent's code


# --- inside: nobody's root ----------------------------------------------------------------------------------


class Stopped(Exception):
    """The job was stopped, or buildah failed; the argument is the reason, a word or two."""


class Job:
    """One job on one image store (`store`); it can read those in `others` too."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.store = Path(job["store"])
        self.temporary = self.store / "tmp"
        self.temporary.mkdir(exist_ok=True)
        Path(NOWHERE).mkdir()
        most = job["disk_bytes"] if job["kind"] == "build" else sys.maxsize  # else the platform's own images
        self.disk = Disk([self.store, Path("/out")], most)
        self.limits = Limits()
        others = ", ".join(f'"{other}/images"' for other in job["others"])
        Path("/tmp/storage.conf").write_text(  # noqa: S108  # the container's own
            f'[storage]\ndriver = "overlay"\nrunroot = "/tmp/run"\ngraphroot = "{self.store}/images"\n'
            f"[storage.options]\nadditionalimagestores = [{others}]\n"
        )
        os.environ.update(
            HOME="/tmp", CONTAINERS_STORAGE_CONF="/tmp/storage.conf", TMPDIR=str(self.temporary),  # noqa: S108
            BUILDAH_ISOLATION="oci", _CONTAINERS_USERNS_CONFIGURED="done",
        )  # fmt: skip
        if job["kind"] == "build":
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["disk_bytes"],) * 2)

    def run(self) -> dict[str, Any]:
        """The contents of result.json: `missing` (images that the stores must have first), or `reason` (why
        there is no image), or `diff_ids`, how many of them were `omitted`, and the `config`'s digest."""
        held = []
        for other in self.job["others"]:
            held.append((Path(other) / "lock").open())
            fcntl.flock(held[-1], fcntl.LOCK_SH)  # nothing may be removed there
        if missing := sorted(set(self.job["needs"]) - self.images()):
            return {"missing": missing}
        with (self.store / "lock").open("w") as lock:
            self.tidy(lock)
            try:
                return self.load() if self.job["kind"] == "load" else self.build()
            except Stopped as why:
                return {"reason": str(why)}

    def images(self) -> set[str]:
        """The ids and names of all images in readable stores."""
        listed = self.listed("images/images.json")
        return set(listed).union(*(image.get("names", []) for image in listed.values()))

    def tidy(self, lock: Any) -> None:
        """Remove what killed builds left, or everything once the store is large, unless other jobs use it."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fcntl.flock(lock, fcntl.LOCK_SH)
            return
        for left in self.temporary.iterdir():
            if not left.name.startswith("buildah-cache"):  # of RUN --mount=type=cache
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        if (self.store / "images").exists() and self.job["kind"] == "build":
            if self.disk.count() > self.job["disk_bytes"] // 2:
                shutil.rmtree(self.store / "images")
                shutil.rmtree(self.temporary)
                self.temporary.mkdir()
            else:
                self.buildah("rm", "--all", quiet=True)
        fcntl.flock(lock, fcntl.LOCK_SH)

    def load(self) -> dict[str, Any]:
        """Import the image that `docker save` writes to stdin."""
        archive = self.temporary / "archive.tar"
        with archive.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        self.buildah("pull", "--quiet", f"docker-archive:{archive}", quiet=True)
        archive.unlink()
        for image, names in self.job["names"].items():
            self.buildah("tag", image, *names)
        return {}

    def build(self) -> dict[str, Any]:
        note = Path("/tmp/image")  # noqa: S108
        self.buildah("build", *self.job["options"], "--iidfile", str(note), "/build/context")
        image = note.read_text().strip()
        if self.job["kind"] == "base":
            self.buildah("tag", image, *self.job["names"])
            return {}
        return self.export(image.removeprefix("sha256:"))

    def export(self, image: str) -> dict[str, Any]:
        """Write the image's configuration and the layers that the engine lacks, in files named by their
        digests."""
        inspected = json.loads(self.output_of("buildah", "inspect", "--type", "image", image))
        Path("/out", image).write_text(inspected["Config"])
        chain, layers = [], self.listed("layers/layers.json")
        layer = self.listed("images/images.json")[image]["layer"]
        while layer:
            chain.insert(0, layer)
            layer = layers[layer].get("parent", "")
        diff_ids = [layers[layer]["diff-digest"] for layer in chain]
        omitted = max([_common(diff_ids, known) for known in self.job["known"]], default=0)
        for layer, diff_id in list(zip(chain, diff_ids, strict=True))[omitted:]:
            self.watched(
                "containers-storage",
                "diff",
                "--unshare=false",
                "--uncompressed",
                "-f",
                f"/out/{diff_id[7:]}",
                layer,
            )
        return {"diff_ids": diff_ids, "omitted": omitted, "config": image}

    def listed(self, path: str) -> dict[str, Any]:
        """All entries of a list of containers/storage, in all readable stores, by their ids."""
        found = {}
        for store in (self.store, *map(Path, self.job["others"])):
            with contextlib.suppress(FileNotFoundError):
                entries = json.loads((store / f"images/overlay-{path}").read_text())
                found.update({entry["id"]: entry for entry in entries})
        return found

    @staticmethod
    def output_of(*command: str) -> bytes:
        return subprocess.run(command, capture_output=True, check=True).stdout

    def buildah(self, *arguments: str, quiet: bool = False) -> None:
        """Run buildah.

        Raises:
            Stopped
        """
        self.watched("buildah", *arguments, quiet=quiet)

    def watched(self, *command: str, quiet: bool = False) -> None:
        """Run a command to its end, with its limits checked all the time.

        Raises:
            Stopped
        """
        running = subprocess.Popen(
            command, cwd=NOWHERE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if quiet else None,
            preexec_fn=lambda: Path("/proc/self/oom_score_adj").write_text("1000"),
        )  # fmt: skip
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(CHECK_EVERY_S)
                break
            if why := self.disk.is_over() or self.limits.forks():
                os.kill(-1, signal.SIGKILL)  # everything here but this process
                raise Stopped(why)
        if running.returncode:
            raise Stopped(self.limits.broken() or "failed")


def _common(one: list[str], other: list[str]) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


class Disk:
    """The size of these folders. They are counted again after `RECOUNT_S`, or once enough was written on
    their disk to reach the limit."""

    def __init__(self, folders: list[Path], limit_bytes: int) -> None:
        self.folders, self.limit = folders, limit_bytes
        self.free = self.left = self.at = 0.0

    def is_over(self) -> str:
        """Which limit is exceeded: `disk`, `disk full` or ""."""
        now = os.statvfs(self.folders[0])
        free = now.f_bavail * now.f_frsize
        if free < FREE_BYTES or now.f_favail < FREE_FILES:
            return "disk full"
        self.free = max(self.free, free)
        if self.at and self.free - free < self.left and time.monotonic() - self.at < RECOUNT_S:
            return ""
        used = self.count()
        self.free, self.left, self.at = free, self.limit - used, time.monotonic()
        return "disk" if used > self.limit else ""

    def count(self) -> int:
        """Bytes on the disk, including files that were removed but are still open; above the limit where
        there are more than `FILES` files."""
        total, files = 0, 0
        unread = [(str(folder), folder.stat().st_dev) for folder in self.folders]
        while unread:
            path, device = unread.pop()
            with contextlib.suppress(OSError), os.scandir(path) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        about = entry.stat(follow_symlinks=False)
                        if about.st_dev != device:  # where the step's own root is mounted
                            continue
                        total += about.st_blocks * 512
                        files += 1
                        if entry.is_dir(follow_symlinks=False):
                            unread.append((entry.path, device))
        return self.limit + 1 if files > FILES else total + _removed_but_open()


def _removed_but_open() -> int:
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    about = descriptor.stat()
                    if stat.S_ISREG(about.st_mode) and about.st_nlink == 0:
                        found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(found.values())


class Limits:
    """What the container's control groups, of version 1 or 2, have refused since the job began."""

    def __init__(self) -> None:
        self._begin = self._read()
        self._refused = self._begin["max"]
        self._checks_with_refusals = 0

    def forks(self) -> str:
        """`processes` once new processes have been refused at `FORK_BOMB_CHECKS` checks in a row, else ""."""
        refused = self._read()["max"]
        self._checks_with_refusals = self._checks_with_refusals + 1 if refused > self._refused else 0
        self._refused = refused
        return "processes" if self._checks_with_refusals >= FORK_BOMB_CHECKS else ""

    def broken(self) -> str:
        """The limit that ended a command: `memory`, `processes` or ""."""
        now = self._read()
        if now["oom_kill"] > self._begin["oom_kill"]:
            return "memory"
        return "processes" if now["max"] > self._begin["max"] else ""

    @staticmethod
    def _read() -> dict[str, int]:
        found = {"oom_kill": 0, "max": 0}
        for path, word in (
            ("memory/memory.oom_control", "oom_kill"), ("memory.events", "oom_kill"),
            ("pids/pids.events", "max"), ("pids.events", "max"),
        ):  # fmt: skip
            with contextlib.suppress(OSError):
                for line in (Path("/sys/fs/cgroup") / path).read_text().splitlines():
                    name, _, value = line.partition(" ")
                    if name == word:
                        found[word] = int(value)
        return found


if __name__ == "__main__":
    main()
