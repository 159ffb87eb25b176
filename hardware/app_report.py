"""An app's description of itself, checked: the launcher's report (`docker/base/launcher`) and Gradio's
`/config` (3.50 to 6.31). Both are hostile input. What is kept has the types, sizes and counts written here,
and nothing else is kept. No Django: plain values in, plain values out."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

REPORT_BYTES = 4 * 1024 * 1024
CONFIG_BYTES = 32 * 1024 * 1024
#: Of all functions in `/config`, and of a list in one of them.
FUNCTIONS_BYTES = 4 * 1024 * 1024
LIST_BYTES = 64 * 1024

MOST_FUNCTIONS = 5000
#: Nested ones too. Counted before they are decoded, which would block the whole process.
MOST_OBJECTS = 20 * MOST_FUNCTIONS
#: Ids from here on are the platform's own (`queueing.routes.MCP`).
ID_LIMIT = 1_000_000
#: Below a server's root; the paths that an app gives become URLs.
PATH = re.compile(r"(/[\w.~-]+)*")
_ASTRAY = re.compile(r"/\.{1,2}(/|\Z)|/__spaceport__(/|\Z)")
#: A path of the author's own: "METHOD /path/{part}/{rest:path}".
_OWN = re.compile(r"(\*|[A-Z]{1,20}) /[^\x00-\x1f\x7f]{0,200}")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{0,200}")

TOO_LARGE = "The app's /config is too large: it has more functions than can be kept."

Id = Annotated[int, Meta(ge=0, lt=ID_LIMIT)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Word = Annotated[str, Meta(max_length=40, pattern=r"^[\w.+ -]*\n?$")]
Text = Annotated[str, Meta(max_length=200)]
Place = Annotated[str, Meta(max_length=200)]
Flag = bool | None


class Unusable(Exception):
    """The app cannot be served as it describes itself; the message gives its owner the reason."""


class ReportedFunction(Struct):
    """One function and its limits, as the author wrote them."""

    id: Id
    api_name: str | bool | None = None
    batch: bool = False
    max_batch_size: Count = 4
    queue: bool = True
    concurrency_limit: Count | Text | None = "default"
    concurrency_id: Text | UnsetType | None = UNSET
    group: Text | UnsetType = (
        UNSET  # the group whose limit it shares, "" for none; older launchers report none
    )
    tool: Text = ""  # its name in the app's MCP server


class ReportedQueue(Struct, omit_defaults=True):
    """Arguments given to `queue()`."""

    concurrency_count: Count | UnsetType | None = UNSET
    max_size: Count | UnsetType | None = UNSET
    api_open: Flag | UnsetType = UNSET
    default_concurrency_limit: Count | Text | UnsetType | None = UNSET


class Report(Struct):
    """The launcher's report. `started`: whether the app's start-up work is done."""

    functions: Annotated[list[ReportedFunction], Meta(max_length=MOST_FUNCTIONS)] | UnsetType = UNSET
    gradio: Word = ""
    queue: ReportedQueue = msgspec.field(default_factory=ReportedQueue)
    max_threads: Count | None = None
    further: Annotated[dict[str, list[ReportedFunction]], Meta(max_length=50)] = {}
    guards: bool = False
    mounts: Annotated[list[Place], Meta(max_length=50)] = []
    own: Annotated[list[str], Meta(max_length=500)] = []
    root: bool = True
    started: bool = True
    gate: Count = 0  # 1: the app delays calls beyond their group's limit


class Types(Struct):
    """What kind of function it is."""

    generator: Flag = None


class Dependency(Struct):
    """One function in `/config`."""

    id: Id | UnsetType = UNSET
    api_name: str | bool | None = None
    queue: Flag = None
    batch: Flag = None
    max_batch_size: Count | None = None
    targets: Raw = Raw(b"[]")
    types: Types | None = None
    connection: Text | None = None
    trigger_after: Id | None = None
    cancels: Raw = Raw(b"[]")
    group: Text = ""  # of one that was made later


class Config(Struct):
    """`/config`, without what is only the page's."""

    dependencies: Raw | UnsetType = UNSET
    protocol: Word | None = None
    version: Word | None = None
    api_prefix: Place | None = None
    pages: Raw = Raw(b"null")


_report = msgspec.json.Decoder(Report)
_config = msgspec.json.Decoder(Config)
_dependencies = msgspec.json.Decoder(Annotated[list[Dependency], Meta(max_length=MOST_FUNCTIONS)])
_dependency = msgspec.json.Decoder(Dependency)
_targets = msgspec.json.Decoder(list[list[int | float | str | None] | int | float | str | None] | None)
_cancels = msgspec.json.Decoder(list[int] | None)
_pages = msgspec.json.Decoder(Annotated[list[list[str | bool | None]], Meta(max_length=1000)] | None)


