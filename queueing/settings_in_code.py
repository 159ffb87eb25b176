"""The queue settings in an app's own code."""

from __future__ import annotations

from typing import Any

from queueing.groups import in_code
from queueing.setting_fields import FIELDS, MOST_CALLS

#: The arguments of `queue()` that are settings by the same name.
IN_CODE = tuple(field.name for field in FIELDS if f"queue.{field.name}" in field.gradio)


def settings_in_code(report: dict[str, object]) -> dict[str, object]:
    """The queue settings in an app's code, from the launcher's report."""
    queue = report.get("queue")
    given = queue if isinstance(queue, dict) else {}
    found = {name: given[name] for name in IN_CODE if given.get(name) is not None}
    # None is a value of the author's too: no limit.
    if isinstance(limit := given.get("default_concurrency_limit", ""), int | None):
        found["concurrency_count"] = limit and min(limit, MOST_CALLS)
    functions = _functions(report)
    sizes = [one.get("max_batch_size") for one in functions if one.get("batch")]
    if sizes:
        found["batch"] = True
        found["max_batch_size"] = max(size if isinstance(size, int) else 4 for size in sizes)
    if isinstance(report.get("max_threads"), int):
        found["max_threads"] = report["max_threads"]
    if functions:
        found |= {"groups": in_code(report), "gate": bool(report.get("gate"))}
    return found


def _functions(report: dict[str, object]) -> list[dict[str, Any]]:
    """Of all Gradio apps that the Space serves."""
    first, further = report.get("functions"), report.get("further")
    lists = [first, *(further.values() if isinstance(further, dict) else ())]
    found = [function for functions in lists if isinstance(functions, list) for function in functions]
    return [function for function in found if isinstance(function, dict)]
