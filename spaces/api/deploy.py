"""Spaceport's own additions beside the Hub's paths, with their OpenAPI page at /api/docs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError
from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr

from queueing import queue_settings
from queueing.lines import MAIN, line_of
from queueing.stats.figures import figures, lines_of, places
from spaces.api.hub import HubError, error_response, hub, readable, writable
from spaces.models import Space

DESCRIPTION = """
With `HF_ENDPOINT` set to this address, the official `huggingface_hub` and `hf` work as they are. They speak
the Hub's own paths; below the table is what Spaceport adds. Send `Authorization: Bearer hf_…`.

| The Hub's paths | For |
|---|---|
| `GET /api/whoami-v2` | who the token is |
| `POST /api/repos/create`, `DELETE /api/repos/delete` | make and delete a Space |
| `GET /api/spaces?search=&author=&filter=&limit=` | list Spaces, paged by the `Link` header |
| `GET /api/spaces/{owner}/{name}` (`/revision/{rev}`) | all about one |
| `PUT …/settings` · `POST …/duplicate` | visibility · a copy |
| `POST /api/validate-yaml`, `…/preupload/{rev}`, `…/commit/{rev}` | upload |
| `GET …/tree/{rev}/{path}` · `POST …/paths-info/{rev}` | the files there are |
| `GET /spaces/{owner}/{name}/resolve/{rev}/{path}` | download |
| `GET …/commits/{rev}`, `…/refs` · `POST`, `DELETE …/branch/{branch}`, `…/tag/{rev}` | history |
| `GET …/runtime` · `POST …/hardware`, `…/sleeptime`, `…/pause`, `…/restart` | the running Space |
| `GET`, `POST`, `DELETE …/secrets`, `…/variables` | its environment |
| `GET …/logs/build`, `…/logs/run` | logs, as server-sent events |
| `GET /api/spaces/hardware` | the hardware there is |
| `/spaces/{owner}/{name}` as a git remote | clone and push; the token is the password |
"""

api = NinjaAPI(
    title="Spaceport", version="1", description=DESCRIPTION, docs_url="/docs", openapi_url="/openapi.json"
)


class QueueValues(Schema):
    """The queue settings, but for those of single groups."""

    model_config = ConfigDict(extra="forbid")

    concurrency_count: StrictInt | None = Field(
        1,
        description="Calls of each group of functions that run at once where the group has no number of its "
        "own; null is no limit.",
    )
    max_running: StrictInt | None = Field(
        None, description="Calls of all groups together that run at once; null is no limit but theirs."
    )
    max_size: StrictInt | None = Field(None, description="How many may wait; null is no limit.")
    batch: StrictBool = Field(
        default=False, description="Hand several waiting inputs to a batch function in one call."
    )
    max_batch_size: StrictInt = Field(4, description="The most inputs in one batch.")
    api_open: StrictBool = Field(default=True, description="Whether programs may use the Space.")
    max_threads: StrictInt = Field(40, description="The most calls of any kind at once in the container.")
    policy: StrictStr = Field(
        "fifo", description="Who is next: fifo in order of arrival, fair lets visitors take turns."
    )
    page_weight: StrictInt = Field(
        2, description="Under fair: events of a visitor on the page served for one of a program's, 1 to 10."
    )
    max_per_visitor: StrictInt | None = Field(
        None, description="How many events one visitor may have waiting; null is no limit."
    )
    retry: StrictBool = Field(
        default=True, description="Run an event again whose worker or container went away under it."
    )
    cancel_on_disconnect: StrictBool = Field(
        default=False, description="End a running call, as far as it can be, when its visitor hangs up."
    )


class QueueChange(QueueValues):
    """Any subset of the queue settings."""

    groups: dict[str, StrictInt | Literal["default"] | None] = Field(
        {},
        description="Calls of single groups that run at once, by the group's name; null is no limit, "
        '"default" the code\'s number again, or concurrency_count. Others keep theirs.',
    )


class Place(Schema):
    """One of the caller's own events in the queue."""

    event_id: str
    state: str = Field(description="pending or running")
    position: int | None = Field(description="From 0; null once it runs.")


