"""Which files a `.gitattributes` has kept by Git LFS: its common part, within bounds of size and time."""

from __future__ import annotations

import fnmatch
import re
import time

NAME = ".gitattributes"
RULES = 2000
RULE_CHARS = 512
CHARS = 256 * 1024
TIME_S = 2.0  # for all files of one question
_ATTRIBUTES = "filter=lfs diff=lfs merge=lfs -text"


class Attributes:
    """Names, globs and paths, the last one counts; lines beyond the bounds are ignored."""

    def __init__(self, text: str) -> None:
        lines = map(str.split, text[:CHARS].splitlines()[:RULES])
        rules = [line for line in lines if line and not line[0].startswith("#")]
        found = [(line[0], kept) for line in rules if (kept := _kept(line[1:])) is not None]
        self._rules = [(_pattern(name), kept) for name, kept in found if len(name) <= RULE_CHARS]
        self._left_s = TIME_S

    def by_lfs(self, path: str) -> bool:
        """Whether this file is kept by Git LFS. False, too, once the time is over."""
        began = time.monotonic()
        verdict = False
        for pattern, kept in reversed(self._rules):
            if time.monotonic() - began > self._left_s:
                break
            if pattern.match(path):
                verdict = kept
                break
        self._left_s -= time.monotonic() - began
        return verdict


def _kept(attributes: list[str]) -> bool | None:
    """Whether a line turns LFS on or off; None for neither."""
    is_lfs = None
    for attribute in attributes:
        if attribute.lstrip("-!").partition("=")[0] == "filter":
            is_lfs = attribute == "filter=lfs"
    return is_lfs


def _pattern(name: str) -> re.Pattern[str]:
    name = name.replace("[[:space:]]", "[ \t]")
    anchored = "/" in name
    # `translate` keeps a pattern of many stars from backtracking; a star also takes a "/" then.
    translated = fnmatch.translate(name.lstrip("/").replace("**/", "*") if anchored else name)
    return re.compile(translated if anchored else rf"(?:.*/)?{translated}", re.DOTALL)


def with_files(text: str, paths: list[str]) -> str:
    """The same, with these files kept by Git LFS too."""
    before = text if not text or text.endswith("\n") else f"{text}\n"
    return before + "".join(f"{_escaped(path)} {_ATTRIBUTES}\n" for path in paths)


def _escaped(path: str) -> str:
    globs = re.sub(r"([*?\[])", r"[\1]", path)
    # One without a slash would mean files of this name in every folder.
    return ("" if "/" in path else "/") + re.sub(r"\s", "[[:space:]]", globs)
