"""A `.lua` file as a Python call, by the names in its header.

Each file begins with comment lines; `-- KEYS: a b c` and `-- ARGV: x y` name what it takes, and the
loader turns them into locals on the first line, so that line numbers in errors stay true. `-- and then:`
describes any number of further arguments; `rest` is the place in ARGV where they begin. `-- MAKES: wait`
defines `wait_of(line)`, the key `SpaceKeys.wait`, for lines that the script finds itself. `-- TIME: now`
gives the server's own time (Unix seconds with microseconds, as text): the clocks of machines never matter.
`-- USES: name` puts the functions of `lua/lib/name.lua` in front; `-- CONST: name`, a number of
`constants.py`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from queueing.store.constants import in_lua
from queueing.store.keys import maker_in_lua
from queueing.store.pipelining import auto_pipeline

if TYPE_CHECKING:
    from redis.asyncio import Redis

#: Text, because a Lua number printed as an argument loses digits.
SERVER_TIME = 'local {} = string.format("%d.%06d", unpack(redis.call("TIME")))'

FOLDER = Path(__file__).parent / "lua"
LIBRARY = FOLDER / "lib"  # Lua functions that several scripts share, by `-- USES: name`; they may take keys


class Script:
    """One Lua script. Calling it takes every key and argument by name; a missing one is a KeyError."""

    def __init__(self, name: str) -> None:
        text = (FOLDER / f"{name}.lua").read_text()
        self.name = name
        shared = [(LIBRARY / f"{used}.lua").read_text() for used in self._names(text, "USES")]
        self.keys = [key for part in (text, *shared) for key in self._names(part, "KEYS")]
        self.argv = self._names(text, "ARGV")
        head = []
        if self.keys:
            head.append(f"local {', '.join(self.keys)} = unpack(KEYS)")
        if self.argv:
            head.append(f"local {', '.join(self.argv)} = unpack(ARGV)")
        makes = [name for part in (text, *shared) for name in self._names(part, "MAKES")]
        head += [maker_in_lua(name) for name in dict.fromkeys(makes)]
        head += [SERVER_TIME.format(name) for name in self._names(text, "TIME")]
        constants = [name for part in (text, *shared) for name in self._names(part, "CONST")]
        head += [in_lua(name) for name in dict.fromkeys(constants)]
        head += [_on_one_line(part) for part in shared]
        if "-- and then:" in text:
            head.append(f"local rest = {len(self.argv) + 1}")
        self.source = f"{' '.join(head)} {text}"
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    @staticmethod
    def _names(text: str, kind: str) -> list[str]:
        names: list[str] = []
        for line in re.findall(rf"^-- {kind}:(.*)$", text, re.MULTILINE):
            names += line.split()
        return names

    def in_order(self, **keys: str) -> list[str]:
        """The keys by name as the list that the script takes; a missing one is a KeyError."""
        return [keys[name] for name in self.keys]

    async def __call__(self, redis: Redis, *rest: bytes, **values: Any) -> Any:
        """Run it (EVALSHA; loads it first where the server lacks it). `rest` follows the named
        arguments, for scripts that take any number of a thing."""
        keys, args = self._ordered(values)
        command = ("EVALSHA", self.sha, len(keys), *keys, *args, *rest)
        try:
            return await auto_pipeline(redis).execute(*command)
        except NoScriptError:
            await self.load(redis)
            return await auto_pipeline(redis).execute(*command)

    async def load(self, redis: Redis) -> None:
        """Load it into the server's cache."""
        await redis.script_load(self.source)

    async def then_wait(
        self, redis: Redis, replicas: int, timeout_ms: int, **values: Any
    ) -> tuple[Any, bool]:
        """Run it, and whether this many replicas had its writes in time (WAIT on the same connection)."""
        keys, args = self._ordered(values)
        while True:
            pipe = redis.pipeline(transaction=False)
            pipe.evalsha(self.sha, len(keys), *keys, *args)
            pipe.wait(replicas, timeout_ms)
            answer, seen = await pipe.execute(raise_on_error=False)
            if isinstance(answer, NoScriptError):
                await self.load(redis)
                continue
            for value in (answer, seen):
                if isinstance(value, Exception):
                    raise value
            return answer, seen >= replicas

    def _ordered(self, values: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        unknown = values.keys() - {*self.keys, *self.argv}
        if unknown:
            raise TypeError(f"{self.name}.lua takes no {', '.join(sorted(unknown))}")
        return [values[name] for name in self.keys], [values[name] for name in self.argv]


def seconds(server_time: tuple[int, int]) -> float:
    """The answer of Redis `TIME` as Unix seconds."""
    return server_time[0] + server_time[1] / 1_000_000


def _on_one_line(lua: str) -> str:
    """Without its comment lines."""
    return " ".join(line.strip() for line in lua.splitlines() if not line.startswith("--"))
