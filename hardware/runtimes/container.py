"""A replica's container: its whole configuration, and the user that it runs as."""

from __future__ import annotations

import contextlib
import datetime
import io
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker.errors
import docker.types

from hardware import control_groups
from hardware.runtimes import base_image, container_files, egress_policy, volumes
from hardware.runtimes.base import Stats
from hardware.runtimes.environment import launcher_environment
from hardware.runtimes.walls import seccomp

if TYPE_CHECKING:
    import docker

    from hardware.runtimes.base import ReplicaSpec

#: Of Gradio Spaces.
USER, HOME = "10001:10001", "/home/user"
#: Of Docker Spaces whose image names none, or root: the Hub's.
DEFAULT_USER = "1000"
#: Where images of earlier versions have the code; the launcher copies it.
OLD_CODE = "/opt/app"
CPU_SHARES = 512  # half of what the platform's own processes have, where cores are short
#: Where the machine itself runs out of memory, Spaces end before the platform, its databases and the engine.
OOM_SCORE = 500
PASSWD_BYTES = 1024**2


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The user that a container runs as ("uid" or "uid:gid"), and its home; empty: the image's."""

    user: str
    home: str = ""


def identity(client: docker.DockerClient, image: str, sdk: str) -> Identity:
    """The image's own user, but never root.

    Raises:
        docker.errors.ImageNotFound
    """
    config = client.images.get(image).attrs["Config"]
    if sdk == "gradio":
        return Identity(user=USER, home=HOME)
    passwd = _passwd(client, image)
    name, _, group = str(config.get("User") or "").partition(":")
    uid = name if re.fullmatch(r"\d{1,9}", name) else passwd.get(name, "0")
    if int(uid) == 0:
        uid, group = DEFAULT_USER, "" if DEFAULT_USER in passwd.values() else DEFAULT_USER
    has_home = uid in passwd.values() or any(one.startswith("HOME=") for one in config.get("Env") or [])
    return Identity(user=f"{uid}:{group}" if group else uid, home="" if has_home else "/tmp")  # noqa: S108  # its own


def _passwd(client: docker.DockerClient, image: str) -> dict[str, str]:
    """The image's users by name, as the engine will read them: the name of one may be root's."""
    container = client.containers.create(image, ["true"])
    try:
        content = b""
        with container_files.archive(client, str(container.id), "/etc/passwd") as parts:
            for part in parts:
                content += part
                if len(content) > PASSWD_BYTES:
                    return {}
        with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(content)) as tar:
            entry = tar.next()
            file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
            lines = file.read().decode(errors="replace").splitlines() if file else []
            fields = [line.split(":") for line in lines]
            return {f[0]: f[2] for f in reversed(fields) if len(f) > 3 and re.fullmatch(r"\d{1,9}", f[2])}
    except docker.errors.NotFound:
        pass
    finally:
        container.remove(v=True)
    return {}


def options(
    spec: ReplicaSpec, run_as: Identity, *, cores: int, gpus: tuple[str, ...], network: str, leads_out: bool
) -> dict[str, Any]:
    """The container's whole configuration but its name, labels and volumes: a fixed template, filled in."""
    limits = spec.may_use
    is_gradio = spec.sdk == "gradio"
    made: dict[str, Any] = {
        "image": spec.artifact.image,
        "environment": launcher_environment(
            spec, host="0.0.0.0", port=spec.port, home=run_as.home,  # noqa: S104  # only the host reaches it
            tmp="/tmp" if is_gradio else "", cache=volumes.CACHE,  # noqa: S108  # its own
        ),
        "user": run_as.user,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "shm_size": limits.memory_bytes // 2,
        "cpu_shares": CPU_SHARES,
        "nano_cpus": int(min(limits.cpus, cores) * 1e9),
        "pids_limit": limits.pids,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp.profile()}"],
        "oom_score_adj": OOM_SCORE,
        "init": True,
        "ipc_mode": "private",
        "network": network,
        "ulimits": [
            docker.types.Ulimit(name="nofile", soft=4096, hard=4096),
            docker.types.Ulimit(name="core", soft=0, hard=0),
        ],
        "log_config": docker.types.LogConfig(type="json-file", config={"max-size": "5m", "max-file": "2"}),
        "healthcheck": {"test": ["NONE"]},
        "stop_signal": "SIGTERM",
    }  # fmt: skip
    if limits.sandbox:
        made["runtime"] = limits.sandbox
    if leads_out:
        made["dns"] = egress_policy.resolvers() or None
    if is_gradio:
        made["command"] = ["python", f"/opt/launcher/{base_image.MAIN}", spec.app_file]
        made["environment"] |= {"SPACEPORT_CACHE_BYTES": str(volumes.cache_bytes())}
    if gpus:
        made["device_requests"] = [
            docker.types.DeviceRequest(driver="nvidia", device_ids=list(gpus), capabilities=[["gpu"]])
        ]
    return made


def staging(client: docker.DockerClient, image: str) -> dict[str, str]:
    """What the launcher must know to run an image that an earlier version built, with its code elsewhere."""
    if client.images.get(image).attrs["Config"].get("WorkingDir") == f"{HOME}/app":
        return {}
    return {"SPACEPORT_CODE": OLD_CODE, "SPACEPORT_WORK": f"{HOME}/app"}


def stats(client: docker.DockerClient, runtime_id: str) -> Stats | None:
    """What a container uses now; None when it does not run. From the kernel where the engine is on this
    machine: the engine itself takes a second for each answer."""
    try:
        there = client.api.inspect_container(runtime_id)
        if (use := control_groups.use_of(there["State"]["Pid"], runtime_id)) is not None:
            return Stats(
                memory_bytes=use.memory_bytes,
                memory_limit_bytes=there["HostConfig"]["Memory"],
                cpu_seconds=use.cpu_seconds,
            )
        return stats_by_engine(client, runtime_id)
    except docker.errors.NotFound:
        return None


def stats_by_engine(client: docker.DockerClient, runtime_id: str) -> Stats | None:
    """The same as the engine has it.

    Raises:
        docker.errors.NotFound
    """
    found = client.api.stats(runtime_id, stream=False, one_shot=True)
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


def seconds(stamp: str) -> float:
    """Unix seconds of the engine's "2026-11-23T15:04:05.123456789Z"."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.UTC).timestamp()
    return at + float(f"0.{fraction or 0}")
