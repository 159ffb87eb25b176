"""The Settings tab's part about replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest

from spaces.models import ScaleStep, Space
from spaces.scaling import follow, ranges, words

if TYPE_CHECKING:
    from django.http import QueryDict

SHOWN = 8
#: The goal that the form proposes, in seconds.
GOAL_S = 10.0


def context(space: Space) -> dict[str, Any]:
    """What the section shows."""
    row = ranges.of(space)
    return {
        "most_replicas": settings.SPACEPORT_REPLICAS_PER_SPACE,
        "replica_range": row,
        "is_range": row is not None,
        "scaling_now": words.of_range(space, row) if row else "",
        "scale_steps": steps(space) if row else [],
        "replicas_typed": {
            "replicas": space.replica_count,
            "least": row.least if row else 1,
            "most": row.most if row else settings.SPACEPORT_REPLICAS_PER_SPACE,
            "goal_s": f"{row.goal_s if row else GOAL_S:g}",
            "quiet_s": f"{row.quiet_s if row else settings.SPACEPORT_REPLICA_QUIET_S:g}",
        },
    }


def steps(space: Space) -> list[ScaleStep]:
    """The last changes by its range, newest first."""
    return list(ScaleStep.objects.filter(space=space).order_by("-pk")[:SHOWN])


def change(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    """Run it on another number of replicas, or on a range; what the template needs to show a refusal."""
    posted = request.POST
    try:
        if posted.get("scale") == "range":
            ranges.set_range(
                space, _whole(posted, "least"), _whole(posted, "most"), _seconds(posted, "goal_s"),
                _seconds(posted, "quiet_s") if posted.get("quiet_s", "").strip() else None,
            )  # fmt: skip
        else:
            follow.set_count(space, _whole(posted, "replicas"))
    except follow.BadCount as error:
        typed = context(space)["replicas_typed"] | {
            name: posted[name]
            for name in ("replicas", "least", "most", "goal_s", "quiet_s")
            if name in posted
        }
        return {"error": str(error), "replicas_typed": typed, "is_range": posted.get("scale") == "range"}
    return None


def _whole(posted: QueryDict, name: str) -> int:
    typed = posted.get(name, "").strip()
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else 0


def _seconds(posted: QueryDict, name: str) -> float:
    try:
        return float(posted.get(name, "").strip().replace(",", "."))
    except ValueError:
        return 0.0