def is_path(text: str) -> bool:
    """Whether this may be where an app lies: "" or "/a/b", without anything that could lead elsewhere."""
    return len(text) <= 200 and PATH.fullmatch(text) is not None and not _ASTRAY.search(text)


def report(raw: bytes) -> dict[str, Any]:
    """The launcher's report; empty where this is none: the app runs without the launcher.

    Raises:
        Unusable
    """
    found = _decoded(_report, raw, "report", "functions")
    if found is None:
        return {}
    for mount in found.mounts:
        if not is_path(mount):
            raise Unusable(f"The app lies at a path that cannot be served: {mount!r}.")
    kept: dict[str, Any] = msgspec.to_builtins(found)
    kept["own"] = [path for path in kept["own"] if _OWN.fullmatch(path)]
    for functions in (kept["functions"], *kept["further"].values()):
        for function in functions:
            function["api_name"] = _name(function["api_name"])
    return kept


def config(raw: bytes) -> dict[str, Any] | None:
    """The parts of a Gradio app's `/config` that the platform uses; None where this is none.

    Raises:
        Unusable
    """
    found = _decoded(_config, raw, "/config", "dependencies")
    if found is None:
        return None
    prefix = (found.api_prefix or "").rstrip("/")
    if not is_path(prefix):
        raise Unusable(f"The app's /config names an api_prefix that is no path: {prefix!r}.")
    functions = _list(_dependencies, found.dependencies, FUNCTIONS_BYTES)
    kept = {
        "protocol": found.protocol,
        "version": found.version,
        "api_prefix": prefix,
        "dependencies": [_function(index, function) for index, function in enumerate(functions)],
    }
    if (pages := _list(_pages, found.pages, LIST_BYTES)) is not None:
        kept["pages"] = [[page[0]] for page in pages if page and _is_page(page[0])]
    _check_sizes(kept["dependencies"])
    return kept


def function(raw: bytes) -> dict[str, Any] | None:
    """One function of a session, as `/config` describes it; None where this is none.

    Raises:
        Unusable
    """
    found = _strictly(_dependency, raw, "function")
    return None if found.id is UNSET else {**_function(0, found), "group": found.group}


def _function(index: int, dependency: Dependency) -> dict[str, Any]:
    targets = _list(_targets, dependency.targets, LIST_BYTES) or ()
    cancels = _list(_cancels, dependency.cancels, LIST_BYTES) or ()
    return {
        "id": index if dependency.id is UNSET else dependency.id,
        "api_name": _name(dependency.api_name),
        "queue": dependency.queue,
        "batch": dependency.batch,
        "max_batch_size": dependency.max_batch_size,
        "targets": [target[:2] for target in targets if isinstance(target, list) and len(target) > 1],
        "types": {"generator": bool(dependency.types and dependency.types.generator)},
        "connection": dependency.connection,
        "trigger_after": dependency.trigger_after,
        "cancels": [n for n in cancels if 0 <= n < ID_LIMIT],
    }


def _list(decoder: msgspec.json.Decoder[Any], raw: Raw, limit: int) -> Any:
    if len(raw) > limit or bytes(raw).count(b"{") > MOST_OBJECTS:
        raise Unusable(TOO_LARGE)
    return _strictly(decoder, bytes(raw), "/config")


def _check_sizes(functions: list[dict[str, Any]]) -> None:
    """Bound the sizes: every process that serves visitors keeps the functions, and reads them again each
    second."""
    if sum(len(f["cancels"]) + len(str(f["api_name"])) for f in functions) > 500_000:
        raise Unusable(TOO_LARGE)


def _is_page(name: Any) -> bool:
    return isinstance(name, str) and (not name or is_path(f"/{name}"))


def _name(value: Any) -> Any:
    """An API name that can be shown and compared; any other value counts as none."""
    return value if not isinstance(value, str) or _NAME.fullmatch(value) else None


def _decoded(decoder: msgspec.json.Decoder[Any], raw: bytes, what: str, field: str) -> Any:
    """The value; None for what has no such field, and so is something else."""
    if what == "report" and raw.count(b"{") > MOST_OBJECTS:
        raise Unusable("The app's report is too large.")
    try:
        found = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not _has(raw, field):
            return None
        found = _strictly(decoder, raw, what)
    return found if getattr(found, field) is not UNSET else None


def _strictly(decoder: msgspec.json.Decoder[Any], raw: bytes, what: str) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unusable(f"The app's {what} is not as Gradio writes it: {error}") from error


def _has(raw: bytes, field: str) -> bool:
    """Whether this is a JSON object with such a field; nothing else of it is decoded."""
    try:
        return getattr(_probes[field].decode(raw), field) is not UNSET
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


_probes: dict[str, msgspec.json.Decoder[Any]] = {
    field: msgspec.json.Decoder(msgspec.defstruct(f"With_{field}", [(field, Raw | UnsetType, UNSET)]))
    for field in ("functions", "dependencies")
}
