"""The queue settings, each declared once. The form, the API's schema and the documents are made of this."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

MOST_CALLS = 1000  # of one group at once
MOST_WAITING = 100_000
#: Before the name of a group of functions, where its number stands among settings.
GROUP = "group:"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting. `type` is that of its values, `kind` the same in a word: "int", "int or none" (none: no
    limit), "bool" or "choice". Whole numbers go from `low` to `high`.

    `gradio`: the arguments in an app's code that give its first value, as `<function>.<argument>`; `event` is
    any event listener."""

    name: str
    type: Any
    default: Any
    title: str
    help: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    gradio: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The type in a word."""
        return {bool: "bool", str: "choice", int: "int"}.get(self.type, "int or none")


def setting(default: T, **declared: Any) -> T:
    """Declare a setting as a dataclass field; `declared` as in `Field`."""
    field: T = dataclasses.field(default=default, metadata=declared)
    return field


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings in force."""

    concurrency_count: int | None = setting(
        1,
        title="Calls at once",
        help="How many calls of one function, or of functions that share a limit, run at once if neither "
        "the code nor you give a number for it. Raise it while memory and cores (or the GPU) allow.",
        low=1,
        high=MOST_CALLS,
        gradio=("queue.concurrency_count", "queue.default_concurrency_limit"),
    )
    max_running: int | None = setting(
        None,
        title="Calls at once, in total",
        help="How many calls of all functions together run at once; without it, only each function's limit "
        "holds. Set it if memory holds only so many. Functions then take turns.",
        low=1,
        high=MOST_CALLS,
    )
    max_size: int | None = setting(
        None,
        title="Queue size",
        help="How many events may wait. With a limit, the next visitor learns at once that the queue is "
        "full, instead of waiting for minutes.",
        low=1,
        high=MOST_WAITING,
        gradio=("queue.max_size",),
    )
    batch: bool = setting(
        default=False,
        title="Batching",
        help="Hands several waiting inputs to the function in one call. Only functions written for it "
        "(batch=True in the code) are batched; models on a GPU gain most.",
        gradio=("event.batch",),
    )
    max_batch_size: int = setting(
        4,
        title="Largest batch",
        help="The most inputs in one batch: as many as fit into memory. A short queue makes smaller "
        "batches; nobody waits for a batch to fill.",
        low=1,
        high=1024,
        gradio=("event.max_batch_size",),
    )
    api_open: bool = setting(
        default=True,
        title="API open",
        help="Whether programs (gradio_client, curl) may use the Space. If off, only its page works, so "
        "scripts cannot fill the queue.",
        gradio=("queue.api_open",),
    )
    max_threads: int = setting(
        40,
        title="Threads",
        help="The most calls of any kind at once in the container, page-load events included. Takes full "
        "effect at the next start of the container.",
        low=1,
        high=1000,
        gradio=("launch.max_threads",),
    )
    policy: str = setting(
        "fifo",
        title="Order",
        help="Who is next: fifo goes by arrival; with fair, visitors take turns, so fifty requests of one "
        "do not stand before another's first. Choose fair if programs call the Space.",
        choices=("fifo", "fair"),
    )
    page_weight: int = setting(
        2,
        title="Page weight",
        help="Under fair: how many events of a visitor on the page start for one of a program when both "
        "wait. 1 treats them alike.",
        low=1,
        high=10,
    )
    max_per_visitor: int | None = setting(
        None,
        title="Limit per visitor",
        help="How many events one visitor may have waiting. If you set max_size, keep this well below it, or "
        "one program can fill the queue for everybody.",
        low=1,
        high=MOST_WAITING,
    )
    retry: bool = setting(
        default=True,
        title="Retry after an interruption",
        help="Runs an event again if its worker or container dies. Turn it off for functions that must not "
        "run twice: their events then fail with a message about the interruption.",
    )
    step_down: bool = setting(
        default=True,
        title="Fewer at once after running out of memory",
        help="If several calls at once run out of memory three times in ten minutes, half as many run at "
        "once, and step by step more again while that holds. Saving a number of calls at once ends it.",
    )
    cancel_on_disconnect: bool = setting(
        default=False,
        title="Cancel on disconnect",
        help="Ends a running call within seconds when its visitor disconnects: generators and async "
        "functions stop; a plain function cannot be stopped and runs to its end. If off, the result is kept "
        "for a visitor who returns, and only a generator stops, after a minute.",
    )


_TYPES = get_type_hints(Settings)
FIELDS = tuple(
    Field(name=one.name, type=_TYPES[one.name], default=one.default, **one.metadata)
    for one in dataclasses.fields(Settings)
)
BY_NAME = {field.name: field for field in FIELDS}
