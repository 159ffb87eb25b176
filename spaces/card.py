"""A Space's card: the YAML front matter of its README, as the Hub's clients write it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from spaces.git import repository
from spaces.git.repository_paths import BadPath, check_path
from spaces.sdk import Sdk

if TYPE_CHECKING:
    from spaces.models import Space

MAX_BYTES = 16 * 1024
MAX_DEPTH = 20
README = "README.md"
DEFAULT_PORT = 7860
MAX_QUEUED_PATHS = 50
MAX_PATH_CHARS = 200
MOST_STARTUP_S = 24 * 3600
MAX_PRELOADED = 50
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,18})\s*([smhd]?)")
#: Words that mean nothing to a shell or a Dockerfile.
_PRELOAD = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?([ \t]+\w[\w./,+@=-]*){0,2}", re.ASCII)
#: The headers that `custom_headers` may set, as on the Hub, and their values.
CUSTOM_HEADERS = {
    "cross-origin-embedder-policy": {"unsafe-none", "require-corp", "credentialless"},
    "cross-origin-opener-policy": {"unsafe-none", "same-origin-allow-popups", "same-origin"},
    "cross-origin-resource-policy": {"same-site", "same-origin", "cross-origin"},
}
RESERVED_PATHS = ("/_queue/", "/_ui/", "/__spaceport__/")
#: Segments of visible characters that mean nothing else in an address; the last one may be "*" for all below.
_SEGMENT = r"(?!\.{1,2}(?:/|$))[\w\-.~!$&'()+,=:@]+"
_HEALTH_PATH = re.compile(rf"/|(?:/{_SEGMENT})+/?", re.ASCII)
_QUEUED_PATH = re.compile(rf"/|(?:/{_SEGMENT})+/?|(?:/{_SEGMENT})*/\*")


class CardError(ValueError):
    """The front matter cannot be used; the message names the line and the reason."""


@dataclass(frozen=True, kw_only=True)
class SpaceCard:
    """The parts of a card that Spaceport uses; `raw` keeps every key as it was written."""

    raw: dict[str, Any] = field(default_factory=dict)
    sdk: str = ""
    app_file: str = ""
    app_port: int = DEFAULT_PORT
    python_version: str = ""
    sdk_version: str = ""
    title: str = ""
    emoji: str = ""
    short_description: str = ""
    #: Seconds that its start may take; 0: as many as the platform gives.
    startup_s: int = 0
    #: Of the Hub, to be in the image: "repository [file,file] [revision]".
    preload: tuple[str, ...] = ()
    queued_paths: tuple[str, ...] = ()
    #: Of a Docker Space: it is ready once this path answers with success; "": once its port is open.
    health_path: str = ""


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (236 bytes of them can make megabytes), versions kept as text."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not used here", problem_mark=mark)
        # The scanner's time grows with the square of the depth.
        if self.depth == MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels", problem_mark=mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


# `python_version: 3.10` is a number to YAML, and would be read as 3.1.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_card(space: Space, commit: str = "") -> SpaceCard:
    """The card of this commit of the Space, default its head; an empty one where there is no README.

    Raises:
        CardError
    """
    text = repository.read_blob(space.pk, commit or repository.head(space), README)
    card = parse(text.decode("utf-8", "replace")) if text is not None else SpaceCard()
    if card.app_file:
        return card
    default = {Sdk.STATIC: "index.html", Sdk.DOCKER: ""}.get(Sdk(card.sdk or space.sdk), "app.py")
    return SpaceCard(
        **{**{name: getattr(card, name) for name in card.__dataclass_fields__}, "app_file": default}
    )


def parse(text: str) -> SpaceCard:
    """The card in a README's text.

    Raises:
        CardError: naming the line of the README and what to write instead.
    """
    raw = front_matter(text)
    sdk = _text(raw, "sdk")
    if sdk and sdk not in Sdk.values:
        raise CardError(_at(text, "sdk", f"sdk is '{sdk}', but can be {', '.join(Sdk.values)}"))
    _check_path(text, "app_file", _text(raw, "app_file"))
    _check_headers(text, raw)
    _check_path(text, "base_path", _text(raw, "base_path").lstrip("/"))
    return SpaceCard(
        raw=raw,
        sdk=sdk,
        app_file=_text(raw, "app_file"),
        app_port=_port(text, raw),
        python_version=_text(raw, "python_version"),
        sdk_version=_text(raw, "sdk_version"),
        title=_text(raw, "title")[:200],
        emoji=_text(raw, "emoji")[:16],
        short_description=_text(raw, "short_description")[:300],
        startup_s=_startup(text, raw),
        preload=_preload(text, raw),
        queued_paths=_queued_paths(text, raw),
        health_path=_health_path(text, raw),
    )


def front_matter(text: str) -> dict[str, Any]:
    """The mapping between the two `---` lines at the top; {} where there is none.

    Raises:
        CardError
    """
    if text.startswith("\ufffd\ufffd"):  # the byte order mark of UTF-16, read as UTF-8
        raise CardError(
            "README.md, line 1: the file is UTF-16, as PowerShell's `>` writes it. Save it as UTF-8."
        )
    lines = text.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}
    end = next((i for i, line in enumerate(lines[1:], 1) if line.strip() == "---"), None)
    if end is None:
        raise CardError("README.md, line 1: the front matter begins with '---' but no second '---' ends it.")
    source = "\n".join(lines[1:end])
    if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise CardError(f"README.md: the front matter may have at most {MAX_BYTES:,} bytes.")
    try:
        value = yaml.load(source, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + 2
        problem = error.problem or "this is no valid YAML"
        if "'\\t'" in problem:
            problem = "a tab stands where YAML wants spaces"
        raise CardError(f"README.md, line {line}: {problem}.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise CardError(f"README.md: the front matter is no valid YAML ({error}).") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CardError("README.md, line 2: the front matter must be lines of 'key: value'.")
    try:
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    except ValueError as error:
        raise CardError(f"README.md: the front matter has {error}.") from error


def _plain(value: Any) -> Any:
    """The value in a form that JSON and PostgreSQL can store.

    Raises:
        ValueError
    """
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value)):
        raise ValueError("a character that is no text")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("a number that is too large")
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    return "" if value is None or isinstance(value, list | dict) else str(value).strip()


def _port(text: str, raw: dict[str, Any]) -> int:
    value = raw.get("app_port", DEFAULT_PORT)
    if isinstance(value, str) and re.fullmatch(r"\d{1,5}", value.strip()):  # quoted, as some cards have it
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise CardError(_at(text, "app_port", "app_port is a number from 1 to 65535"))
    return value


def _startup(text: str, raw: dict[str, Any]) -> int:
    """`startup_duration_timeout`, like 30m or 1h; seconds without a unit."""
    value = _text(raw, "startup_duration_timeout").lower()
    if not value:
        return 0
    found = _DURATION.fullmatch(value)
    if found is None or not int(found[1]):
        problem = "startup_duration_timeout is a time like 30m, 1h or 90s"
        raise CardError(_at(text, "startup_duration_timeout", problem))
    return min(int(found[1]) * _SECONDS[found[2] or "s"], MOST_STARTUP_S)


def _preload(text: str, raw: dict[str, Any]) -> tuple[str, ...]:
    value = raw.get("preload_from_hub")
    if value is None:
        return ()
    problem = (
        "preload_from_hub is a list of repositories, each with files and a revision or without, like "
        "[gpt2, 'org/model config.json,model.safetensors', 'org/model config.json main']"
    )
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MAX_PRELOADED or not all(
        isinstance(entry, str) and len(entry) < 4096 and _PRELOAD.fullmatch(entry.strip())
        for entry in entries
    ):
        raise CardError(_at(text, "preload_from_hub", problem))
    return tuple(" ".join(entry.split()) for entry in entries)


def _queued_paths(text: str, raw: dict[str, Any]) -> tuple[str, ...]:
    """Paths of a Docker Space whose requests wait in its queue."""
    value = raw.get("queued_paths")
    if value is None:
        return ()

    def wrong(problem: str) -> CardError:
        return CardError(_at(text, "queued_paths", f"queued_paths {problem}"))

    if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
        raise wrong("is a list of paths, like [/predict, /models/*]")
    if _text(raw, "sdk") in {Sdk.GRADIO, Sdk.STATIC}:
        raise wrong("are of Docker Spaces only: a Gradio app's functions queue by themselves")
    if len(value) > MAX_QUEUED_PATHS:
        raise wrong(f"may name at most {MAX_QUEUED_PATHS} paths")
    for path in value:
        if not _QUEUED_PATH.fullmatch(path) or len(path) > MAX_PATH_CHARS:
            raise wrong(
                f"has {path[:80]!r}, but a path begins with '/', has no '//', '.' or '..' segments, no query "
                "and no % codes, and may end with '/*' for itself and all below it"
            )
        if path.startswith(RESERVED_PATHS):
            raise wrong(f"has {path[:80]!r}, but {' and '.join(RESERVED_PATHS)} are the platform's own")
    if len(set(value)) < len(value):
        raise wrong("names a path twice")
    return tuple(value)


def _health_path(text: str, raw: dict[str, Any]) -> str:
    value = raw.get("health_path")
    if value is None:
        return ""
    if _text(raw, "sdk") in {Sdk.GRADIO, Sdk.STATIC}:
        problem = "health_path is of Docker Spaces only: a Gradio app is ready once its functions are known"
        raise CardError(_at(text, "health_path", problem))
    if not isinstance(value, str) or not _HEALTH_PATH.fullmatch(value) or len(value) > MAX_PATH_CHARS:
        problem = "health_path is a path like /healthz, without a query"
        raise CardError(_at(text, "health_path", problem))
    return value


def custom_headers(raw: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The headers that a card adds to every answer of its Space; those that it may not add are left out."""
    value = raw.get("custom_headers")
    pairs = value.items() if isinstance(value, dict) else ()
    named = ((str(name).lower(), word) for name, word in pairs)
    return tuple((name, word) for name, word in named if str(word) in CUSTOM_HEADERS.get(name, ()))


def _check_headers(text: str, raw: dict[str, Any]) -> None:
    value = raw.get("custom_headers")
    if value is not None and (not isinstance(value, dict) or len(custom_headers(raw)) < len(value)):
        known = "; ".join(f"{name}: {', '.join(sorted(words))}" for name, words in CUSTOM_HEADERS.items())
        raise CardError(_at(text, "custom_headers", f"custom_headers may set these only: {known}"))


def _check_path(text: str, key: str, value: str) -> None:
    if not value:
        return
    try:
        check_path(value)
    except BadPath as error:
        raise CardError(_at(text, key, f"{key} is a path inside the repository")) from error
    if value.startswith("-"):
        raise CardError(_at(text, key, f"{key} must not begin with '-'"))


def _at(text: str, key: str, problem: str) -> str:
    """The problem with the line that the key stands on."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(f"{key}:"):
            return f"README.md, line {number}: {problem}."
    return f"README.md: {problem}."
