"""What an app does on one side; and by itself, which is kept: it takes as long as the Space, and is the same
until the app, Gradio, Chromium or the census changes."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.census import pages
from tests.census.programs import Program
from tests.census.script import App
from tests.census.sides import alone

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Starts the app: its addresses for programs and for browsers.
Side = Callable[[App], AbstractContextManager[tuple[str, str]]]
MADE_BY = ("pages.py", "programs.py", "records.py", "script.py", "sides.py")


def record(app: App, side: Side, browser: Browser) -> dict[str, Any]:
    """What a program and a visitor get from the app there.

    Raises:
        DidNotStart
    """
    with side(app) as (program, page):
        seen = {"program": Program(program).record(app), "page": pages.record(browser, page, app)}
    plain: dict[str, Any] = json.loads(json.dumps(seen, default=repr))
    return plain


class Alone:
    """The app by itself."""

    def __init__(self, app: App, browser: Browser, kept: Path | None) -> None:
        self.app, self.browser = app, browser
        self.was_kept = False  # what was told is of an earlier run
        self._asked = False
        self._note = kept / f"{app.name}-{self._digest()}.json" if kept is not None else None

    def recorded(self) -> dict[str, Any]:
        """What it does; asked again, what it does now.

        Raises:
            DidNotStart
        """
        if self._note is not None and self._note.exists() and not self._asked:
            self._asked = self.was_kept = True
            kept: dict[str, Any] = json.loads(self._note.read_text())
            return kept
        found = record(self.app, alone, self.browser)
        if self._note is not None:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            new = self._note.with_suffix(".new")
            new.write_text(json.dumps(found))
            new.rename(self._note)
        return found

    def _digest(self) -> str:
        here = Path(__file__).parent
        parts = [
            self.app.source, sys.version, self.browser.version,
            *(version(name) for name in ("gradio", "gradio_client", "starlette", "playwright")),
            *((here / name).read_text() for name in MADE_BY),
        ]  # fmt: skip
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
