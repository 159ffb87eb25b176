"""Spaceport's own additions beside the Hub's paths, with their OpenAPI page at /api/docs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError
from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr, create_model

from queueing import queue_settings
from queueing.lines import MAIN, line_of
from queueing.setting_fields import FIELDS
from queueing.setting_fields import Field as SettingField
from queueing.stats.figures import figures, lines_of, open_events
from spaces.api.hub import HubError, error_response, hub, readable, writable
from spaces.models import Space
from spaces.room import memory

DESCRIPTION = """
With `HF_ENDPOINT` set to this address, the official `huggingface_hub` and `hf` work unchanged: they use the
Hub's own paths. Below the table is what Spaceport adds. Send `Authorization: Bearer hf_…`.

| The Hub's paths | For |
|---|---|
| `GET /api/whoami-v2` | the token's user |
| `POST /api/repos/create`, `DELETE /api/repos/delete` | create and delete a Space |
| `GET /api/spaces?search=&author=&filter=&models=&sort=&expand=&limit=` | list Spaces, paged by `Link` |
| `GET /api/spaces/{owner}/{name}` (`/revision/{rev}`) | one Space |
| `PUT …/settings` · `POST …/duplicate`, `/api/repos/move` | visibility · a copy · another name or owner |
| `POST`, `DELETE …/like` · `GET …/likers`, `/api/users/{user}/likes` | likes |
| `GET`, `POST /api/collections` · `PATCH`, `DELETE …/{slug}` · `POST …/{slug}/items` | collections |
| `GET /api/spaces/semantic-search?q=` | Spaces that a sentence describes |
| `GET /api/users/{user}/overview`, `/api/organizations/{name}/overview`, `…/members` | profiles |
| `POST /api/validate-yaml`, `…/preupload/{rev}`, `…/commit/{rev}` | upload |
| `GET …/tree/{rev}/{path}` · `POST …/paths-info/{rev}` | list files |
| `GET /spaces/{owner}/{name}/resolve/{rev}/{path}` | download |
| `GET …/commits/{rev}`, `…/refs` · `POST`, `DELETE …/branch/{branch}`, `…/tag/{rev}` | history |
| `POST …/super-squash/{branch}` | one commit in place of a history |
| `GET`, `POST /api/settings/webhooks` · `GET`, `POST`, `DELETE …/{id}`, `…/enable` | webhooks |
| `GET …/runtime` · `POST …/hardware`, `…/sleeptime`, `…/pause`, `…/restart` | what runs, or `waiting` |
| `GET`, `POST`, `DELETE …/secrets`, `…/variables` | its environment |
| `PUT`, `DELETE …/volumes` | its named volumes |
| `GET /api/buckets/{owner}` · `GET`, `POST`, `DELETE …/{name}` | an owner's named volumes |
| `GET …/logs/build`, `…/logs/run` | logs, as server-sent events |
| `GET /spaces/{owner}/{name}/agents.md` | how to call a Gradio Space, in Markdown, for agents |
| `GET /api/spaces/hardware` | available hardware, with prices |
| `/spaces/{owner}/{name}` as a git remote | clone and push; the token is the password |
"""


class DeployAPI(NinjaAPI):
    """Describes the Hub's routes (`also`) besides its own."""

    also: dict[str, Any] = {}

    def get_openapi_schema(self, **options: Any) -> Any:
        """OpenAPI's description of both."""
        schema = super().get_openapi_schema(**options)
        schema["paths"] = {**self.also, **schema["paths"]}
        return schema


api = DeployAPI(
    title="Spaceport", version="1", description=DESCRIPTION, docs_url="/docs", openapi_url="/openapi.json"
)


M = TypeVar("M", bound=Schema)
T = TypeVar("T")
STRICT: dict[Any, Any] = {bool: StrictBool, int: StrictInt, str: StrictStr}


