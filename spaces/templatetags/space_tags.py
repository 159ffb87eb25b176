"""How pages show Spaces: stages in words, times, covers."""

from __future__ import annotations

import math
from datetime import datetime

from django import template
from django.utils.timesince import timesince

from hardware.tiers import TIERS
from queueing.tuning import recommend
from spaces.models import Space, Stage
from spaces.views.failures import Failure
from spaces.views.failures import failure as _failure

register = template.Library()

COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}

#: Stage to (word, tone); tones are classes of the stylesheet.
WORDS: dict[str, tuple[str, str]] = {
    Stage.NO_APP_FILE: ("No app yet", "calm"),
    Stage.CONFIG_ERROR: ("Configuration error", "bad"),
    Stage.BUILDING: ("Building", "busy"),
    Stage.BUILD_ERROR: ("Build error", "bad"),
    Stage.APP_STARTING: ("Starting", "busy"),
    Stage.RUNNING: ("Running", "good"),
    Stage.RUNNING_BUILDING: ("Running, building", "good"),
    Stage.RUNNING_APP_STARTING: ("Running, restarting", "good"),
    Stage.RUNTIME_ERROR: ("Runtime error", "bad"),
    Stage.SLEEPING: ("Sleeping", "calm"),
    Stage.PAUSED: ("Paused", "calm"),
    Stage.STOPPED: ("Stopped", "calm"),
    Stage.DELETING: ("Deleting", "busy"),
}


@register.filter
def stage_word(stage: str) -> str:
    """The stage in a word or two."""
    return WORDS.get(stage, (stage, "calm"))[0]


@register.filter
def stage_tone(stage: str) -> str:
    """good, busy, bad or calm."""
    return WORDS.get(stage, (stage, "calm"))[1]


@register.filter
def cover(space: Space) -> str:
    """The classes of its card's two colors."""
    start, end = space.card.get("colorFrom"), space.card.get("colorTo")
    start = start if start in COLORS else "gray"
    return f"from-{start} to-{end if end in COLORS else start}"


@register.filter
def tier_title(name: str) -> str:
    """A tier as people call it."""
    return TIERS[name].title if name in TIERS else name


@register.filter
def seconds(value: float | None, up: str = "") -> str:
    """A duration in seconds, as in "about 20 s"; a bound is rounded up and has no "about"."""
    if value is None:
        return "unknown"
    if value < 1.5:
        return "a moment"
    whole, about = (math.ceil, "") if up else (round, "about ")
    if value < 90:
        return f"{about}{whole(value)} s"
    return f"{about}{whole(value / 60)} min" if value < 5400 else f"{about}{whole(value / 3600)} h"


@register.filter
def failure(reason: str) -> Failure:
    """A stage's reason, taken apart."""
    return _failure(reason)


@register.filter
def elapsed(value: float) -> str:
    """A time that passes, in whole units: "40 s", "5 min", "2 h"."""
    whole = int(value)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"


@register.filter
def ago(when: datetime) -> str:
    """How long ago that was: "just now" for less than a minute."""
    since = timesince(when)
    return "just now" if since.startswith("0") else f"{since} ago"


@register.filter
def percent(share: float) -> str:
    """A share, as in "91 %"."""
    return f"{share:.0%}".replace("%", " %")


@register.filter
def size(count: float | None) -> str:
    """Bytes: "0.9 GiB", "120 MiB"; a dash where none were counted."""
    return "–" if count is None else recommend.size(count)  # noqa: RUF001


@register.filter
def duration(value: float | None) -> str:
    """A measured time: "40 ms", "1.2 s", "3 min"; a dash where none was measured."""
    if value is None:
        return "–"  # noqa: RUF001
    if value == 0:
        return "0 s"
    if value < 0.9995:
        return f"{max(value * 1000, 1):.0f} ms"
    if value < 9.95:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 119.5 else f"{value / 60:.0f} min"


@register.filter
def item(values: dict[str, str], name: str) -> str:
    """The value of this name; nothing where there is none."""
    return values.get(name, "")
