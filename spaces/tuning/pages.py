"""The page "Measure": how much a Space can run at once, measured on a replica of its own, and what to set
then. For members with write access."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from pydantic import ValidationError

from queueing.models import TuningRun
from queueing.tuning import applied, runs, what_if
from queueing.tuning.results import Results
from spaces.api.hub import HubError
from spaces.models import Sdk, Space
from spaces.tuning import start
from spaces.tuning.api import Asked, recommended
from spaces.tuning.charts import charts
from spaces.views.common import writable
from spaces.views.pages import space_context
from spaces.views.what_if import flat, put_into_force, shown, undo

#: Versions that are compared.
VERSIONS = 5


@require_safe
@never_cache
def page(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The last measurement, what it recommends, and those of earlier versions."""
    space = _space(request, owner, name)
    settings_now = applied.by_name(what_if.present(space.pk))
    context = space_context(request, space, "statistics") | _context(space)
    context["undo"] = undo(request.GET, settings_now)
    return render(request, "spaces/tuning.html", context)


@require_safe
@never_cache
def now(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The measurement alone, as far as it has come."""
    return render(request, "components/tuning_now.html", _context(_space(request, owner, name)))


@require_POST
def begin(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Start one."""
    space = _space(request, owner, name)
    try:
        start.start(space, _asked(request).options(), str(request.user))
    except (start.CannotStart, HubError) as error:
        messages.error(request, str(error))
    except ValidationError as error:
        first = error.errors()[0]
        messages.error(request, f"{first['loc'][0]}: {first['msg']}.")
    return redirect(f"/{space}/tuning")


@require_POST
def cancel(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """End the one that goes on; what was measured stays."""
    space = _space(request, owner, name)
    if (run := runs.open_run(space.pk)) is not None:
        runs.end(run.pk, TuningRun.Status.CANCELLED, f"{request.user} cancelled it.")
    return redirect(f"/{space}/tuning")


@require_POST
def apply(request: HttpRequest, owner: str, name: str, run_id: int) -> HttpResponse:
    """Put what it recommends into force. The page then offers the way back."""
    space = _space(request, owner, name)
    run = runs.of(space.pk).filter(pk=run_id).first()
    if run is None:
        raise Http404("There is no such measurement.")
    found = recommended(run)
    question = what_if.Question(settings=found.settings)
    said = f"Version {run.sha[:7]}. {found.expected}"
    return put_into_force(request, space, question, "tuning", said)


def _space(request: HttpRequest, owner: str, name: str) -> Space:
    space = writable(request, owner, name)
    if space.sdk == Sdk.STATIC:
        raise Http404("There is nothing to measure.")
    return space


def _asked(request: HttpRequest) -> Asked:
    """What the form asks for.

    Raises:
        HubError: its inputs are no JSON.
        ValidationError
    """
    given: dict[str, Any] = {
        key: value for key in ("max_concurrency", "max_batch", "seconds") if (value := request.POST.get(key))
    }
    if written := request.POST.get("inputs", "").strip():
        try:
            given["inputs"] = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise HubError(400, f"The inputs are no JSON: {error}") from error
    return Asked.model_validate(given)


def _context(space: Space) -> dict[str, Any]:
    newest = runs.of(space.pk).first()
    context: dict[str, Any] = {"space": space, "run": newest, "versions": _versions(space)}
    if newest is None:
        return context
    results, found = Results.from_json(newest.results), recommended(newest)
    choices = {one.group: one for one in found.choices}
    context |= {
        "goes_on": newest.finished_at is None,
        "results": results,
        "measured": [
            {
                "group": group,
                "choice": choices.get(group.group),
                "charts": charts(group, choices.get(group.group), results),
                "has_gpu": any(point.gpu_memory_bytes is not None for point in group.points),
            }
            for group in results.groups
        ],
        "why": found.why,
    }
    if newest.finished_at is not None:
        present = flat({**found.settings})
        context["proposed"] = {key: shown(value) for key, value in present.items()}
    return context


def _versions(space: Space) -> list[dict[str, Any]]:
    """The last complete measurement of each version, the newest first."""
    found: dict[str, TuningRun] = {}
    for run in runs.of(space.pk).filter(status=TuningRun.Status.DONE):
        if run.sha not in found and len(found) < VERSIONS:
            found[run.sha] = run
    return [
        {"run": run, "group": group, "best": best}
        for run in found.values()
        for group in Results.from_json(run.results).groups
        if (best := group.best) is not None
    ]
