"""What the tests of Xet share: xorbs and shards made by hand, and one who sends them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import lz4.frame
import requests

from tests.hub_server import Hub
from tests.spaces.lfs import oid_of

STORED, LZ4, GROUPED = 0, 1, 2
NAME = "0123456789abcdef" * 4


def piece(body: bytes, size: int, how: int = STORED, version: int = 0) -> bytes:
    """A piece as it stands in a xorb: its body as it is given, its head with this size."""
    head = bytes([version]) + len(body).to_bytes(3, "little") + bytes([how]) + size.to_bytes(3, "little")
    return head + body


def plain(content: bytes) -> bytes:
    return piece(content, len(content))


def packed(content: bytes) -> bytes:
    return piece(lz4.frame.compress(content), len(content), LZ4)


def grouped(content: bytes) -> bytes:
    groups = b"".join(content[group::4] for group in range(4))
    return piece(lz4.frame.compress(groups), len(content), GROUPED)


def binary(name: str) -> bytes:
    """A hash, from its name."""
    return struct.pack("<4Q", *(int(name[at : at + 16], 16) for at in range(0, 64, 16)))


@dataclass
class Shard:
    """One file of pieces of one xorb, `times` over."""

    oid: str
    size: int
    first: int = 0
    end: int = 1
    xorb: str = NAME
    flags: int = 1 << 30
    count: int = 1
    times: int = 1

    def __bytes__(self) -> bytes:
        tag = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
        term = struct.pack("<32sIIII", binary(self.xorb), 0, self.size, self.first, self.end)
        end = struct.pack("<32s16x", b"\xff" * 32)
        sha256 = struct.pack("<32s16x", binary(self.oid))
        head = struct.pack("<32sIIQ", bytes(32), self.flags, self.count, 0)
        return struct.pack("<32sQQ", tag, 2, 0) + head + term * self.times + sha256 + end + end


@dataclass
class Sender:
    """One upload of somebody to a Space."""

    url: str
    token: str

    @classmethod
    def to(cls, hub: Hub, space: str, who: str = "alice") -> Sender:
        told = hub.call("GET", f"/api/spaces/{space}/xet-write-token/main", who).json()
        return cls(told["casUrl"], told["accessToken"])

    def post(self, path: str, body: bytes = b"", **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.post(f"{self.url}{path}", data=body, headers=headers, timeout=60, **more)

    def xorb(self, body: bytes, name: str = NAME) -> requests.Response:
        return self.post(f"/v1/xorbs/default/{name}", body)

    def shard(self, shard: Shard | bytes) -> requests.Response:
        return self.post("/v1/shards", bytes(shard))


def shard_of(*contents: bytes) -> Shard:
    """All of a xorb that has these, as one file."""
    whole = b"".join(contents)
    return Shard(oid_of(whole), len(whole), end=len(contents))
