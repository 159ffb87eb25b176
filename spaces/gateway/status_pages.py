"""What visitors see while there is no app to show: a page for browsers, a sentence for programs."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.template.loader import render_to_string

from queueing.routes import Route
from spaces.models import Stage

SENTENCES: dict[str, tuple[str, str, str]] = {
    Stage.BUILDING: ("Building", "is being built.", "It appears here by itself when it is ready."),
    Stage.APP_STARTING: ("Starting", "is starting.", "It appears here by itself when it is ready."),
    Stage.RUNNING: ("Starting", "is restarting.", "It appears here by itself when it is ready."),
    Stage.SLEEPING: ("Waking up", "was asleep and is waking up.", "It appears here by itself."),
    Stage.PAUSED: ("Paused", "is paused by its owner.", "Ask its owner to restart it."),
    Stage.NO_APP_FILE: ("Nothing here yet", "has no app yet.", "It appears here once its owner pushes one."),
    Stage.CONFIG_ERROR: ("Configuration error", "has an error in its README.", "Its owner sees the details."),
    Stage.BUILD_ERROR: ("Build error", "could not be built.", "Its owner sees the details in the logs."),
    Stage.RUNTIME_ERROR: ("Stopped", "stopped with an error.", "Its owner sees the details in the logs."),
}
WAITS = {Stage.BUILDING, Stage.APP_STARTING, Stage.RUNNING, Stage.SLEEPING, Stage.STOPPED}


def sentence(route: Route) -> str:
    """Why the Space does not answer, for a program."""
    _, what, hint = _words(route)
    return f"{route.title} {what} {hint}"


async def page(route: Route) -> bytes:
    """Why the Space does not answer, as a page that reloads itself where that may help."""
    title, what, hint = _words(route)
    return await _render(
        title=f"{title} · {route.title}",
        heading=title,
        message=f"{route.title} {what}",
        hint=hint,
        refresh_s=3 if route.stage in WAITS else None,
    )


async def refusal(status: int, text: str, enter: str = "") -> bytes:
    """A refusal of the gateway itself, as a page; with a link to `enter`, where that may help."""
    return await _render(
        title=str(status), heading=str(status), message=text, hint="", refresh_s=None, enter=enter
    )


async def too_many(wait_s: int) -> bytes:
    """This visitor opened too many pages, as a page that reloads itself when one more is allowed."""
    message = "Too many pages were opened from here within a minute."
    hint = "It opens by itself in a moment. Signed in, only your own count."
    return await _render(
        title="429", heading="A moment, please", message=message, hint=hint, refresh_s=wait_s
    )


async def away(sentence: str, refresh_s: int) -> bytes:
    """A server of the platform is away, as a page that reloads itself."""
    return await _render(
        title="503", heading="A moment, please", message=sentence, hint="", refresh_s=refresh_s
    )


def _words(route: Route) -> tuple[str, str, str]:
    if route.awaits:
        return "Waiting for hardware", f"is waiting. {route.awaits}", "Keep this page open."
    stage = route.stage.replace("RUNNING_", "") if route.stage.startswith("RUNNING_") else route.stage
    return SENTENCES.get(stage, ("Not running", "is not running.", "Try again in a moment."))


async def _render(**context: Any) -> bytes:
    text = await sync_to_async(render_to_string, thread_sensitive=False)(
        "gateway/notice.html", {"log_lines": [], **context}
    )
    return text.encode()
