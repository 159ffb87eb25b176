"""`GET /api/spaces/{owner}/{name}/what-if`: the same visitors under other settings; for members with write
access. The page (`spaces.views.what_if`) takes the same parameters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field, PrivateAttr

from accounts import access
from hardware.tiers import tier
from queueing.queue_settings import BadSetting
from queueing.setting_fields import GROUP
from queueing.stats.history import RANGES
from queueing.tuning import applied, what_if
from spaces.api.deploy import space_of
from spaces.api.hub import HubError, current_caller
from spaces.models import Space

router = Router()

#: The queue settings that the model knows.
SETTINGS = ("concurrency_count", "max_running", "max_size", "batch", "max_batch_size", "max_threads")
NONE = "none"


class Asked(Schema):
    """What to change. Queue settings that are not given stay; `none` is no limit."""

    range: Literal["1h", "24h", "7d", "30d"] = Field("24h", description="Whose visitors.")
    concurrency_count: int | Literal["none"] | None = None
    max_running: int | Literal["none"] | None = None
    max_size: int | Literal["none"] | None = None
    batch: bool | None = None
    max_batch_size: int | None = None
    max_threads: int | None = None
    replicas: int = Field(1, ge=1, le=100)
    speed: float = Field(1.0, ge=0.1, le=10, description="How many times as fast a call is.")
    people: int = Field(0, ge=0, le=100_000, description="So many people instead of those of `range`.")
    events_each: int = Field(1, ge=1, le=1000, description="Events of each of them.")
    minutes: int = Field(60, ge=1, le=1440, description="Over how long they come.")

    #: By the group's name: None is no limit.
    _groups: dict[str, int | None] = PrivateAttr(default_factory=dict)

    @property
    def groups(self) -> dict[str, int | None]:
        """The numbers of single groups."""
        return self._groups

    def of_query(self, query: Mapping[str, str]) -> Self:
        """The same, with the groups that the request names.

        Raises:
            HubError: 400.
        """
        for name, value in query.items():
            if name.startswith(GROUP) and value:
                if value != NONE and not (value.isdecimal() and len(value) < 7):
                    raise HubError(400, f"{name[:100]} is a whole number, or none for no limit.")
                self._groups[name.removeprefix(GROUP)] = None if value == NONE else int(value)
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """The given queue settings, as `queue_settings.change` takes them."""
        given = {name: getattr(self, name) for name in SETTINGS}
        values = {
            name: None if value == NONE else value for name, value in given.items() if value is not None
        }
        return values | ({"groups": self.groups} if self.groups else {})

    def question(self) -> what_if.Question:
        """The same for the model."""
        crowd = what_if.Crowd(people=self.people, events_each=self.events_each, minutes=self.minutes)
        return what_if.Question(
            settings=self.settings,
            replicas=self.replicas,
            speed=self.speed,
            back=timedelta(seconds=RANGES[self.range][0]),
            crowd=crowd if self.people else None,
        )


class Measured(Schema):
    """What came of the events. Waits are until the start of the call."""

    accepted: int
    refused: int = Field(description="Found the queue full.")
    left: int = Field(description="Gave up while they waited; among the accepted.")
    wait_p50_s: float | None
    wait_p95_s: float | None
    most_pending: int


class Modelled(Measured):
    """The same, of the model."""

    mean_running: float = Field(description="Calls that ran at once, on average.")
    replica_hours: float
    cost: float = Field(0, description="Of these hours, in the platform's currency.")


class Series(Schema):
    """Equally long lists."""

    time: list[int] = Field(description="Seconds: Unix time, or since the first of the people may come.")
    now_wait_s: list[float | None] = Field(description="The longest wait; null if nobody came.")
    then_wait_s: list[float | None]


class Answer(Schema):
    """The same events under the present settings and the proposed ones."""

    start: int = Field(alias="from")
    end: int = Field(alias="to")
    events: int
    measured: Measured | None = Field(description="Of the whole range; null for other people.")
    now: Modelled
    then: Modelled
    series: Series
    notes: list[str] = Field(description="What the model takes for granted.")


class Change(Schema):
    """Settings that were applied with a forecast (on the page), and what came of it."""

    at: datetime
    until: datetime | None = Field(description="When the next change was made.")
    by: str
    before: dict[str, Any]
    after: dict[str, Any]
    said: str = Field(description="By the measurement that recommended it; else empty.")
    expected: Modelled | None = Field(description="For the visitors of the time before; null: none measured.")
    measured: Measured | None = Field(description="Since then; null: of too few visitors.")
    modelled: Modelled | None = Field(description="For the visitors since then; null for earlier changes.")
    error: float | None = Field(description="0.1: the model's p95 of these is 10 % longer than the measured.")


def answer_for(space: Space, asked: Asked) -> dict[str, Any]:
    """The model's answer about this Space.

    Raises:
        HubError: 400 for settings out of bounds, 409 where too little was measured.
    """
    try:
        return what_if.answer(space.pk, tier(space.hardware), asked.question())
    except BadSetting as error:
        raise HubError(400, str(error)) from error
    except what_if.NothingMeasured as error:
        raise HubError(409, str(error)) from error


@router.get(
    "/spaces/{owner}/{name}/what-if",
    response=Answer,
    by_alias=True,
    summary="The same visitors under other settings",
)
def get_what_if(request: HttpRequest, owner: str, name: str, asked: Query[Asked]) -> Any:
    """Replays the visitors of a time, or of an event to come, in a model of the queue. Further parameters
    `group:<name>` are calls at once of single groups of functions."""
    return answer_for(_asked_of(request, owner, name), asked.of_query(request.GET))


@router.get(
    "/spaces/{owner}/{name}/what-if/applied",
    response=list[Change],
    summary="What was applied, and how right the forecasts were",
)
def get_applied(request: HttpRequest, owner: str, name: str) -> Any:
    """The last changes, newest first."""
    space = _asked_of(request, owner, name)
    return applied.history(space.pk, tier(space.hardware))


def _asked_of(request: HttpRequest, owner: str, name: str) -> Space:
    space = space_of(request, owner, name, write=False)
    if not access.can_write(current_caller(request).user, space.owner_id):
        raise HubError(403, f"Only those who can write to {space} may ask this.")
    return space