class Line(Schema):
    """One group of functions now."""

    group: str
    functions: list[str] = Field(description="The functions that share the limit, the first 20.")
    limit: int | None = Field(description="Calls that run at once; null is no limit.")
    source: str = Field(description="Whose number it is: `owner`, `code` or `default`.")
    pending: int
    running: int
    eta_s: float | None = Field(description="Seconds until one who joins now starts; null while unknown.")
    eta_max_s: float | None


class Queue(QueueValues):
    """The settings in force and the figures of this moment."""

    groups: dict[str, int | None] = Field(description="The number in force of each group.")
    lines: list[Line]

    pending: int
    running: int
    served_today: int
    eta_s: float | None = Field(description="Seconds until one who joins now starts; null while unknown.")
    eta_max_s: float | None = Field(description="And at most.")
    events: list[Place] = Field(description="The caller's events, by the `session_hash` given.")


@api.exception_handler(HubError)
def on_refusal(request: HttpRequest, error: HubError) -> HttpResponse:
    return error_response(error)


@api.exception_handler(ValidationError)
def on_bad_values(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    where = ".".join(str(part) for part in first["loc"][2:]) or "body"
    return error_response(HubError(400, f"{where}: {first['msg']}"))


@api.exception_handler(HttpError)
def on_no_json(request: HttpRequest, error: HttpError) -> HttpResponse:
    return error_response(HubError(error.status_code, str(error)))


@api.get("/spaces/{owner}/{name}/queue", response=Queue, summary="The queue's settings and figures")
def get_queue(request: HttpRequest, owner: str, name: str, session_hash: str = "") -> Any:
    return _queue(space_of(request, owner, name, write=False), session_hash)


@api.put("/spaces/{owner}/{name}/queue", response=Queue, summary="Change queue settings; acts at once")
def put_queue(request: HttpRequest, owner: str, name: str, change: QueueChange) -> Any:
    space = space_of(request, owner, name, write=True)
    try:
        queue_settings.change(space.pk, change.dict(exclude_unset=True))
    except queue_settings.BadSetting as error:
        raise HubError(400, str(error)) from error
    return _queue(space, "")


def space_of(request: HttpRequest, owner: str, name: str, *, write: bool) -> Space:
    """The Space by the same rules and refusals as on the Hub's paths."""
    found: list[Space] = []

    def look(request: HttpRequest) -> HttpResponse:
        found.append((writable if write else readable)(request, owner, name))
        return HttpResponse()

    refusal = hub(str(request.method))(look)(request)
    if not found:
        raise HubError(refusal.status_code, _message(refusal), refusal.headers.get("X-Error-Code", ""))
    return found[0]


def _message(refusal: Any) -> str:
    return str(refusal.headers.get("X-Error-Message", "Not allowed."))


def _queue(space: Space, session_hash: str) -> dict[str, Any]:
    limits = queue_settings.groups(space.pk)
    return {
        **asdict(queue_settings.effective(space.pk)),
        **asdict(figures(space.pk)),
        "groups": {group.group: group.limit for group in limits},
        "lines": _lines(space.pk, limits),
        "events": places(space.pk, session_hash),
    }


def _lines(space_id: int, limits: list[queue_settings.GroupLimit]) -> list[dict[str, Any]]:
    names = [line_of(MAIN, group.group) for group in limits]
    now = lines_of([space_id], also=names)[space_id].by_name
    return [
        {
            "group": group.group,
            "functions": group.functions,
            "limit": group.limit,
            "source": group.source,
            "pending": now[name].pending,
            "running": now[name].running,
            "eta_s": promise.likely if promise else None,
            "eta_max_s": promise.at_most if promise else None,
        }
        for group, name in zip(limits, names, strict=True)
        for promise in (now[name].joining,)
    ]
