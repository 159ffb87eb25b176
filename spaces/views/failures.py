"""Explains an app's last output: the last exception and the app's own frames, without those around them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from spaces.building.explanations import package_of

_LINES = "Last lines:"
_FRAME = re.compile(r'  File "(?P<path>[^"]+)", line \d+')
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: .*)?")
_AGAIN = re.compile(r"It is started again\b.*")
#: Frames of Python, of packages and of what starts the app.
_NOT_THE_APPS = re.compile(r"spaceport_launcher|sitecustomize|<frozen |/(?:site|dist)-packages/|/lib/python3")
_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w-]+)")
#: What to do about an exception that is no mistake in the code.
_ADVICE = (
    (r"No space left on device|Disk quota exceeded", "Its disk is full. Let it remove files, or write less."),
    (
        r"CUDA out of memory|OutOfMemoryError",
        "The GPU's memory is full. Load less, let fewer calls run at once, or choose larger hardware.",
    ),
    (r"\AMemoryError|Unable to allocate", "Memory is full. Load less, or choose larger hardware."),
    (
        r"[Aa]ddress already in use|Cannot find empty port",
        "Something in the Space has this port already. Let only one server listen, by demo.launch().",
    ),
)


@dataclass(frozen=True)
class Failure:
    """`sentence`: the platform's text. `exception`: the app's last one, if it wrote any, with `advice` and
    the lines of its own `frames`. `lines`: everything it wrote last."""

    sentence: str
    exception: str = ""
    advice: str = ""
    frames: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def failure(reason: str) -> Failure:
    """A stage's reason, taken apart."""
    message, _, rest = reason.partition(f"\n{_LINES}\n")
    written = rest.splitlines()
    again = [written.pop()] if written and _AGAIN.fullmatch(written[-1]) else []
    exception, frames = _last_exception(written)
    missing = _MODULE.match(exception)
    return Failure(
        sentence=" ".join([*message.splitlines(), *again]),
        exception=exception,
        advice=f"Add {package_of(missing[1])} to requirements.txt." if missing else _advice(exception),
        frames=tuple(frames),
        lines=tuple(written),
    )


def _advice(exception: str) -> str:
    return next((advice for pattern, advice in _ADVICE if re.search(pattern, exception)), "")


def _last_exception(lines: list[str]) -> tuple[str, list[str]]:
    """The last line that ends a traceback, and the app's own frames above it. The first lines of a traceback
    may be missing: only the last ones are kept."""
    for at in range(len(lines) - 1, 0, -1):
        if lines[at - 1].startswith("    ") and _EXCEPTION.fullmatch(lines[at]):
            begin = at
            while begin and lines[begin - 1].startswith("  "):
                begin -= 1
            return lines[at], _own(lines[begin:at])
    return "", []


def _own(lines: list[str]) -> list[str]:
    found, own = [], False
    for line in lines:
        if frame := _FRAME.match(line):
            own = not _NOT_THE_APPS.search(frame["path"])
        if own:
            found.append(line)
    return found
