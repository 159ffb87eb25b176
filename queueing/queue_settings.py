"""The queue settings of a Space: which value wins, and how a change reaches the next claim.

The owner's choice wins over the app's code, which wins over the default
(`queueing.setting_fields`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction

from infra.redis_clients import sync_redis
from queueing.groups import Group, Limit, of_app
from queueing.lines import MAIN, line_of
from queueing.models import QueueSettings
from queueing.routes import RENDERED, decode
from queueing.setting_fields import BY_NAME, MOST_CALLS, Settings
from queueing.store.keys import SpaceKeys
from queueing.store.scripts import Script

_reorder = Script("reorder")

#: The settings that limit how many calls run at once.
AT_ONCE = {"concurrency_count", "max_running", "max_threads", "groups", "step_down"}
DEFAULT = "default"  # of a group's number: the code's again, or concurrency_count


class BadSetting(ValueError):
    """A value out of bounds; `name` is the setting's, the message names the bounds."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, kw_only=True)
class GroupLimit:
    """One group's limit in force. `source`: where it comes from, "owner", "code" or "default"."""

    group: str
    functions: tuple[str, ...]
    limit: int | None
    source: str
    without: Limit  # in force where the owner sets none


def effective(space_id: int) -> Settings:
    """The settings in force for this Space."""
    return _effective(_row(space_id))


def change(space_id: int, values: dict[str, Any]) -> Settings:
    """Set some of the settings; acts on the next join and claim.

    Raises:
        BadSetting: nothing was changed.
    """
    with transaction.atomic():
        row, _ = QueueSettings.objects.select_for_update().get_or_create(space_id=space_id)
        row.chosen = _chosen(row, values)
        if values.keys() & AT_ONCE:
            row.stepped = {}  # the owner has the last word
        row.save()
        _publish(row)
    return _effective(row)


def proposed(space_id: int, values: dict[str, Any]) -> tuple[Settings, list[GroupLimit]]:
    """What would be in force after `change`, which is not made.

    Raises:
        BadSetting
    """
    row = _row(space_id)
    row.chosen = _chosen(row, values)
    return _effective(row), _group_limits(row)


def _chosen(row: QueueSettings, values: dict[str, Any]) -> dict[str, Any]:
    """The owner's settings with these changed."""
    cleaned = {name: clean(name, value) for name, value in values.items() if name != "groups"}
    own = _with_numbers(row, values.get("groups", {}))
    return {**row.chosen, **cleaned, **({"groups": own} if own or "groups" in row.chosen else {})}


def _row(space_id: int) -> QueueSettings:
    return QueueSettings.objects.filter(space_id=space_id).first() or QueueSettings(space_id=space_id)


def step(space_id: int, stepped: dict[str, Any], *, before: dict[str, Any]) -> None:
    """Lower or raise what runs at once, by itself; acts on the next claim. Nothing is done where it is not
    `before` any more. Both are `queueing.stats.memory_steps.Step`, or empty."""
    with transaction.atomic():
        row = QueueSettings.objects.select_for_update().filter(space_id=space_id, stepped=before).first()
        if row is not None:
            row.stepped = stepped
            row.save(update_fields=["stepped", "updated_at"])
            _publish(row)


def most_at_once(row: QueueSettings) -> int:
    """The most calls at once that the owner's settings and the code allow."""
    settings = _effective(row)
    most = settings.max_threads
    limits = [most if group.limit is None else group.limit for group in groups(row.space_id)]
    return min(most, settings.max_running or most, sum(limits) or settings.concurrency_count or most)


def groups(space_id: int) -> list[GroupLimit]:
    """The groups of the app's functions, and how many calls of each may run at once."""
    return _group_limits(_row(space_id))


def _group_limits(row: QueueSettings) -> list[GroupLimit]:
    each, own = _effective(row).concurrency_count, row.chosen.get("groups", {})
    found = []
    for group in _groups(row):
        if group.name in own:
            limit, source = own[group.name], "owner"
        elif isinstance(group.limit, str):
            limit, source = each, "default"
        else:
            limit, source = group.limit, "code"
        found.append(
            GroupLimit(
                group=group.name,
                functions=group.functions,
                limit=limit,
                source=source,
                without=group.limit,
            )
        )
    return found


def _groups(row: QueueSettings) -> list[Group]:
    """The groups in the app's code; without the launcher's report, those of its config."""
    if "groups" in row.found:
        return _in_code(row)
    raw = sync_redis().get(SpaceKeys(row.space_id).route)
    return of_app(decode(raw).app) if raw is not None else []


def _in_code(row: QueueSettings) -> list[Group]:
    return [Group(one["name"], one["limit"], tuple(one["functions"])) for one in row.found.get("groups", ())]


