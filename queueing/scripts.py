"""A `.lua` file as a Python call, by the names in its header.

Each file begins with comment lines; `-- KEYS: a b c` and `-- ARGV: x y` name what it takes, and the
loader turns them into locals on the first line, so that line numbers in errors stay true. `-- TIME: now`
gives the server's own time (Unix seconds with microseconds, as text): the clocks of machines never matter.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

#: Text, because a Lua number printed as an argument loses digits.
SERVER_TIME = 'local {} = string.format("%d.%06d", unpack(redis.call("TIME")))'

FOLDER = Path(__file__).parent / "lua"


class Script:
    """One Lua script. Calling it takes every key and argument by name; a missing one is a KeyError."""

    def __init__(self, name: str) -> None:
        text = (FOLDER / f"{name}.lua").read_text()
        self.name = name
        self.keys = self._names(text, "KEYS")
        self.argv = self._names(text, "ARGV")
        head = []
        if self.keys:
            head.append(f"local {', '.join(self.keys)} = unpack(KEYS)")
        if self.argv:
            head.append(f"local {', '.join(self.argv)} = unpack(ARGV)")
        head += [SERVER_TIME.format(name) for name in self._names(text, "TIME")]
        self.source = f"{' '.join(head)} {text}"
        self._registered: dict[int, Any] = {}

    @staticmethod
    def _names(text: str, kind: str) -> list[str]:
        names: list[str] = []
        for line in re.findall(rf"^-- {kind}:(.*)$", text, re.MULTILINE):
            names += line.split()
        return names

    async def __call__(self, redis: Redis, **values: Any) -> Any:
        """Run it (EVALSHA, loading it first where the server does not know it)."""
        script = self._registered.get(id(redis))
        if script is None:
            script = self._registered[id(redis)] = redis.register_script(self.source)
        unknown = values.keys() - {*self.keys, *self.argv}
        if unknown:
            raise TypeError(f"{self.name}.lua takes no {', '.join(sorted(unknown))}")
        return await script(
            keys=[values[name] for name in self.keys], args=[values[name] for name in self.argv]
        )


def seconds(server_time: tuple[int, int]) -> float:
    """The answer of Redis `TIME` as Unix seconds."""
    return server_time[0] + server_time[1] / 1_000_000
