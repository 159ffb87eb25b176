"""Space templates: the example apps that the platform ships, each the first version of a new Space."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from spaces import card

#: The owner in their ids, as in `examples/hello`.
OWNER = "examples"
FOLDER = Path(settings.BASE_DIR) / OWNER


@dataclass(frozen=True)
class SpaceTemplate:
    """One of them; `name` is its folder's."""

    name: str
    title: str
    emoji: str
    sdk: str
    description: str

    @property
    def id(self) -> str:
        """How the Hub's clients name it."""
        return f"{OWNER}/{self.name}"

    def files(self) -> dict[str, bytes]:
        """The contents of its files, by path."""
        folder = FOLDER / self.name
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@functools.cache
def every() -> tuple[SpaceTemplate, ...]:
    """All templates, by name; none where the examples were not installed."""
    readmes = sorted(FOLDER.glob("*/README.md"))
    return tuple(_described(readme.parent.name, card.parse(readme.read_text())) for readme in readmes)


def find(word: str) -> SpaceTemplate | None:
    """The template of this name or id."""
    return next((one for one in every() if word in (one.name, one.id)), None)


def _described(name: str, about: card.SpaceCard) -> SpaceTemplate:
    return SpaceTemplate(name, about.title, about.emoji, about.sdk, about.short_description)
