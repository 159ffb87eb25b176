"""The queue settings: their bounds, who decides them, and how a change reaches the next claim.

The owner's choice wins over what the app's code asks for, which wins over Gradio's old defaults
(`Blocks.queue` of 3.x, whose names the first six are)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from queueing.connections import sync_redis
from queueing.keys import SpaceKeys
from queueing.models import QueueSettings
from queueing.scripts import Script

_reorder = Script("reorder")


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
    policy: str = "fifo"
    page_weight: int = 2
    max_per_visitor: int | None = None
    retry: bool = True
    cancel_on_disconnect: bool = False


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting: its kind, its bounds, and the guide's advice in one line."""

    name: str
    kind: str  # "int", "int or none", "bool", "choice"
    advice: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()


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
    Field(
        name="policy",
        kind="choice",
        choices=("fifo", "fair"),
        advice="Who is next: fifo serves in order of arrival; fair lets visitors take turns, so that fifty "
        "requests of one do not stand before another's first. Choose fair where programs call the Space.",
    ),
    Field(
        name="page_weight",
        kind="int",
        low=1,
        high=10,
        advice="Under fair: how many events of a visitor on the page are served for one of a program's when "
        "both wait. 1 treats them alike.",
    ),
    Field(
        name="max_per_visitor",
        kind="int or none",
        low=1,
        high=100_000,
        advice="How many events one visitor may have waiting; empty is no limit. Where max_size is set, keep "
        "this well below it, or one program can fill the queue for everybody.",
    ),
    Field(
        name="retry",
        kind="bool",
        advice="Runs an event again when its worker or container went away under it. Turn it off for "
        "functions that must not run twice: the visitor is then told that it was interrupted.",
    ),
    Field(
        name="cancel_on_disconnect",
        kind="bool",
        advice="Ends a running call within seconds when its visitor closes the page or hangs up: generators "
        "and async functions stop, a plain function cannot be stopped and runs to its end. Off, the result "
        "is kept for who comes back, and only a generator is stopped, after a minute.",
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
    client = sync_redis()
    pipe = client.pipeline()
    pipe.hset(k.cfg, mapping=values)
    client.register_script(_reorder.source)(
        keys=_reorder.in_order(
            cfg=k.cfg,
            wait_main=k.wait("main"),
            shares_main=k.shares("main"),
            wait_side=k.wait("side"),
            shares_side=k.shares("side"),
        ),
        args=[k.prefix],
        client=pipe,
    )
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


def _redis_value(value: bool | int | str | None) -> str:
    if isinstance(value, str):
        return value
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
