"""The table of Redis keys. The function that makes a key declares it: its type, its owner (the part that
writes it) and its life time. The documents and the tests' search for leaks are made of the table."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

F = TypeVar("F", bound=Callable[..., str])

#: How long a key lives. "stays": with its Space or the platform; "work": until what waits or runs has ended;
#: "expires": it has a time to live; "channel": it is published to, never stored.
Life = Literal["stays", "work", "expires", "channel"]


@dataclass(frozen=True)
class Key:
    """One declared kind of key."""

    make: Callable[..., str]
    type: str
    owner: str
    life: Life

    def pattern(self, placeholder: str = "<{}>") -> str:
        """The key, with a placeholder for each argument of its function."""
        arguments: list[Any] = []
        for name in inspect.signature(self.make).parameters:
            if name == "self":
                cls = getattr(sys.modules[self.make.__module__], self.make.__qualname__.split(".")[0])
                arguments.append(cls(placeholder.format("space")))
            else:
                arguments.append(placeholder.format(name.replace("_", " ")))
        return self.make(*arguments)


#: All of them, in the order of their declaration.
TABLE: list[Key] = []


def key(type: str, *, owner: str, life: Life) -> Callable[[F], F]:  # noqa: A002
    """Declare the key that the function makes."""

    def declare(make: F) -> F:
        TABLE.append(Key(make, type, owner, life))
        return make

    return declare
