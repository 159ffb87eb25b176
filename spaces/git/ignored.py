"""Which files a `.gitignore` leaves out: its common part, within bounds of size and time."""

from __future__ import annotations

import fnmatch
import re
import time
from dataclasses import dataclass

from spaces.git.bounds import TooMuch

RULES = 1000
RULE_CHARS = 256
CHARS = 64 * 1024
TIME_S = 2.0  # for all files of one question


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    negated: bool
    folders_only: bool
    whole_path: bool


class Ignore:
    """Names, globs, folders, negation.

    Raises:
        TooMuch: it has too many rules, or too long ones.
    """

    def __init__(self, text: str) -> None:
        lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
        if len(lines) > RULES or max(map(len, lines), default=0) > RULE_CHARS or len(text) > CHARS:
            raise TooMuch(
                f".gitignore may have at most {CHARS:,} characters: {RULES:,} rules of at most {RULE_CHARS}."
            )
        self._rules = [_rule(line) for line in lines]
        self._left_s = TIME_S

    def matches(self, path: str) -> bool:
        """Whether it leaves this file out.

        Raises:
            TooMuch: it takes too long to tell.
        """
        if path in {".gitignore", "README.md"}:
            return False
        began = time.monotonic()
        parts = path.split("/")
        folders = ["/".join(parts[:i]) for i in range(1, len(parts))]
        hit = False
        for rule in self._rules:
            if rule.negated == hit and self._hits(rule, parts, folders, path):
                hit = not rule.negated
            if time.monotonic() - began > self._left_s:
                raise TooMuch(".gitignore takes too long to apply; make it simpler.")
        self._left_s -= time.monotonic() - began
        return hit

    @staticmethod
    def _hits(rule: _Rule, parts: list[str], folders: list[str], path: str) -> bool:
        if rule.whole_path:
            candidates = folders if rule.folders_only else [*folders, path]
        else:
            candidates = parts[:-1] if rule.folders_only else parts
        return any(rule.pattern.match(candidate) for candidate in candidates)


def _rule(line: str) -> _Rule:
    negated, line = line.startswith("!"), line.lstrip("!")
    folders_only, line = line.endswith("/"), line.rstrip("/")
    whole = "/" in line
    # `translate` keeps a pattern of many stars from backtracking.
    pattern = re.compile(fnmatch.translate(line.lstrip("/") if whole else line))
    return _Rule(pattern, negated, folders_only, whole)
