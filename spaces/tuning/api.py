"""The API's routes about measuring a Space."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from pydantic import Field

from accounts import access
from queueing.models import TuningRun
from queueing.stats.patience import patience
from queueing.tuning import recommend, runs, traffic, what_if
from queueing.tuning.recommend import Recommendation
from queueing.tuning.results import Results
from queueing.tuning.sweep import Measured
from spaces.api.deploy import space_of
from spaces.api.hub import HubError, current_caller
from spaces.models import Space
from spaces.tuning import start

router = Router()

PATIENCE_OF = timedelta(days=7)
INPUT_BYTES = 8 * 1024 * 1024


class Asked(Schema):
    """What to measure. Without functions: those that visitors call, and that have sample inputs."""

    functions: list[str] = Field([], max_length=20, description="By their API names.")
    inputs: dict[str, list[list[Any]]] = Field(
        {},
        max_length=20,
        description="Calls to send, by API name: a list of calls, each the list of its inputs. Without "
        "them the examples on the page, or the values it begins with.",
    )
    max_concurrency: int = Field(40, ge=1, le=runs.MOST_CONCURRENCY)
    max_batch: int = Field(64, ge=1, le=runs.MOST_BATCH)
    seconds: int = Field(
        150, ge=10, le=runs.MOST_SECONDS, description="Of measuring, without the start of the replica."
    )

    def options(self) -> runs.Options:
        """The same for a run.

        Raises:
            HubError: 400.
        """
        if any(not rows for rows in self.inputs.values()):
            raise HubError(400, "'inputs' has a function without a call.")
        if len(json.dumps(self.inputs)) > INPUT_BYTES:
            raise HubError(400, f"'inputs' is larger than {INPUT_BYTES // 1024**2} MiB.")
        return runs.Options(
            functions=tuple(self.functions),
            inputs=self.inputs,
            max_concurrency=self.max_concurrency,
            max_batch=self.max_batch,
            seconds=self.seconds,
        )


class MeasuredPoint(Schema):
    """One point."""

    concurrency: int
    batch: int
    throughput: float = Field(description="Events a second.")
    error: float = Field(description="The standard error of that.")
    calls: int
    failed: int
    p50_s: float = Field(description="How long a call took.")
    p95_s: float
    memory_bytes: int = Field(description="The most.")
    cores: float = Field(description="Busy, on average.")
    gpu_busy: float | None
    gpu_memory_bytes: int | None
    stopped: bool = Field(description="Before its end, for it came too close to the limit of memory.")


class Group(Schema):
    """Functions that share a limit."""

    group: str
    functions: list[str]
    inputs: str = Field(
        description="What was sent: examples, initial values, Gradio's example values, or given."
    )
    points: list[MeasuredPoint]
    chosen: MeasuredPoint | None
    why: list[str]


class Run(Schema):
    """One measurement of one version."""

    id: int
    sha: str
    tier: str
    status: str = Field(description="starting, measuring, done, failed or cancelled.")
    note: str = Field(description="What it does now, or why it ended.")
    started_by: str
    created_at: datetime
    finished_at: datetime | None
    seconds: float = Field(description="Of measuring, so far.")
    cores: float
    memory_limit_bytes: int
    rest_bytes: int = Field(description="Memory while nothing ran.")
    groups: list[Group]
    settings: dict[str, Any] = Field(description="What it would change, as PATCH …/queue takes it.")
    why: list[str]


def recommended(run: TuningRun) -> Recommendation:
    """For the Space as it is set now."""
    now = what_if.present(run.space_id)
    demand = traffic.recorded(run.space_id, timezone.now() - PATIENCE_OF)
    bears = patience(demand.wait, demand.left)
    return recommend.recommend(Results.from_json(run.results), now.settings, now.groups, bears)


def described(run: TuningRun) -> dict[str, Any]:
    """A run as `Run` has it."""
    results, found = Results.from_json(run.results), recommended(run)
    choices = {one.group: one for one in found.choices}
    return {
        **{name: getattr(run, name) for name in ("sha", "tier", "status", "note", "started_by")},
        "id": run.pk,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "seconds": round(results.seconds, 1),
        "cores": results.cores,
        "memory_limit_bytes": results.memory_limit_bytes,
        "rest_bytes": results.rest_bytes,
        "groups": [
            {
                "group": one.group,
                "functions": list(one.functions),
                "inputs": one.inputs,
                "points": [_point(point) for point in one.points],
                "chosen": _point(choices[one.group].point) if one.group in choices else None,
                "why": list(choices[one.group].why) if one.group in choices else [],
            }
            for one in results.groups
        ],
        "settings": found.settings,
        "why": list(found.why),
    }


def _point(one: Measured) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in MeasuredPoint.model_fields if hasattr(one, name)}
    rounded = {name: round(value, 4) for name, value in values.items() if isinstance(value, float)}
    return values | rounded | {"concurrency": one.point.concurrency, "batch": one.point.batch}


@router.post(
    "/spaces/{owner}/{name}/tuning", response={202: Run}, summary="Measure how much the Space can run at once"
)
def start_tuning(request: HttpRequest, owner: str, name: str, asked: Asked) -> Any:
    """Starts one more replica of what runs, to which no visitor is sent, and calls it with sample inputs:
    more and more at once, while that gains something and memory allows."""
    space = space_of(request, owner, name, write=True)
    try:
        run = start.start(space, asked.options(), str(current_caller(request).user))
    except start.CannotStart as error:
        raise HubError(409, str(error)) from error
    return 202, described(run)


@router.get(
    "/spaces/{owner}/{name}/tuning", response=list[Run], summary="Measurements, with what they recommend"
)
def list_tuning(request: HttpRequest, owner: str, name: str, sha: str = "") -> Any:
    """The newest first, those of all versions, or of the commit `sha`."""
    space = _asked_of(request, owner, name)
    found = runs.of(space.pk)
    return [described(run) for run in (found.filter(sha__startswith=sha) if sha else found)]


@router.delete("/spaces/{owner}/{name}/tuning", response=Run, summary="Cancel the measurement that goes on")
def cancel_tuning(request: HttpRequest, owner: str, name: str) -> Any:
    """Its replica ends; what was measured stays."""
    space = space_of(request, owner, name, write=True)
    run = runs.open_run(space.pk)
    if run is None:
        raise HubError(409, "Nothing is being measured.")
    runs.end(run.pk, TuningRun.Status.CANCELLED, f"{current_caller(request).user} cancelled it.")
    run.refresh_from_db()
    return described(run)


def _asked_of(request: HttpRequest, owner: str, name: str) -> Space:
    space = space_of(request, owner, name, write=False)
    if not access.can_write(current_caller(request).user, space.owner_id):
        raise HubError(403, f"Only those who can write to {space} may see this.")
    return space
