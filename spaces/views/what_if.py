"""The page "What if": the visitors of a time, or an event to come, under other settings. For members with
write access. Without scripts its form works as any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from pydantic import ValidationError

from hardware.tiers import tier
from queueing import queue_settings
from queueing.queue_settings import GroupLimit
from queueing.setting_fields import BY_NAME, GROUP
from queueing.tuning import applied, what_if
from queueing.tuning.applied import Applied
from spaces.api.hub import HubError
from spaces.api.what_if import NONE, SETTINGS, Asked, answer_for
from spaces.models import Sdk, Space
from spaces.views.common import writable
from spaces.views.pages import space_context
from spaces.views.statistics import SHOWN

#: Where the sliders stop. The fields beside them take any value in bounds.
STOPS: dict[str, list[Any]] = {
    "concurrency_count": [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 64, NONE],
    "max_running": [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, NONE],
    "max_size": [1, 2, 5, 10, 20, 30, 50, 75, 100, 200, 500, 1000, NONE],
    "max_batch_size": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "replicas": [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20],
    "speed": [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8],
    "people": [0, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 5000],
    "events_each": [1, 2, 3, 5, 10, 20, 50],
    "minutes": [5, 10, 15, 30, 60, 120, 240, 480],
}
TITLES = {
    "replicas": "Replicas",
    "speed": "Speed of a call",
    "people": "People",
    "events_each": "Events of each",
    "minutes": "Minutes over which they come",
}
#: Groups with a slider of their own.
MOST_GROUPS = 12
#: Of the chart, in its own units.
WIDTH, HEIGHT = 600, 160


@require_safe
@never_cache
def page(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The form, and the answer to what it has."""
    space = _space(request, owner, name)
    context = space_context(request, space, "statistics") | _context(space, request.GET)
    context["applied"] = [_row(one) for one in applied.history(space.pk, tier(space.hardware))]
    return render(request, "spaces/what_if.html", context)


@require_safe
@never_cache
def answer(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The answer alone."""
    space = _space(request, owner, name)
    return render(request, "components/what_if_answer.html", _context(space, request.GET))


@require_POST
def apply(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Make the proposed queue settings those of the Space. The page then offers the way back."""
    space = _space(request, owner, name)
    try:
        question = _asked(request.POST).question()
    except (ValidationError, HubError) as error:
        messages.error(request, _sentence(error))
        return redirect(f"/{space}/what-if")
    return put_into_force(request, space, question, "what-if")


def put_into_force(
    request: HttpRequest, space: Space, question: what_if.Question, page: str, said: str = ""
) -> HttpResponse:
    """Apply the proposed settings, and lead to this page of the Space, which offers the way back (`undo`)."""
    try:
        changed = applied.apply(space.pk, tier(space.hardware), question, str(request.user), said)
    except queue_settings.BadSetting as error:
        messages.error(request, _sentence(error))
        return redirect(f"/{space}/{page}")
    if changed:
        wanted = flat(question.settings)
        news = ", ".join(f"{key} {shown(old)} → {shown(wanted[key])}" for key, old in changed.items())
        messages.success(request, f"In force: {news}.")
    query = QueryDict(mutable=True)
    query.update({f"was_{key}": shown(value) for key, value in changed.items()})
    return redirect(f"/{space}/{page}" + (f"?{query.urlencode()}" if changed else ""))


def undo(query: QueryDict, now: dict[str, Any]) -> dict[str, str]:
    """The former values that `put_into_force` has written into the page's address."""
    asked_for = [key for key in now if key in SETTINGS or key.startswith(GROUP)]
    return {key: str(query[f"was_{key}"]) for key in asked_for if query.get(f"was_{key}")}


def _space(request: HttpRequest, owner: str, name: str) -> Space:
    space = writable(request, owner, name)
    if space.sdk == Sdk.STATIC:
        raise Http404("There is no queue.")
    return space


def _asked(query: QueryDict) -> Asked:
    given = {key: query[key] for key in Asked.model_fields if query.get(key)}
    return Asked.model_validate(given).of_query({key: str(query[key]) for key in query})


def _context(space: Space, query: QueryDict) -> dict[str, Any]:
    present = what_if.present(space.pk)
    now = applied.by_name(present)
    context: dict[str, Any] = {
        "space": space,
        "range": query.get("range", "24h"),
        "ranges": [(value, label) for value, (label, _) in SHOWN.items()],
        "undo": undo(query, now),
        "fields": _fields(query, now, present.groups),
        "currency": settings.SPACEPORT_CURRENCY,
    }
    try:
        asked = _asked(query)
        context["proposed"] = {
            key: shown(value) for key, value in flat(asked.settings).items() if value != now.get(key)
        }
        context["answer"] = found = answer_for(space, asked)
        context["chart"] = _chart(found["series"])
    except (ValidationError, HubError) as error:
        context["problem"] = _sentence(error)
    return context


def _fields(query: QueryDict, now: dict[str, Any], groups: Sequence[GroupLimit]) -> list[dict[str, Any]]:
    """The fields of the form; groups whose number is their own have one each."""
    values = {key: shown(value) for key, value in now.items()} | {
        "replicas": "1", "speed": "1", "people": "0", "events_each": "1", "minutes": "60",
    }  # fmt: skip
    fields = [
        {
            "name": key,
            "title": TITLES.get(key) or BY_NAME[key].title,
            "value": query.get(key) or values[key],
            "stops": ",".join(map(str, stops)),
            "is_setting": key in SETTINGS,
        }
        for key, stops in STOPS.items()
        if key != "max_batch_size" or now["batch"]
    ]
    own = [f"{GROUP}{one.group}" for one in groups if one.source != "default"][:MOST_GROUPS]
    of_groups = [
        {
            "name": key,
            "title": f"Calls at once of {key.removeprefix(GROUP)}",
            "value": query.get(key) or values[key],
            "stops": ",".join(map(str, STOPS["concurrency_count"])),
        }
        for key in own
    ]
    return [*fields[:1], *of_groups, *fields[1:]]


def _row(one: Applied) -> dict[str, Any]:
    """A change as the page shows it."""
    changes = ", ".join(f"{key} {shown(one.before[key])} → {shown(one.after[key])}" for key in one.after)
    return {"one": one, "changes": changes, "off": None if one.error is None else f"{one.error:+.0%}"}


def _chart(series: dict[str, list[Any]]) -> dict[str, Any]:
    """Two lines over the time, as points of an SVG: their longest waits."""
    lines = {key: [value or 0.0 for value in series[f"{key}_wait_s"]] for key in ("now", "then")}
    most = max((max(values, default=0.0) for values in lines.values()), default=0.0)
    chart: dict[str, Any] = {"most_s": most, "width": WIDTH, "height": HEIGHT}
    for key, values in lines.items():
        step = WIDTH / max(len(values) - 1, 1)
        chart[key] = " ".join(
            f"{n * step:.1f},{HEIGHT - (HEIGHT - 4) * value / (most or 1):.1f}"
            for n, value in enumerate(values)
        )
    return chart


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """Settings with the numbers of groups as `group:<name>`."""
    single = {key: value for key, value in values.items() if key != "groups"}
    return single | {f"{GROUP}{name}": number for name, number in values.get("groups", {}).items()}


def shown(value: Any) -> str:
    """As forms and sentences have it."""
    return NONE if value is None else str(value)


def _sentence(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{first['loc'][0]}: {first['msg']}."