def _described(field: SettingField) -> tuple[Any, Any]:
    """A setting's type and description in the schema; `queue_settings.change` checks its bounds."""
    optional = field.kind == "int or none"
    text = f"{field.help} null is no limit." if optional else field.help
    return (StrictInt | None if optional else STRICT[field.type]), Field(field.default, description=text)


SettingValues = create_model(  # type: ignore[call-overload]  # fields by name
    "SettingValues", __base__=Schema, **{field.name: _described(field) for field in FIELDS}
)


def with_settings(schema: type[M]) -> type[M]:
    """The schema with each queue setting as a field."""
    model: type[M] = create_model(schema.__name__, __base__=(schema, SettingValues), __doc__=schema.__doc__)
    return model


@with_settings
class QueueChange(Schema):
    """Any subset of the queue settings."""

    model_config = ConfigDict(extra="forbid")

    groups: dict[str, StrictInt | Literal["default"] | None] = Field(
        {},
        description="Concurrent calls of single groups, by the group's name; null is no limit, "
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
    source: str = Field(description="Where the number comes from: `owner`, `code` or `default`.")
    pending: int
    running: int
    eta_s: float | None = Field(description="Seconds until an event that joins now starts; null if unknown.")
    eta_max_s: float | None


@with_settings
class Queue(Schema):
    """The settings in force and the figures of this moment."""

    groups: dict[str, int | None] = Field(description="The number in force of each group.")
    lines: list[Line]

    pending: int
    running: int
    served_today: int
    eta_s: float | None = Field(description="Seconds until an event that joins now starts; null if unknown.")
    eta_max_s: float | None = Field(description="And at most.")
    events: list[Place] = Field(description="The caller's events, by the `session_hash` given.")


class Ran(Schema):
    """A function that ran then."""

    function: str
    group: str
    calls: int = Field(description="At once.")
    inputs: int = Field(description="Of its largest batch.")


class MemoryEnd(Schema):
    """A container that ran out of memory while it worked."""

    at: float = Field(description="Unix time.")
    sentence: str
    ran: list[Ran]
    limit_bytes: int
    peak_bytes: int = Field(description="0 where it is not known.")


class Memory(Schema):
    """The last 24 hours, newest first."""

    ends: list[MemoryEnd]
    lower: dict[str, Any] | None = Field(
        description="Queue settings with which fewer calls run at once, to be put to `…/queue`; null: none."
    )
    stepped_to: int | None = Field(
        description="Calls at once, of all functions, to which it was lowered by itself; null: it is not."
    )


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


@api.get("/spaces/{owner}/{name}/memory", response=Memory, summary="Where calls ran out of memory")
def get_memory(request: HttpRequest, owner: str, name: str) -> Any:
    space = space_of(request, owner, name, write=True)
    ends = memory.ends(space)
    step = memory.stepped(space)
    return {"ends": ends, "lower": memory.change(space, ends), "stepped_to": step.limit if step else None}


def space_of(request: HttpRequest, owner: str, name: str, *, write: bool) -> Space:
    """The Space by the same rules and refusals as on the Hub's paths."""
    return as_on_the_hub(request, lambda request: (writable if write else readable)(request, owner, name))


def as_on_the_hub(request: HttpRequest, find: Callable[[HttpRequest], T]) -> T:
    """What this finds in the request, by the rules and refusals of the Hub's paths."""
    found: list[T] = []

    def load(request: HttpRequest) -> HttpResponse:
        found.append(find(request))
        return HttpResponse()

    refusal = hub(str(request.method))(load)(request)
    if not found:
        text = str(refusal.headers.get("X-Error-Message", "Not allowed."))
        raise HubError(refusal.status_code, text, refusal.headers.get("X-Error-Code", ""))
    return found[0]


def _queue(space: Space, session_hash: str) -> dict[str, Any]:
    limits = queue_settings.groups(space.pk)
    return {
        **asdict(queue_settings.effective(space.pk)),
        **asdict(figures(space.pk)),
        "groups": {group.group: group.limit for group in limits},
        "lines": _lines(space.pk, limits),
        "events": open_events(space.pk, session_hash),
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
