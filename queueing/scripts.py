"""A `.lua` file as a Python call, by the names in its header.

Each file begins with comment lines; `-- KEYS: a b c` and `-- ARGV: x y` name what it takes, and the
loader turns them into locals on the first line, so that line numbers in errors stay true.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

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
        head += [_on_one_line(part) for part in shared]
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


def _on_one_line(lua: str) -> str:
    """Without its comment lines."""
    return " ".join(line.strip() for line in lua.splitlines() if not line.startswith("--"))
