"""One app on both sides, and what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.census.records import Alone, Side, record
from tests.census.script import App
from tests.census.sides import DidNotStart

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

CUT = 300


@dataclass
class Verdict:
    """What differs between an app by itself and as a Space: a sentence each."""

    name: str
    differences: list[str] = field(default_factory=list)
    starts_alone: bool = True

    @property
    def same(self) -> bool:
        return self.starts_alone and not self.differences


def judge(app: App, space: Side, browser: Browser, kept: Path | None = None) -> Verdict:
    """Run the app's script by itself and on `space`, and compare. `kept`: a folder for what apps do by
    themselves, from one run to the next; a difference from that is looked at anew."""
    verdict = Verdict(app.name)
    alone = Alone(app, browser, kept)
    try:
        expected = alone.recorded()
    except DidNotStart as error:
        verdict.starts_alone = False
        verdict.differences.append(f"does not start alone: {error}")
        return verdict
    try:
        found = record(app, space, browser)
    except DidNotStart as error:
        verdict.differences.append(f"does not start as a Space: {error}")
        return verdict
    verdict.differences = _differences("", expected, found)
    if verdict.differences and alone.was_kept:
        verdict.differences = _differences("", alone.recorded(), found)
    return verdict


def _differences(where: str, expected: Any, found: Any) -> list[str]:
    if where.endswith("/console"):  # fewer errors are no fault
        found = [line for line in found if line not in expected]
        expected = []
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in {**expected, **found}
            for line in _differences(f"{where}/{key}", expected.get(key), found.get(key))
        ]
    if expected == found:
        return []
    return [f"{where.strip('/')}: alone {_short(expected, found)}, as a Space {_short(found, expected)}"]


def _short(value: Any, other: Any) -> str:
    """The value from a little before where it begins to differ."""
    text, beside = repr(value), repr(other)
    at = next((n for n, (a, b) in enumerate(zip(text, beside, strict=False)) if a != b), 0)
    return text[max(0, at - 40) :][:CUT]
