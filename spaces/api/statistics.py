"""`GET /api/spaces/{owner}/{name}/statistics`: the Statistics tab as JSON, for members with write access."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from accounts import access
from spaces import statistics
from spaces.api.deploy import space_of
from spaces.api.hub import HubError, current_caller

router = Router()


class Counts(Schema):
    """Events of the range."""

    events: int = Field(description="Accepted: page and API together.")
    page: int
    api: int
    refused_full: int = Field(description="Refused because the queue was full.")
    refused_closed: int = Field(description="Programs refused while `api_open` is off.")
    refused_other: int = Field(description="Refused because the Space was paused or could not run.")
    completed: int
    failed: int
    cancelled: int
    retried: int = Field(description="Times an event returned to the front: its container or worker died.")


class Totals(Counts):
    """The whole Space. Waits are of the main lane: queued functions that a visitor started."""

    most_pending: int
    most_running: int
    wait_p50_s: float | None
    wait_p95_s: float | None
    left: int = Field(description="Visitors who gave up while they waited.")
    patience_p50_s: float | None = Field(
        description="How long until half of the visitors would give up; null if that was not seen."
    )


class Function(Counts):
    """One function of the app. Service times are from the claim to the end."""

    fn: str = Field(description="The app's fn_index.")
    lane: str = Field(description="`main`, or `side` for events that fire by themselves.")
    api_name: str
    wait_p50_s: float | None
    wait_p95_s: float | None
    service_p50_s: float | None
    service_p95_s: float | None
    mean_batch: float | None = Field(
        description="Events in one call; null for functions that take no batches."
    )
    most_running: int = Field(description="Most calls at once of its group of functions.")


class Series(Schema):
    """Equally long lists, oldest first. The last point goes on now."""

    time: list[int] = Field(description="When the point begins, in Unix seconds.")
    pending: list[int] = Field(description="Most events that waited at once.")
    running: list[int] = Field(description="Most calls that ran at once.")
    page: list[float] = Field(description="Accepted events a minute from the Space's page.")
    api: list[float] = Field(description="Accepted events a minute from programs.")
    refused: list[float] = Field(description="Refused events a minute.")
    failed: list[float] = Field(description="Failed events a minute.")
    wait_p50_s: list[float | None] = Field(description="Null if no event started.")
    wait_p95_s: list[float | None]


class Statistics(Schema):
    """A queue's history."""

    range: str
    step_s: int = Field(description="Seconds of one point.")
    series: Series
    totals: Totals
    functions: list[Function]


@router.get("/spaces/{owner}/{name}/statistics", response=Statistics, summary="What the queue did")
def get_statistics(
    request: HttpRequest,
    owner: str,
    name: str,
    range: Literal["1h", "24h", "7d", "30d"] = "24h",  # noqa: A002
) -> Any:
    """Figures of the last hour, day, week or month, up to this moment; for members with write access."""
    space = space_of(request, owner, name, write=False)
    # As with the logs: a read token is enough, but its user needs write access.
    if not access.can_write(current_caller(request).user, space.owner_id):
        raise HubError(403, f"Only who can write to {space} reads its statistics.")
    return statistics.report(space.pk, range)
