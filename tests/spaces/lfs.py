"""What the tests of large files share: content, raw requests of git-lfs's API, memory of the web process."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.bench.processes import Peak
from tests.hub_server import Hub

MEGABYTE = 1024 * 1024
JSON = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}


def random_file(path: Path, size: int) -> Path:
    """A file that nobody has."""
    with path.open("wb") as file:
        for at in range(0, size, MEGABYTE):
            file.write(os.urandom(min(MEGABYTE, size - at)))
    return path


def oid_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def batch(
    hub: Hub, space: str, who: str, *objects: tuple[str, int], operation: str = "upload", **more: Any
) -> requests.Response:
    """git-lfs's question where to send, or take, these objects."""
    asked = {
        "operation": operation, "transfers": ["basic"],
        "objects": [{"oid": oid, "size": size} for oid, size in objects], **more,
    }  # fmt: skip
    path = f"/spaces/{space}.git/info/lfs/objects/batch"
    return hub.call("POST", path, who, data=json.dumps(asked), headers=JSON)


def actions(hub: Hub, space: str, who: str, content: bytes, **more: Any) -> dict[str, Any]:
    """What is to be done to send, or take, this content."""
    (one,) = batch(hub, space, who, (oid_of(content), len(content)), **more).json()["objects"]
    found: dict[str, Any] = one.get("actions", {})
    return found


def send(hub: Hub, space: str, who: str, content: bytes) -> None:
    """Upload this as a large file, without a commit."""
    if found := actions(hub, space, who, content):
        assert requests.put(found["upload"]["href"], data=content, timeout=60).status_code == 200


def point(hub: Hub, space: str, who: str, path: str, oid: str, size: int) -> requests.Response:
    """Commit a large file by its hash."""
    lines = (
        {"key": "header", "value": {"summary": "large"}},
        {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, "size": size}},
    )
    return hub.call("POST", f"/api/spaces/{space}/commit/main", who, data="\n".join(map(json.dumps, lines)))


def stored(hub: Hub) -> set[str]:
    """Ids of all objects on disk."""
    return {path.name for path in (hub.home / "lfs" / "objects").rglob("*") if path.is_file()}


def id_of(hub: Hub, space: str) -> int:
    """Its row's."""
    owner, name = space.split("/")
    of_owner = "select id from accounts_owner where name = %s"
    query = f"select id from spaces_space where owner_id = ({of_owner}) and name = %s"  # noqa: S608
    return int(hub.sql(query, owner, name)[0][0])


def on_the_way(hub: Hub, space: str) -> list[str]:
    """Names of what is on its way to this Space."""
    spool = hub.home / "lfs" / "spool"
    return [path.name for path in spool.glob(f"{id_of(hub, space)}-*")]


def memory_of(hub: Hub) -> Peak:
    """How far the web process grows from here on."""
    assert hub.process is not None
    return Peak(hub.process.pid)


def path_of(address: str) -> str:
    return urlsplit(address).path
