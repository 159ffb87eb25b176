"""Whole values from the differences that Gradio's protocol sends from `sse_v2` on."""

from __future__ import annotations

from typing import Any


def apply(values: list[Any], data: list[Any]) -> list[Any]:
    """Full values from a `process_generating`: the first carries them, later ones a list of differences
    for each output (gradio_client/utils.py `apply_diff`)."""
    if not values:
        return data
    new = []
    for value, difference in zip(values, data, strict=True):
        for action, path, change in difference:
            value = _changed(value, action, path, change)
        new.append(value)
    return new


def _changed(value: Any, action: str, path: list[Any], change: Any) -> Any:
    if not path:
        return value + change if action == "append" else change
    key, *rest = path
    copy = list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value
    if rest or action == "append":
        copy[key] = _changed(copy[key], action, rest, change)
    elif action == "delete":
        del copy[key]
    elif action == "add" and isinstance(copy, list):
        copy.insert(key, change)
    else:
        copy[key] = change
    return copy
