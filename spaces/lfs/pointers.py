"""What a repository has in place of a large file: a pointer, in git-lfs's canonical form (its specification,
version 1). No Django: the check of a push reads them too."""

from __future__ import annotations

import re
from dataclasses import dataclass

BEGINNING = b"version https://git-lfs.github.com/spec/"
OID = re.compile(r"[0-9a-f]{64}")
_FORM = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,14})\n"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A large file: sha256 in hex, and bytes."""

    oid: str
    size: int

    @property
    def text(self) -> bytes:
        """As it stands in the repository."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.oid}\nsize {self.size}\n".encode()
        )


#: Bytes of a pointer; and of what begins like one, as far as git-lfs takes it for one.
SIZES = range(len(Pointer("0" * 64, 0).text), len(Pointer("0" * 64, 10**14).text) + 1)
ALIKE_SIZES = range(len(BEGINNING), 1024)


def parsed(content: bytes) -> Pointer | None:
    """The pointer that a file is; None for any other file."""
    found = _FORM.fullmatch(content)
    return Pointer(found[1].decode(), int(found[2])) if found is not None else None
