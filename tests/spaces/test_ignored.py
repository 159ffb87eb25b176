"""A `.gitignore` says what is left out of an upload, and costs no more than it may."""

from __future__ import annotations

import pytest

from spaces.git import ignored
from spaces.git.bounds import TooMuch
from spaces.git.ignored import Ignore


@pytest.mark.parametrize(
    ("rules", "path", "left_out"),
    [
        ("*.log", "a.log", True),
        ("*.log", "deep/er/a.log", True),
        ("*.log", "a.logs", False),
        ("build/", "build/x/y.txt", True),
        ("build/", "build", False),
        ("/top.txt", "top.txt", True),
        ("/top.txt", "in/top.txt", False),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "x/docs/a.md", False),
        ("*.log\n!keep.log", "keep.log", False),
        ("!keep.log\n*.log", "keep.log", True),
        ("# a comment\n\n  x  ", "x", True),
        ("*", "README.md", False),
        ("node_modules", "a/node_modules/b.js", True),
    ],
)
def test_what_it_leaves_out(rules: str, path: str, left_out: bool) -> None:
    assert Ignore(rules).matches(path) is left_out


@pytest.mark.parametrize(
    "text", ["a\n" * (ignored.RULES + 1), "a" * (ignored.RULE_CHARS + 1), "#\n" * ignored.CHARS]
)
def test_one_that_is_too_long_is_refused(text: str) -> None:
    with pytest.raises(TooMuch, match="gitignore"):
        Ignore(text)


def test_one_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignored, "TIME_S", 0.001)
    ignore = Ignore("\n".join("*a" * 100 + str(n) for n in range(300)))
    with pytest.raises(TooMuch, match="too long to apply"):
        ignore.matches("/".join(["a" * 190] * 5))
