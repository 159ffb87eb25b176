"""The API's route about replicas; it is ours, the Hub has none."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from spaces.api.hub import HubError, body, date, hub, ok, writable
from spaces.api.listing import runtime
from spaces.models import Space
from spaces.scaling import follow, memory, ranges, section, words

RANGE = ("min_replicas", "max_replicas", "goal_p90_s")


@hub("GET", "POST")
def replicas(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Read on how many replicas the Space runs and why, or run it on so many, or on a range."""
    space = writable(request, owner, name)
    if request.method == "GET":
        return ok(_described(space))
    wanted = body(request)
    try:
        if "replicas" in wanted:
            _fixed(space, wanted)
        else:
            _range(space, wanted)
    except follow.BadCount as error:
        raise HubError(400, str(error)) from error
    return ok(runtime(Space.objects.select_related("owner", "replica").get(pk=space.pk), writer=True))


def _fixed(space: Space, wanted: dict[str, Any]) -> None:
    if named := [name for name in (*RANGE, "quiet_s") if name in wanted]:
        raise HubError(400, f"Either 'replicas' or a range: leave out one of 'replicas' and '{named[0]}'.")
    follow.set_count(space, _whole(wanted, "replicas"))


def _range(space: Space, wanted: dict[str, Any]) -> None:
    if missing := [name for name in RANGE if name not in wanted]:
        named = "' or '".join(missing)
        raise HubError(400, f"'replicas' must be a whole number; or for a range, '{named}' is missing.")
    ranges.set_range(
        space,
        _whole(wanted, "min_replicas"),
        _whole(wanted, "max_replicas"),
        _seconds(wanted, "goal_p90_s"),
        _seconds(wanted, "quiet_s") if wanted.get("quiet_s") is not None else None,
    )


def _whole(wanted: dict[str, Any], name: str) -> int:
    value = wanted[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise HubError(400, f"'{name}' must be a whole number.")
    return value


def _seconds(wanted: dict[str, Any], name: str) -> float:
    value = wanted[name]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise HubError(400, f"'{name}' must be a number of seconds.")
    return float(min(value, 1e9))


def _described(space: Space) -> dict[str, Any]:
    row = ranges.of(space)
    found: dict[str, Any] = {"current": words.current(space), "requested": space.replica_count, "range": None}
    if row is None:
        return found | {"now": words.about(space), "steps": []}
    return found | {
        "range": {
            "min_replicas": row.least,
            "max_replicas": row.most,
            "goal_p90_s": row.goal_s,
            "quiet_s": row.quiet_s,
        },
        "wait_p90_s": memory.of([space.pk])[space.pk].wait_s,
        "now": words.of_range(space, row),
        "steps": [
            {"at": date(step.at), "before": step.before, "after": step.after, "reason": step.reason}
            for step in section.steps(space)
        ],
    }
