"""Groups of functions: those that share a limit of calls at once.

As in Gradio 4 and newer, a group is a `concurrency_id`, else one function object. But of functions with one
`concurrency_id` only the given numbers count, as in Gradio's guide, and of one function's events those that
give another limit are another group: so nobody waits longer than with Gradio alone. A group is called by its
id, else by its first function's `/api_name`, or `#<its number>`.
"""

from __future__ import annotations

import hashlib
from typing import Any

#: Triggers that fire by themselves (the platform's `queueing.protocols.gradio_config` has the same): their
#: functions have no group, unless their code names one.
BY_THEMSELVES = {"load", "tick", "unload"}
#: Attribute that keeps a function's own concurrency_limit; the report may be made more than once.
AUTHORS = "_spaceport_concurrency_limit"
MOST_NAME = 100
MOST_CALLS = 1000  # no more is reported: no app runs so many at once
DEFAULT = "default"  # as `slot_limiter` has it; that one needs asyncio, which an app may have to import first


def own_limit(function: Any) -> Any:
    """The function's own limit as its code gives it: a number, None for no limit, or "default"."""
    limit = getattr(function, AUTHORS, getattr(function, "concurrency_limit", DEFAULT))
    if limit is None or not isinstance(limit, int):
        return None if limit is None else DEFAULT
    return max(0, min(limit, MOST_CALLS))


def own_id(function: Any) -> str | None:
    """The `concurrency_id` that its code names, if any."""
    given = getattr(function, "concurrency_id", None)
    return None if given is None or str(given) == str(id(function.fn)) else str(given)


def below(mount: str, group: str) -> str:
    """What the platform calls a group of an app that lies at this mount, beside the Space's own ("")."""
    return f"{mount} {group}" if mount and group else group


class Groups:
    """The groups of the functions an app has when it starts; `names` has each one's, in their order."""

    def __init__(self, functions: list[Any], dependencies: Any = None) -> None:
        """`dependencies`: where older Gradio 4 keeps what is not with its functions."""
        self._names: dict[Any, str] = {}
        self._limits: dict[str, Any] = {}
        self.names: list[str] = []
        for index, function in enumerate(functions):
            known = isinstance(dependencies, list) and index < len(dependencies)
            about = dependencies[index] if known else {}
            key = _key(function, about)
            if key is not None and key not in self._names:
                self._names[key] = self._new_name(function, index, about)
            name = "" if key is None else self._names[key]
            if name:
                self._limits[name] = _lower(self._limits.get(name, ""), own_limit(function))
            self.names.append(name)

    def name(self, function: Any) -> str:
        """The function's group; of one that was made later, and is none of those known, Gradio's own. "": it
        has none."""
        key = _key(function)
        if key is None:
            return ""
        return self._names.get(key) or f"~{getattr(function, 'concurrency_id', '')}"

    def limit(self, function: Any) -> Any:
        """The limit that the code gives the function's group."""
        return self._limits.get(self.name(function), own_limit(function))

    def _new_name(self, function: Any, index: int, about: dict[str, Any]) -> str:
        taken = set(self._names.values())
        given, number = own_id(function), f"#{getattr(function, '_id', index)}"
        api_name = getattr(function, "api_name", about.get("api_name"))
        if given is not None:
            name = f"={given}" if given[:1] in "/#~=" else given
        else:
            name = f"/{api_name}" if isinstance(api_name, str) and api_name else number
        if len(name) > MOST_NAME:
            name = f"{name[: MOST_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return name if name not in taken else number


def free(function: Any) -> None:
    """Let the platform alone limit a function it has in a group, or that Gradio would not limit either: its
    limit has been reported, and the owner may set a higher one."""
    if not hasattr(function, AUTHORS) and hasattr(function, "concurrency_limit"):
        setattr(function, AUTHORS, function.concurrency_limit)
        if _key(function) is not None or getattr(function, "queue", True) is False:
            function.concurrency_limit = None


def _key(function: Any, about: dict[str, Any] | None = None) -> Any:
    """The key that distinguishes a function's group from others; None for those without one."""
    about = about or {}
    queue = getattr(function, "queue", about.get("queue", True))
    if getattr(function, "concurrency_id", None) is None or queue is False:
        return None
    given = own_id(function)
    if given is not None:
        return ("id", given)
    targets = getattr(function, "targets", about.get("targets")) or []
    if targets and all(len(target) > 1 and target[1] in BY_THEMSELVES for target in targets):
        return None
    return ("function", id(function.fn), own_limit(function))


def _lower(one: Any, other: Any) -> Any:
    """The limit of two members together: the lowest number; else no limit, if one has none. "": no member
    yet."""
    numbers = [limit for limit in (one, other) if isinstance(limit, int)]
    if numbers:
        return min(numbers)
    return None if None in (one, other) else DEFAULT
