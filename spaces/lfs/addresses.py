"""Addresses that carry their own permission: a client that sends or fetches a large file needs no token
there. They are signed, end, and are kept out of the logs (`spaceport.redaction`)."""

from __future__ import annotations

import time
from typing import Any, Literal, cast

import msgspec
from django.core import signing

PREFIX = "/_lfs/"
UPLOAD_S = 24 * 3600
DOWNLOAD_S = 6 * 3600
_SALT = "spaces.lfs"

#: To send it whole; to send a part; to complete the parts; to check whether it is there; to fetch it.
Kind = Literal["put", "part", "complete", "verify", "get"]


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """The permission that an address carries: this object of this Space. `part` counts from 1, `part_bytes`
    is the length of all but the last; `until` in Unix seconds."""

    kind: Kind
    space_id: int
    oid: str
    size: int
    until: int
    part: int = 0
    part_bytes: int = 0

    @property
    def most_bytes(self) -> int:
        """The largest body it takes."""
        if self.kind == "put":
            return self.size
        return self.part_bytes if self.kind == "part" else 0


class NotGood(ValueError):
    """An address that was altered, or has ended."""


def grant(kind: Kind, space_id: int, oid: str, size: int, *, part: int = 0, part_bytes: int = 0) -> Grant:
    """A grant from now on."""
    lasts_s = DOWNLOAD_S if kind == "get" else UPLOAD_S
    return Grant(kind, space_id, oid, size, int(time.time()) + lasts_s, part, part_bytes)


def address(given: Grant) -> str:
    """Its path on the platform's host."""
    values = cast("list[Any]", msgspec.to_builtins(given))
    return PREFIX + signing.Signer(salt=_SALT).sign_object(values)


def read(path: str) -> Grant:
    """What the address at this path is good for.

    Raises:
        NotGood
    """
    try:
        values = signing.Signer(salt=_SALT).unsign_object(path.removeprefix(PREFIX))
        given = msgspec.convert(values, Grant)
    except (signing.BadSignature, msgspec.ValidationError, ValueError) as error:
        raise NotGood("This address is not one that was given here.") from error
    if given.until < time.time():
        raise NotGood("This address has ended; ask for a new one.")
    return given


def largest_body(path: str) -> int:
    """How many bytes may be sent to this path; 0 where it is no good."""
    try:
        return read(path).most_bytes
    except NotGood:
        return 0
