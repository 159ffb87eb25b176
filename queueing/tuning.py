"""The six queue settings: their bounds, who decides them, and how a change reaches the next claim.

The owner's choice wins over what the app's code asks for, which wins over Gradio's old defaults
(`Blocks.queue` of 3.x, whose names these are)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from queueing.connections import sync_redis
from queueing.keys import SpaceKeys
from queueing.models import QueueSettings


class BadSetting(ValueError):
    """A value out of bounds; `name` is the setting's, the message says what is allowed."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force."""

    concurrency_count: int = 1
    max_size: int | None = None
    batch: bool = False
    max_batch_size: int = 4
    api_open: bool = True
    max_threads: int = 40


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting: its kind, its bounds, and the guide's advice in one line."""

    name: str
    kind: str  # "int", "int or none", "bool"
    advice: str
    low: int = 0
    high: int = 0


FIELDS = (
    Field(
        name="concurrency_count",
        kind="int",
        low=1,
        high=1000,
        advice="Calls that run at once in the Space. Raise it while memory and cores (or the GPU) allow: "
        "each step up multiplies what one container serves.",
    ),
    Field(
        name="max_size",
        kind="int or none",
        low=1,
        high=100_000,
        advice="How many may wait; empty is no limit. With a limit, the next visitor is told at once "
        "that the queue is full, instead of waiting for minutes.",
    ),
    Field(
        name="batch",
        kind="bool",
        advice="Hands several waiting inputs to the function in one call. Only functions written for it "
        "(batch=True in the code) are batched; models on a GPU gain most.",
    ),
    Field(
        name="max_batch_size",
        kind="int",
        low=1,
        high=1024,
        advice="The most inputs in one batch. As many as fit into memory at once; a short queue makes "
        "smaller batches and nobody is kept waiting to fill one.",
    ),
    Field(
        name="api_open",
        kind="bool",
        advice="Whether programs (gradio_client, curl) may use the Space. Off, only its page is served, "
        "so scripts cannot fill the queue.",
    ),
    Field(
        name="max_threads",
        kind="int",
        low=1,
        high=1000,
        advice="The most calls of any kind at once in the container, page-load events included. Takes full "
        "effect at the next start of the container.",
    ),
)
_BY_NAME = {field.name: field for field in FIELDS}


def effective(space_id: int) -> Settings:
    """The settings in force for this Space."""
    row = QueueSettings.objects.filter(space_id=space_id).first()
    return _effective(row) if row is not None else Settings()


def change(space_id: int, values: dict[str, Any]) -> Settings:
    """Set some of the settings; acts on the next join and claim.

    Raises:
        BadSetting: nothing was changed.
    """
    cleaned = {name: clean(name, value) for name, value in values.items()}
    with transaction.atomic():
        row, _ = QueueSettings.objects.select_for_update().get_or_create(space_id=space_id)
        row.chosen = {**row.chosen, **cleaned}
        row.save()
        publish(space_id, _effective(row))
    return _effective(row)


def found_in_code(space_id: int, found: dict[str, Any]) -> Settings:
    """Take what the app's own code asks for as the settings' first values; what is out of bounds is left."""
    cleaned = {}
    for name, value in found.items():
        try:
            cleaned[name] = clean(name, value)
        except BadSetting:
            continue
    row, _ = QueueSettings.objects.update_or_create(space_id=space_id, defaults={"found": cleaned})
    settings = _effective(row)
    publish(space_id, settings)
    return settings


def publish(space_id: int, settings: Settings) -> None:
    """Write the settings to where the scripts read them, and wake the dispatcher to look."""
    k = SpaceKeys(space_id)
    values = {name: _redis_value(value) for name, value in asdict(settings).items()}
    pipe = sync_redis().pipeline()
    pipe.hset(k.cfg, mapping=values)
    pipe.publish(k.wake, "settings")
    pipe.execute()


def refuse(space_id: int, reason: str) -> None:
    """Take no new events, telling `reason`; "" takes them again."""
    sync_redis().hset(SpaceKeys(space_id).cfg, "refuse", reason)


def _effective(row: QueueSettings) -> Settings:
    values: dict[str, Any] = {**row.found, **row.chosen}
    settings = Settings(**{k: v for k, v in values.items() if k in _BY_NAME})
    # Threads bound every call: fewer than concurrency_count would silently lower it.
    threads = max(settings.max_threads, settings.concurrency_count)
    return Settings(**{**asdict(settings), "max_threads": threads})


def _redis_value(value: bool | int | None) -> str:
    return "" if value is None else str(int(value))


def clean(name: str, value: Any) -> Any:
    """The value, if this setting may have it.

    Raises:
        BadSetting
    """
    field = _BY_NAME.get(name)
    if field is None:
        raise BadSetting(name, f"There is no queue setting '{name}'. There are: {', '.join(_BY_NAME)}.")
    if field.kind == "bool":
        if not isinstance(value, bool):
            raise BadSetting(name, f"{name} is true or false.")
        return value
    if value is None and field.kind == "int or none":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not field.low <= value <= field.high:
        none = ", or none for no limit" if field.kind == "int or none" else ""
        raise BadSetting(name, f"{name} is a whole number from {field.low} to {field.high:,}{none}.")
    return value
