"""The findings of `manage.py up`, for the process that it becomes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`home`, `code`: folders, of the data and of the checkout. `socket`: number of the listening one, for so
    many `web_processes`. `proxy`: what runs in front of them, if anything.
    `login`: how to sign in; `user`: as which user. `examples`: whether they are to be pushed. `lacks`:
    whether something is missing that builds need. `embedded`: names of the servers that run here; `ours`:
    those of them that end with the platform. `began`: when, by the monotonic clock."""

    began: float
    home: str
    code: str
    url: str
    port: int
    socket: int
    web_processes: int
    proxy: list[str]
    login: str
    user: str
    examples: bool
    lacks: bool
    tiers: list[str]
    simulate: bool
    embedded: list[str]
    ours: list[str]

    def sent(self) -> int:
        """The number of an open file that has it. Not in a command line: a password may be in it."""
        ours, theirs = os.pipe()
        os.write(theirs, json.dumps(asdict(self)).encode())
        os.close(theirs)
        os.set_inheritable(ours, True)  # noqa: FBT003
        return ours

    @classmethod
    def read(cls, number: int) -> Plan:
        """The one that was sent."""
        with os.fdopen(number) as file:
            return cls(**json.load(file))
