"""Functions that the app's config does not name, for they were made later: by `gr.render`, in one session, or
by code that runs after the start."""

from __future__ import annotations

from typing import Any

from spaceport_launcher import groups, report

ROUTE = "/__spaceport__/function"


def function(apps: dict[str, Any], asked: dict[str, str]) -> dict[str, Any]:
    """What a session knows of a function, in the words of `/config`; empty where it has no such one.

    Args:
        apps: the Gradio apps by the path they lie at.
        asked: `mount`, `session` (its hash), and `fn` (an id) or `name` (an API name).
    """
    mount = asked.get("mount", "")
    if (app := apps.get(mount)) is None:
        return {}
    sessions = getattr(getattr(app, "state_holder", None), "session_data", {})
    config = getattr(sessions.get(asked.get("session", "")), "blocks_config", None)
    for found in report.block_functions(config or app.get_blocks()):
        number, name = getattr(found, "_id", None), getattr(found, "api_name", None)
        if number is None or (str(number) != asked["fn"] if "fn" in asked else name != asked.get("name")):
            continue
        return {
            "id": number,
            "api_name": name,
            "queue": found.queue,
            "batch": found.batch,
            "max_batch_size": found.max_batch_size,
            "types": {"generator": bool(found.types_generator)},
            "connection": getattr(found, "connection", "sse"),
            "cancels": list(getattr(found, "cancels", None) or ()),
            "group": _group(apps, mount, found),
        }
    return {}


def _group(apps: dict[str, Any], mount: str, function: Any) -> str:
    """The group of a function that its app knew when it started; else one that begins with "~"."""
    if not hasattr(function, "concurrency_id"):
        return ""
    known = groups.Groups(report.block_functions(apps[mount].get_blocks()))
    return groups.below("" if mount == next(iter(apps)) else mount, known.name(function))