def _with_numbers(row: QueueSettings, numbers: Any) -> dict[str, int | None]:
    """The owner's numbers by group, with these changed."""
    if not isinstance(numbers, dict):
        raise BadSetting("groups", "groups is an object: a number for each group, null for no limit.")
    own: dict[str, int | None] = dict(row.chosen.get("groups", {}))
    known = {group.name for group in _groups(row)} if numbers else set()
    for name, value in numbers.items():
        if name not in known | own.keys():
            there = ", ".join(sorted(known)) or "none"
            raise BadSetting("groups", f"groups has no '{name[:100]}'. There are: {there}.")
        if value == DEFAULT:
            own.pop(name, None)
        else:
            own[name] = clean_number(name, value)
    return own


def clean_number(group: str, value: Any) -> int | None:
    """A group's number of calls at once, if it may have it.

    Raises:
        BadSetting
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_CALLS:
        allowed = f"a whole number from 1 to {MOST_CALLS:,}, none for no limit, or '{DEFAULT}'"
        raise BadSetting("groups", f"The limit of {group} in groups is {allowed}.")
    return value


def found_in_code(space_id: int, found: dict[str, Any]) -> Settings:
    """Take the values in the app's code as the settings' first values; those out of bounds are ignored.
    `groups`: of its functions; `gate`: whether its launcher limits calls itself."""
    cleaned: dict[str, Any] = {"gate": bool(found.get("gate"))}
    if (groups := found.get("groups")) is not None:
        cleaned["groups"] = [asdict(group) for group in groups]
    for name, value in found.items():
        if name in ("groups", "gate"):
            continue
        try:
            cleaned[name] = clean(name, value)
        except BadSetting:
            continue
    row, _ = QueueSettings.objects.update_or_create(space_id=space_id, defaults={"found": cleaned})
    _publish(row)
    return _effective(row)


def _publish(row: QueueSettings) -> None:
    settings, limits = _effective(row), _limits(row)
    if settings.step_down and (stepped := row.stepped.get("limit")) is not None:
        settings = replace(settings, max_running=min(stepped, settings.max_running or stepped))
    if row.found.get("gate"):
        # The app holds functions made later to their own limits; but an event that waits for that occupies
        # a thread, and half of those are for others.
        limits[line_of(MAIN, RENDERED)] = max(settings.max_threads // 2, 1)
    publish(row.space_id, settings, limits)


def _limits(row: QueueSettings) -> dict[str, int | None]:
    """The lines that have a number of their own."""
    code = {group.name: group.limit for group in _in_code(row)}
    own: dict[str, int | None] = {name: n for name, n in code.items() if n is None or isinstance(n, int)}
    own |= row.chosen.get("groups", {})
    return {line_of(MAIN, name): limit for name, limit in own.items()}


def publish(space_id: int, settings: Settings, limits: Mapping[str, int | None] | None = None) -> None:
    """Write the settings, and the lines' own limits, to where the scripts read them, and wake the dispatcher
    to apply them."""
    k = SpaceKeys(space_id)
    values = {name: _redis_value(value) for name, value in asdict(settings).items()}
    client = sync_redis()
    pipe = client.pipeline()
    pipe.hset(k.cfg, mapping=values)
    pipe.delete(k.limits)
    if limits:
        pipe.hset(k.limits, mapping={name: "none" if n is None else str(n) for name, n in limits.items()})
    client.register_script(_reorder.source)(
        keys=_reorder.in_order(cfg=k.cfg, lines=k.lines, fence=k.fence),
        args=[k.prefix],
        client=pipe,
    )
    pipe.publish(k.wake, "settings")
    pipe.execute()


def refuse(space_id: int, reason: str) -> None:
    """Accept no new events; their senders get `reason`. "" accepts them again."""
    sync_redis().hset(SpaceKeys(space_id).cfg, "refuse", reason)


def _effective(row: QueueSettings) -> Settings:
    values: dict[str, Any] = {**row.found, **row.chosen}
    settings = Settings(**{k: v for k, v in values.items() if k in BY_NAME})
    # Threads bound every call: fewer than one group's number would silently lower it.
    numbers = [number for number in _limits(row).values() if number is not None]
    threads = max(settings.max_threads, settings.concurrency_count or 0, *numbers)
    return Settings(**{**asdict(settings), "max_threads": threads})


def _redis_value(value: bool | int | str | None) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else str(int(value))


def clean(name: str, value: Any) -> Any:
    """The value, if this setting may have it.

    Raises:
        BadSetting
    """
    field = BY_NAME.get(name)
    if field is None:
        raise BadSetting(name, f"There is no queue setting '{name}'. There are: {', '.join(BY_NAME)}.")
    if field.kind == "bool":
        if not isinstance(value, bool):
            raise BadSetting(name, f"{name} is true or false.")
        return value
    if field.kind == "choice":
        if value not in field.choices:
            raise BadSetting(name, f"{name} is {' or '.join(field.choices)}.")
        return value
    if value is None and field.kind == "int or none":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not field.low <= value <= field.high:
        none = ", or none for no limit" if field.kind == "int or none" else ""
        raise BadSetting(name, f"{name} is a whole number from {field.low} to {field.high:,}{none}.")
    return value
