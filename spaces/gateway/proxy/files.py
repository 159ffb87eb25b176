"""Files that an event names, in the apps of several replicas: where one lies, and bringing it to another. An
uploaded file is on the disk of the replica that took the upload."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from hardware.replica_client import ReplicaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from hardware.replica_client import ReplicaClient, Reply
    from queueing.routes import Place

ELSEWHERE = ("http://", "https://")
MOST_FILES = 100  # of one event
HEAD_S = 10.0
BRING_S = 300.0
ANSWER_BYTES = 64 * 1024
NOT_HERE = {403, 404}
#: Of the visitor's request: they belong to its own body.
OF_THE_BODY = {"content-type", "range", "if-none-match", "if-modified-since", "accept-encoding"}


@dataclass(frozen=True)
class Named:
    """A file in an event's data, as Gradio writes it; `field` of `of` has its path."""

    of: dict[str, Any]
    field: str

    @property
    def path(self) -> str:
        return str(self.of[self.field])


def named(data: Any) -> list[Named]:
    """The files that this names, on a replica's disk."""
    found = []
    for one in _dicts(data):
        meta = one.get("meta")
        is_data = isinstance(meta, dict) and meta.get("_type") == "gradio.FileData"
        field = "path" if is_data else "name" if one.get("is_file") is True else ""  # Gradio 3
        path = one.get(field)
        # As the gateway itself forwards none with such parts.
        if isinstance(path, str) and path and ".." not in path.split("/") and not path.startswith(ELSEWHERE):
            found.append(Named(one, field))
    return found[:MOST_FILES]


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


@dataclass(frozen=True)
class Files:
    """Those of one visitor, whose headers these are; `prefix` of the app's own paths."""

    http: ReplicaClient
    prefix: str
    headers: Mapping[str, str]

    async def where(self, path: str, places: Sequence[Place]) -> int:
        """The replica that has this file; the first one where none has."""
        for place in places:
            if await self._is_at(path, place):
                return place.replica_id
        return places[0].replica_id

    async def bring(self, file: Named, places: Sequence[Place]) -> None:
        """Have the first of these places have the file, and name it as it is called there. One that none of
        them has is left to the app, which refuses it."""
        there, *others = places
        if await self._is_at(file.path, there):
            return
        for place in others:
            with suppress(ReplicaError, msgspec.DecodeError):
                if path := await self._copied(file.path, place, there):
                    file.of[file.field] = path
                    return

    async def _is_at(self, path: str, place: Place) -> bool:
        with suppress(ReplicaError):
            async with self.http.request(
                "HEAD", place.address, self._file(path), headers=self._own, total_s=HEAD_S
            ) as reply:
                return reply.status not in NOT_HERE
        return False

    async def _copied(self, path: str, place: Place, there: Place) -> str:
        """Its path there; "" where this place does not have it either."""
        boundary = secrets.token_hex(16)
        headers = {**self._own, "content-type": f"multipart/form-data; boundary={boundary}"}
        async with self.http.request(
            "GET", place.address, self._file(path), headers=self._own, total_s=BRING_S
        ) as reply:
            if reply.status != 200:
                return ""
            body = _form(boundary, path.rpartition("/")[2], reply)
            async with self.http.request(
                "POST", there.address, f"{self.prefix}/upload", headers=headers, data=body, total_s=BRING_S
            ) as answer:
                raw = await answer.read(ANSWER_BYTES)
                return msgspec.json.decode(raw, type=list[str])[0] if answer.status == 200 else ""

    def _file(self, path: str) -> str:
        return f"{self.prefix}/file={path}"

    @property
    def _own(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name not in OF_THE_BODY}


async def _form(boundary: str, name: str, reply: Reply) -> AsyncIterator[bytes]:
    """One file as browsers upload it."""
    name = name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "")
    yield (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    async for chunk in reply.chunks():
        yield chunk
    yield f"\r\n--{boundary}--\r\n".encode()
