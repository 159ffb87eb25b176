"""Numbers that Lua scripts and Python share. A script names those it uses after `-- CONST:`."""

from __future__ import annotations

DAY_S = 24 * 3600
#: How long the counters of a day, and what a Space's calls keep, outlive the last change.
WEEK_AND_DAY_S = 8 * DAY_S
MONTH_S = 31 * DAY_S
#: Under the policy fair an event's score is its tag * TAG_STEP + its seq modulo TAG_STEP.
TAG_STEP = 2**22
#: By which share of the wait a promise was off: the upper bounds of the buckets.
ERROR_BOUNDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0)


def in_lua(name: str) -> str:
    """The constant as a Lua local; of several numbers, a table of texts."""
    value = globals()[name]
    if isinstance(value, tuple):
        texts = ", ".join(f'"{number:g}"' for number in value)
        value = f"{{ {texts} }}"
    return f"local {name} = {value}"
