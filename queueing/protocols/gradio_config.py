"""What a Gradio app offers, read from its own `/config` (3.50 to 6.31)."""

from __future__ import annotations

from typing import Any

from queueing.routes import App, Function

#: Triggers that fire by themselves: their events take the side lane, so that a page never looks dead
#: behind a long job.
BY_THEMSELVES = {"load", "tick", "unload"}  # `groups` of the launcher has the same


def app_from_config(config: dict[str, Any], mount: str = "") -> App:
    """The parts of `/config` that decide how events are queued, of an app that lies at `mount`."""
    dependencies = config.get("dependencies") or []
    return App(
        protocol=config.get("protocol") or "ws",
        version=str(config.get("version") or ""),
        prefix=mount + (config.get("api_prefix") or "").rstrip("/"),
        mount=mount,
        pages=tuple(str(page[0]) for page in config.get("pages") or [("", "")]),
        functions=tuple(function(d, i) for i, d in enumerate(dependencies)),
    )


def function(dependency: dict[str, Any], index: int = 0) -> Function:
    """One of the `dependencies`; `index` is its id in releases that number them by their order."""
    queue = dependency.get("queue") is not False
    targets = dependency.get("targets") or []
    by_itself = bool(targets) and all(len(t) > 1 and t[1] in BY_THEMSELVES for t in targets)
    api_name = dependency.get("api_name")
    return Function(
        id=int(dependency.get("id", index)),
        api_name=api_name if isinstance(api_name, str) else "",
        queue=queue,
        batch=bool(dependency.get("batch")),
        max_batch_size=int(dependency.get("max_batch_size") or 4),
        generator=bool((dependency.get("types") or {}).get("generator")),
        streams=dependency.get("connection") == "stream",
        lane="main" if queue and not by_itself else "side",
        after=dependency.get("trigger_after"),
        cancels=tuple(dependency.get("cancels") or ()),
    )
