"""The Hub's routes about a running Space: its runtime, its environment, its logs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Literal

from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from accounts import access
from accounts.models import User
from hardware import logs
from hardware.tiers import tier
from spaces import lifecycle
from spaces.api.hub import HubError, body, current_caller, date, hub, ok, readable, text, writable
from spaces.api.listing import runtime
from spaces.api.values import check_key, sleep_seconds, value_and_description
from spaces.models import Secret, Space, Variable
from spaces.room import tiers
from spaces.secrets import MOST_KEYS

CHECK_EVERY_S = 2.0  # how often to check that a reader of the log still may


@hub("GET")
def get_runtime(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = readable(request, owner, name)
    return ok(runtime(space, writer=access.can_write(current_caller(request).user, space.owner_id)))


@hub("POST")
def set_hardware(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = writable(request, owner, name)
    values = body(request)
    wanted = tier(text(values, "flavor", most=64)).name
    if values.get("sleepTimeSeconds") is not None:
        lifecycle.set_sleep_time(space, sleep_seconds(values["sleepTimeSeconds"]))
    tiers.move(space, wanted)
    return _now(space)


@hub("POST")
def set_sleep_time(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = writable(request, owner, name)
    lifecycle.set_sleep_time(space, sleep_seconds(body(request).get("seconds")))
    return _now(space)


@hub("POST")
def pause(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = writable(request, owner, name)
    lifecycle.pause(space)
    return _now(space)


@hub("POST")
def restart(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = writable(request, owner, name)
    lifecycle.restart(space, factory=request.GET.get("factory") == "true")
    return _now(space)


def _now(space: Space) -> HttpResponse:
    return ok(runtime(Space.objects.select_related("owner", "replica").get(pk=space.pk), writer=True))


@hub("POST")
def get_reload(request: HttpRequest, owner: str, name: str, replica_id: str) -> HttpResponse:
    """What a hot reload did, as `hf spaces hot-reload` reads it: one event an operation. 204: none that is
    known."""
    space = writable(request, owner, name)
    wanted = text(body(request), "reloadId", most=64)
    done = space.replicas.filter(pk=replica_id).values_list("reload", flat=True).first()
    if not done or done["sha"] != wanted:
        return HttpResponse(status=204)
    events = "".join(f"data: {json.dumps({'data': operation})}\n\n" for operation in done["operations"])
    return HttpResponse(events, content_type="text/event-stream")


# --- secrets and variables --------------------------------------------------------------------------


@hub("GET", "POST", "DELETE")
def secrets(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    if request.method == "GET":
        space = writable(request, owner, name)
        return ok({s.key: _about(s) for s in space.secrets.all()})
    space = writable(request, owner, name)
    _change(space, request, Secret)
    return ok()


@hub("GET", "POST", "DELETE")
def variables(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    if request.method == "GET":
        space = readable(request, owner, name)
    else:
        space = writable(request, owner, name)
        _change(space, request, Variable)
    return ok({v.key: {"value": v.value, **_about(v)} for v in space.variables.all()})


def _about(row: Secret | Variable) -> dict[str, str]:
    return {"key": row.key, "description": row.description, "updatedAt": date(row.updated_at)}


def _change(space: Space, request: HttpRequest, model: type[Secret] | type[Variable]) -> None:
    values = body(request)
    key = check_key(values.get("key"))
    rows = model.objects.filter(space=space)
    if request.method == "DELETE":
        if not rows.filter(key=key).delete()[0]:
            raise HubError(404, f"There is no '{key}' to delete.")
    else:
        if not rows.filter(key=key).exists() and rows.count() >= MOST_KEYS:
            raise HubError(400, f"A Space may have at most {MOST_KEYS} of these.")
        value, about = value_and_description(values)
        with transaction.atomic():
            rows.update_or_create(space=space, key=key, defaults={"value": value, "description": about})
    lifecycle.environment_changed(space)


# --- logs -------------------------------------------------------------------------------------------


@csrf_exempt
async def log_stream(
    request: HttpRequest, owner: str, name: str, kind: Literal["build", "run"]
) -> StreamingHttpResponse | HttpResponse:
    """The whole log, then what comes. Always replayed from its start: a client that comes back skips what
    it has printed."""
    answer = await sync_to_async(_may_read_logs)(request, owner, name)
    if isinstance(answer, HttpResponse):
        return answer
    space, user_id = answer
    events = _while_allowed(_events(kind, space), space, user_id)
    stream = StreamingHttpResponse(events, content_type="text/event-stream")
    stream["Cache-Control"] = "no-store"
    stream["X-Accel-Buffering"] = "no"
    # `hf spaces logs` without -f ends at lines younger than this; our servers send none by themselves.
    stream["Date"] = formatdate(usegmt=True)
    return stream


@hub("GET")
def _check(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    space = readable(request, owner, name)
    user = current_caller(request).user
    if user is None or not access.can_write(user, space.owner_id):
        raise HubError(403, f"Only who can write to {space} reads its logs.")
    answer = ok()
    answer.allowed = space, user.pk  # type: ignore[attr-defined]
    return answer


def _may_read_logs(request: HttpRequest, owner: str, name: str) -> tuple[Space, int] | HttpResponse:
    """The Space and its reader, or the refusal."""
    answer = _check(request, owner, name)
    assert isinstance(answer, HttpResponse)
    return getattr(answer, "allowed", answer)


async def _while_allowed(
    events: AsyncGenerator[bytes, None], space: Space, user_id: int
) -> AsyncGenerator[bytes, None]:
    """The same for as long as this user may write to the Space."""
    checked_at = time.monotonic()
    async with contextlib.aclosing(events):
        async for event in events:
            if time.monotonic() - checked_at > CHECK_EVERY_S:
                if not await sync_to_async(_may_write)(user_id, space.owner_id):
                    return
                checked_at = time.monotonic()
            yield event


def _may_write(user_id: int, owner_id: int) -> bool:
    return access.can_write(User.objects.filter(pk=user_id, is_active=True).first(), owner_id)


async def _events(kind: Literal["build", "run"], space: Space) -> AsyncGenerator[bytes, None]:
    # Daphne sends the headers with the first bytes: an empty log must not look like a server that is silent.
    yield b": log\n\n"
    async for entry in logs.follow(kind, space.pk):
        if entry is None:
            yield b": keep-alive\n\n"
            continue
        at = datetime.fromtimestamp(entry.at, UTC)
        line = json.dumps({"data": entry.text + "\n", "timestamp": date(at)})
        yield f"data: {line}\n\n".encode()
