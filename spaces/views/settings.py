"""The Settings tab: each section is saved by itself. For members with write access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from hardware import nodes
from hardware.tiers import TIERS, UnknownTier, choosing, metering
from infra.redis_clients import sync_redis
from queueing import queue_settings
from queueing.stats import advice_facts, eta_accuracy
from queueing.stats.figures import figures_of
from queueing.store.admin_ops import clear
from spaces import creation, lifecycle, names, publishing
from spaces.card import CardError
from spaces.models import Sdk, Secret, Space, Variable, Visibility
from spaces.room import memory, tiers, waits
from spaces.scaling import section as scaling
from spaces.secrets import MOST_KEYS
from spaces.signin import section as publishers
from spaces.views.common import writable, writable_owners
from spaces.views.forms import (
    SLEEP_TIMES,
    SleepTime,
    VariableForm,
    group_rows,
    setting_rows,
    typed_numbers,
    typed_settings,
)
from spaces.views.pages import space_context
from spaces.volumes import section as volumes

GIB = 1024**3


@require_safe
@never_cache
def page(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The whole tab."""
    space = writable(request, owner, name)
    return render(request, "spaces/settings.html", _context(request, space))


@require_safe
@never_cache
def figures(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The live figures alone."""
    space = writable(request, owner, name)
    return render(request, "components/figures.html", _now(space))


@require_safe
@never_cache
def scaling_now(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """How many replicas run now and why, alone."""
    space = writable(request, owner, name)
    return render(request, "components/scaling.html", {"space": space, **scaling.context(space)})


def _now(space: Space) -> dict[str, Any]:
    """The live figures, and how good the promised times were this week."""
    kept = eta_accuracy.load(sync_redis(), [space.pk], days=7)[space.pk]
    return {"figures": figures_of([space.pk])[space.pk], "honesty": kept}


@require_POST
def change(request: HttpRequest, owner: str, name: str, section: str) -> HttpResponse:
    """Change one section; answers the section (htmx) or the page, with refusals beside their fields."""
    space = writable(request, owner, name)
    if section not in SECTIONS:
        raise Http404("There is no such section.")
    problem = SECTIONS[section](request, space)
    if problem is None and section in ("hardware", "visibility"):
        messages.success(request, SAVED[section])
        answer = redirect("settings", space.owner.name, space.name)
        if request.htmx:  # type: ignore[attr-defined]
            # What stands above the section changed too.
            answer = HttpResponse(headers={"HX-Refresh": "true"})  # type: ignore[assignment]
        return answer
    if problem is None and not request.htmx:  # type: ignore[attr-defined]
        messages.success(request, SAVED[section])
        return redirect("settings", space.owner.name, space.name)
    context = _context(request, space) | (problem or {"saved": SAVED[section]}) | {"section": section}
    template = f"components/settings_{section}.html" if request.htmx else "spaces/settings.html"  # type: ignore[attr-defined]
    return render(request, template, context, status=422 if problem else 200)


def _context(request: HttpRequest, space: Space) -> dict[str, Any]:
    offered = choosing.offered([space.owner_id])
    offers = [
        (offer, tier, tier.memory_bytes // GIB, tier.gpu_memory_bytes // GIB)
        for offer in nodes.offers()
        if offer.tier == space.hardware or offer.tier in offered
        for tier in (TIERS[offer.tier],)
    ]
    sleep = "" if space.sleep_time_s is None else str(space.sleep_time_s)
    return space_context(request, space, "settings") | {
        **_queue_rows(space),
        **_now(space),
        **volumes.context(space),
        **scaling.context(space),
        **memory.context(space),
        "measured": partial(
            advice_facts.sentences, space.pk, space.hardware
        ),  # read where the template shows it
        "offers": offers,
        "used": metering.of_space(space.pk),
        "currency": settings.SPACEPORT_CURRENCY,
        "suggested": space.card.get("suggested_hardware"),
        "absence": waits.explanation(space),
        "variables": space.variables.order_by("key"),
        "secrets": space.secrets.order_by("key"),
        "sleep": sleep,
        "sleep_times": SLEEP_TIMES | ({} if sleep in SLEEP_TIMES else {sleep: f"{sleep} seconds"}),
        "static": space.sdk == Sdk.STATIC,
        "gradio": space.sdk == Sdk.GRADIO,
        "publishers": space.publishers.order_by("pk"),
        "owners": writable_owners(request.user, also=space.owner_id),
        "move_name": space.name,
    }


# --- the sections: None when all is well, else what the template needs to show the refusal ----------


def _queue(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    values, errors = typed_settings(request.POST)
    numbers, refused = typed_numbers(request.POST, queue_settings.groups(space.pk))
    if errors or refused:
        return _queue_rows(space, request.POST, errors, refused)
    # Unchanged fields stay with the code's values.
    now = asdict(queue_settings.effective(space.pk))
    changed: dict[str, Any] = {name: value for name, value in values.items() if value != now[name]}
    queue_settings.change(space.pk, changed | ({"groups": numbers} if numbers else {}))
    return None


def _queue_rows(
    space: Space,
    posted: QueryDict | None = None,
    errors: dict[str, str] | None = None,
    refused: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The queue's settings, and the numbers of single groups, as the page shows them."""
    limits = queue_settings.groups(space.pk)
    groups = group_rows(limits, queue_settings.effective(space.pk).concurrency_count, posted, refused)
    return {
        "rows": setting_rows(space.pk, posted, errors, several=len(limits) > 1),
        "groups": groups,
    }


def _memory(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    memory.lower(space)
    return None


def _hardware(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    try:
        tiers.move(space, request.POST.get("tier", ""))
    except (UnknownTier, CardError) as error:
        return {"error": str(error)}
    return None


def _sleep(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    form = SleepTime(request.POST)
    if not form.is_valid():
        return {"error": "Choose one of the times, at least 60 seconds.", "sleep": ""}
    lifecycle.set_sleep_time(space, form.cleaned_data["seconds"])
    return None


def _pushes(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    space.hot_reload = request.POST.get("hot_reload") == "on"
    space.save(update_fields=["hot_reload", "last_modified"])
    return None


def _visibility(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    wanted = request.POST.get("visibility", "")
    if wanted not in Visibility.values:
        return {"error": "Choose public or private."}
    space.visibility = wanted
    space.save(update_fields=["visibility", "last_modified"])
    publishing.publish(space)
    return None


def _variables(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    return _environment(request, space, Variable)


def _secrets(request: HttpRequest, space: Space) -> dict[str, Any] | None:
    return _environment(request, space, Secret)


def _environment(
    request: HttpRequest, space: Space, model: type[Variable] | type[Secret]
) -> dict[str, Any] | None:
    rows = model._default_manager.filter(space=space)
    if gone := request.POST.get("delete"):
        rows.filter(key=gone).delete()
    else:
        form = VariableForm(request.POST)
        if not form.is_valid():
            # A refused secret is not sent back: its value is never shown.
            return {"form": form, "typed_value": "" if model is Secret else request.POST.get("value", "")}
        new = not rows.filter(key=form.cleaned_data["key"]).exists()
        if new and rows.count() >= MOST_KEYS:
            return {"error": f"A Space may have at most {MOST_KEYS} of these."}
        about = {"value": form.cleaned_data["value"]}
        if "description" in request.POST:
            about["description"] = form.cleaned_data["description"]
        rows.update_or_create(space=space, key=form.cleaned_data["key"], defaults=about)
    try:
        lifecycle.environment_changed(space)
    except CardError as error:
        return {"error": f"Saved. The Space cannot restart, though: {error}"}
    return None


SECTIONS: dict[str, Callable[[HttpRequest, Space], dict[str, Any] | None]] = {
    "queue": _queue,
    "memory": _memory,
    "hardware": _hardware,
    "replicas": scaling.change,
    "sleep": _sleep,
    "pushes": _pushes,
    "visibility": _visibility,
    "variables": _variables,
    "secrets": _secrets,
    "volumes": volumes.change,
    "publishers": publishers.change,
}
SAVED = {
    "queue": "Saved. It acts at once.",
    "memory": "Saved. It acts at once.",
    "hardware": "The Space moves. Visitors stay where they are until it runs there.",
    "replicas": "Saved. More start beside what runs; those that end finish their calls first.",
    "sleep": "Saved.",
    "pushes": "Saved. It acts on the next push.",
    "visibility": "Saved.",
    "variables": "Saved. A Space that runs starts anew with it.",
    "secrets": "Saved. A Space that runs starts anew with it.",
    "volumes": "Saved. A Space that runs starts anew with it.",
    "publishers": "Saved.",
}


# --- buttons ----------------------------------------------------------------------------------------


@require_POST
def act(request: HttpRequest, owner: str, name: str, action: str) -> HttpResponse:
    """Pause, restart, rebuild from scratch, clear the queue, cancel a move."""
    space = writable(request, owner, name)
    if action not in ACTIONS:
        raise Http404("There is no such action.")
    try:
        messages.success(request, ACTIONS[action](space))
    except CardError as error:
        messages.error(request, str(error))
    return redirect("space" if action == "restart" else "settings", space.owner.name, space.name)


def _pause(space: Space) -> str:
    lifecycle.pause(space)
    return f"{space} is paused. Waiting visitors see that, and keep their places until it starts again."


def _restart(space: Space) -> str:
    lifecycle.restart(space)
    return f"{space} starts anew."


def _rebuild(space: Space) -> str:
    lifecycle.restart(space, factory=True)
    return f"{space} is built from scratch."


def _clear(space: Space) -> str:
    cleared = clear(space.pk)
    return f"{cleared} waiting {'call was' if cleared == 1 else 'calls were'} ended; each visitor sees why."


def _cancel_move(space: Space) -> str:
    if tiers.cancel_move(space):
        return f"The move is cancelled: {space} stays on its hardware."
    return f"{space} is not on its way to other hardware."


ACTIONS: dict[str, Callable[[Space], str]] = {
    "pause": _pause,
    "restart": _restart,
    "rebuild": _rebuild,
    "clear": _clear,
    "cancel-move": _cancel_move,
}


@require_POST
def move(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Give the Space another name or owner."""
    space = writable(request, owner, name)
    target = (
        writable_owners(request.user, also=space.owner_id).filter(name=request.POST.get("owner", "")).first()
    )
    wanted = request.POST.get("name", "").strip()
    try:
        if target is None:
            raise names.BadRepoId("Choose one of the owners for whom you may write.")
        creation.move(space, target, wanted)
    except (names.BadRepoId, creation.AlreadyExists, creation.HasVolumes, CardError, UnknownTier) as error:
        text = f"{error.space} exists already." if isinstance(error, creation.AlreadyExists) else str(error)
        context = _context(request, space) | {"move_error": text, "move_name": wanted}
        return render(request, "spaces/settings.html", context, status=422)
    messages.success(request, f"The Space is {space} now. Its old addresses lead here.")
    return redirect("settings", space.owner.name, space.name)


@require_POST
def delete(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Delete the Space, once its name is typed."""
    space = writable(request, owner, name)
    if request.POST.get("confirm", "").strip() != str(space):
        context = _context(request, space) | {"delete_error": f"Type {space} exactly to delete it."}
        return render(request, "spaces/settings.html", context, status=422)
    lifecycle.delete(space)
    messages.success(request, f"{owner}/{name} is deleted.")
    return redirect("dashboard")
