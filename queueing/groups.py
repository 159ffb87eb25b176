"""Groups of functions, as Gradio 4 and newer have them: one for each `concurrency_id`, else one for each
function. A group's calls share a limit and a line; groups run beside each other. The launcher names them in
its report, which is the app's word: names and their number are bounded here.

Gradio's guide: the members of a `concurrency_id` share the lowest number that one of them gives. (Gradio
itself also counts the default of a member that gives none.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import structs

from queueing.lines import MAIN
from queueing.routes import RENDERED, App, Function
from queueing.setting_fields import MOST_CALLS

MOST_GROUPS = 500
MOST_NAME = 100
MOST_FUNCTIONS = 20  # of one group, named to its owner

#: Calls at once as code gives them: a number, None for no limit, or the default for code that gives none.
Limit = int | None | Literal["default"]


@dataclass(frozen=True, slots=True)
class Group:
    """One group as declared in the app's code; `functions` by the names that people know."""

    name: str
    limit: Limit
    functions: tuple[str, ...]


def with_groups(app: App, report: Mapping[str, Any]) -> App:
    """The app, each function with its group and lane as the launcher's report has them. Without a report each
    function is a group; with one of a launcher older than groups, or of Gradio 3, all are one."""
    if app.release < (4, 0) and not report:
        return app
    reported = _reported(report)
    if reported is None:
        functions = tuple(structs.replace(one, group=_own_group(app, one)) for one in app.functions)
        return structs.replace(app, functions=functions)
    names = _Names()
    functions = tuple(_named(app, function, reported.get(function.id), names) for function in app.functions)
    grouped = any("group" in one for one in reported.values())
    return structs.replace(app, functions=functions, gate=bool(report.get("gate")), grouped=grouped)


def in_code(report: Mapping[str, Any]) -> list[Group]:
    """The groups that a report names, with the limits that the app's code gives them."""
    names = _Names()
    members: dict[str, list[Mapping[str, Any]]] = {}
    further = report.get("further")
    apps = [report.get("functions"), *(further.values() if isinstance(further, dict) else ())]
    for reported in [
        one for functions in apps for one in (_reported({"functions": functions}) or {}).values()
    ]:
        if name := names.take(reported.get("group")):
            members.setdefault(name, []).append(reported)
    return [
        Group(
            name,
            _lowest([_limit(reported) for reported in found]),
            _people_call([_called(one) for one in found]),
        )
        for name, found in members.items()
        if name != RENDERED
    ]


def of_app(app: App) -> list[Group]:
    """The groups of an app whose code sets no limits."""
    members: dict[str, list[str]] = {}
    for function in app.every().values():
        if function.group and function.group != RENDERED:
            members.setdefault(function.group, []).append(own_name(function))
    return [Group(name, "default", _people_call(found)) for name, found in members.items()]


class _Names:
    """The groups' names so far; beyond MOST_GROUPS functions share the group of functions made later, which
    the app limits by itself."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def take(self, name: object) -> str:
        if not isinstance(name, str) or not name:
            return ""
        name = "".join(c for c in name[:MOST_NAME] if c.isprintable()) or RENDERED
        if name not in self._known and len(self._known) >= MOST_GROUPS:
            return RENDERED
        self._known.add(name)
        return name


def _reported(report: Mapping[str, Any]) -> dict[int, Mapping[str, Any]] | None:
    functions = report.get("functions")
    if not isinstance(functions, list):
        return None
    return {
        one["id"]: one
        for one in functions
        if isinstance(one, dict) and isinstance(one.get("id"), int) and not isinstance(one["id"], bool)
    }


def own_name(function: Function) -> str:
    """What a function's own group is called."""
    return f"/{function.api_name}"[:MOST_NAME] if function.api_name else f"#{function.id}"


def _own_group(app: App, function: Function) -> str:
    """The same among those of several apps, as the launcher has it (`groups.below`)."""
    return (f"{app.mount} {own_name(function)}" if app.number else own_name(function))[:MOST_NAME]


def _named(app: App, function: Function, reported: Mapping[str, Any] | None, names: _Names) -> Function:
    if reported is None or "group" not in reported or (reported.get("api_name") or "") != function.api_name:
        return function
    group, lane, tool = reported["group"], function.lane, reported.get("tool")
    if lane != MAIN and group and function.queue:
        # It fires by itself, but shares the limit that its code names.
        lane = MAIN
    return structs.replace(
        function,
        group=names.take(group if lane == MAIN else _own_group(app, function)),
        lane=lane,
        tool=tool[:MOST_NAME] if isinstance(tool, str) else "",
    )


def _limit(reported: Mapping[str, Any]) -> Limit:
    value = reported.get("concurrency_limit", "default")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return "default"
    return min(value, MOST_CALLS)


def _lowest(limits: list[Limit]) -> Limit:
    numbers = [limit for limit in limits if isinstance(limit, int)]
    if numbers:
        return min(numbers)
    return None if None in limits else "default"


def _called(reported: Mapping[str, Any]) -> str:
    name = reported.get("api_name")
    return f"/{name}"[:MOST_NAME] if isinstance(name, str) and name else f"#{reported['id']}"


def _people_call(functions: list[str]) -> tuple[str, ...]:
    """The first of them."""
    return tuple(functions[:MOST_FUNCTIONS])
