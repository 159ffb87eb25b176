"""One upload by Xet: its address, the token that goes with it, and its xorbs on disk.

A client remembers by the address which pieces are stored there, and does not send them again for weeks. We
keep none, so each upload has an address of its own."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec
from django.core import signing

from spaces.lfs import store
from spaces.lfs.addresses import UPLOAD_S, NotGood

PREFIX = "/_xet/"
TOKEN_S = 3600  # the client renews it in time
#: Of a xorb: 64 MiB in 8,192 pieces, their heads of 8 bytes, and a footer that we need not.
XORB_BYTES = 64 * 1024 * 1024 + 8 * 8192 + 1024 * 1024
SHARD_BYTES = 96 * 1024 * 1024  # clients cut them at 64 MiB
T = TypeVar("T")
_NAME = re.compile(r"[0-9a-f]{64}")


class Session(msgspec.Struct, frozen=True, array_like=True):
    """An upload to one Space; `until` in Unix seconds."""

    space_id: int
    number: str
    until: int

    def path_of(self, xorb: str) -> Path:
        """Where this xorb lies, once it came.

        Raises:
            store.Refused: an xorb cannot have this name.
        """
        if not _NAME.fullmatch(xorb):
            raise store.Refused(400, "A xorb is named by 64 lower-case hexadecimal digits.")
        return store.spool() / f"{self._prefix}{xorb}"

    def xorbs(self) -> set[str]:
        """Names of those that came."""
        return {path.name.removeprefix(self._prefix) for path in store.spool().glob(f"{self._prefix}*")}

    def forget(self) -> None:
        """Remove them."""
        for path in store.spool().glob(f"{self._prefix}*"):
            path.unlink(missing_ok=True)

    @property
    def _prefix(self) -> str:
        return f"{self.space_id}-xet-{self.number}-"


class _Token(msgspec.Struct, frozen=True, array_like=True):
    space_id: int
    until: int


def begin(space_id: int) -> Session:
    """A new upload to this Space."""
    return Session(space_id, secrets.token_hex(16), int(time.time()) + UPLOAD_S)


def address(session: Session) -> str:
    """Its path on the platform's host; a client puts the protocol's own paths behind it."""
    return PREFIX + _signed("address", session)


def token(space_id: int) -> tuple[str, int]:
    """The token that a client sends with each request, and when it expires, in Unix seconds."""
    until = int(time.time()) + TOKEN_S
    return _signed("token", _Token(space_id, until)), until


def read(path: str) -> tuple[Session, str]:
    """The upload that this path is of, and the protocol's own part of the path.

    Raises:
        NotGood
    """
    signed, _, rest = path.removeprefix(PREFIX).partition("/")
    session = _unsigned("address", signed, Session)
    if session.until < time.time():
        raise NotGood("This upload has ended; begin it again.")
    return session, rest


def largest_body(path: str) -> int:
    """How many bytes may be sent to this path; 0 where it is no good."""
    try:
        _, rest = read(path)
    except NotGood:
        return 0
    kind = rest.removeprefix("v1/").removeprefix("v2/").partition("/")[0]
    return {"xorbs": XORB_BYTES, "shards": SHARD_BYTES}.get(kind, 0)


def check_token(session: Session, authorization: str) -> None:
    """Check that this header permits sending to this upload.

    Raises:
        NotGood
    """
    scheme, _, signed = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotGood("Show the token that came with this address: Authorization: Bearer ….")
    given = _unsigned("token", signed.strip(), _Token)
    if given.space_id != session.space_id:
        raise NotGood("This token is for another Space.")
    if given.until < time.time():
        raise NotGood("This token has ended; ask for a new one.")


def _signed(purpose: Literal["address", "token"], value: msgspec.Struct) -> str:
    return signing.Signer(salt=f"spaces.xet.{purpose}").sign_object(
        cast("list[Any]", msgspec.to_builtins(value))
    )


def _unsigned(purpose: Literal["address", "token"], signed: str, kind: type[T]) -> T:
    try:
        return msgspec.convert(signing.Signer(salt=f"spaces.xet.{purpose}").unsign_object(signed), kind)
    except (signing.BadSignature, msgspec.ValidationError, ValueError) as error:
        raise NotGood(f"This {purpose} is not one that was given here.") from error
