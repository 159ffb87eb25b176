"""A Space's own page: the demo in a frame, its line above, or why there is no demo to show now."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from queueing import queue_settings
from queueing.wakeup import wake_space
from spaces import names, visits
from spaces.models import Sdk, Space, Stage
from spaces.room import waits
from spaces.scaling import words
from spaces.views.common import is_writer, readable
from spaces.views.failures import failure
from spaces.views.progress import last_lines, progress

LOG_LINES = 12

#: What to do about each stage in which there is no demo: (for its owner, for visitors).
ADVICE: dict[str, tuple[str, str]] = {
    Stage.NO_APP_FILE: ("Push an app and it starts by itself.", "It appears here once its owner pushes one."),
    Stage.CONFIG_ERROR: ("Correct the README and push again.", "Its owner has to correct it."),
    Stage.BUILDING: ("It appears here by itself when it is ready.",) * 2,
    Stage.BUILD_ERROR: (
        "Read the last lines below, correct the files and push again; a factory rebuild starts from scratch.",
        "Its owner sees the details in the logs.",
    ),
    Stage.APP_STARTING: ("It appears here by itself when it is ready.",) * 2,
    Stage.RUNTIME_ERROR: (
        "Read the last lines below; push a correction, or restart it on the Settings tab.",
        "Its owner sees the details in the logs.",
    ),
    Stage.SLEEPING: ("It was asleep and is being woken; it appears here by itself.",) * 2,
    Stage.PAUSED: (
        "Restart it on the Settings tab to serve visitors again.",
        "Only its owner can restart it.",
    ),
    Stage.STOPPED: ("Restart it on the Settings tab.", "Try again in a moment."),
    Stage.DELETING: ("It is being deleted.",) * 2,
}


def space_context(request: HttpRequest, space: Space, tab: str) -> dict[str, Any]:
    """What the frame around every tab of a Space needs."""
    return head_context(request, space) | {"tab": tab}


def head_context(request: HttpRequest, space: Space) -> dict[str, Any]:
    """What the head of every tab shows, and renews: the stage, and the hardware that serves and is wanted."""
    replica = space.replica if space.stage.startswith("RUNNING") else None
    writer = is_writer(request, space)
    moving = space.sdk != Sdk.STATIC and replica is not None and replica.tier != space.hardware
    return {
        "space": space,
        "liked": request.user.is_authenticated and space.liked_by.filter(user_id=request.user.pk).exists(),
        "writer": writer,
        "serving": replica.tier if replica is not None else space.hardware,
        "moving": moving,
        "moving_waits": waits.explanation(space) if moving else "",
        "simulated": bool(replica and replica.simulated),
        "replicas_are": words.about(space) if writer else "",
        "progress": progress(space),
        "queue": queue_settings.effective(space.pk),
    }


@require_safe
@never_cache
def app(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The App tab. Opening it wakes a sleeping Space."""
    space = readable(request, owner, name)
    if (owner, name) != (space.owner.name, space.name):
        return redirect(f"/{space}")
    if space.stage == Stage.SLEEPING:
        wake_space(space.pk)
    _, visit = visits.sign(space.pk, request.user.pk)
    context = space_context(request, space, "app") | panel_context(request, space, visit)
    replica = space.replica
    base_url = f"{request.scheme}://{request.get_host()}"
    functions = replica.report.get("functions") if replica else None
    named = [f.get("api_name") for f in functions or [] if f.get("api_name")]
    context |= {
        "visit": visit,
        "demo_url": names.demo_url(space),
        "api": space.sdk == Sdk.GRADIO,
        "api_name": named[0] if named else "predict",
        "info_url": f"{names.run_url(space, base_url)}/gradio_api/info",
        "program_url": names.program_url(space, base_url),
        "platform_url": f"{request.scheme}://{request.get_host()}",
    }
    return render(request, "spaces/app.html", context)


@require_safe
@never_cache
def panel(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The App tab's inside alone: fetched when the stage changes. It goes on as the same visit."""
    space = readable(request, owner, name)
    visit = request.GET.get("visit", "")
    if visits.verify(visit, space.pk) is None:
        _, visit = visits.sign(space.pk, request.user.pk)
    context = space_context(request, space, "app") | panel_context(request, space, visit)
    return render(request, "components/panel.html", context)


@require_safe
@never_cache
def stage(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """The head of every tab, as it is now."""
    space = readable(request, owner, name)
    return render(request, "components/space_now.html", head_context(request, space))


def panel_context(request: HttpRequest, space: Space, visit: str) -> dict[str, Any]:
    """The frame's address while it runs; else the stage's reason, advice and, for writers, last lines."""
    running = space.stage.startswith("RUNNING")
    if running:
        return {"running": True, "frame": f"{names.demo_url(space)}/?__visit={visit}"}
    writer = is_writer(request, space)
    advice = ADVICE.get(space.stage, ADVICE[Stage.STOPPED])[0 if writer else 1]
    # A reason may quote the app's last lines: visitors get only the stage.
    reason = failure(space.stage_reason if writer else "")
    return {
        "running": False,
        "visit": visit,
        "platform_url": f"{request.scheme}://{request.get_host()}",
        "advice": advice,
        "log_lines": last_lines(space, LOG_LINES) if writer and not reason.lines else [],
        "reason": reason,
        "absence": waits.explanation(space) if space.sdk != Sdk.STATIC else "",
        "waits": space.stage in (Stage.BUILDING, Stage.APP_STARTING, Stage.SLEEPING),
    }
