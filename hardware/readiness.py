"""Does a replica answer, and what does its launcher say about the app?"""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_S = 5
SERVER_ERROR = 500
REPORT = "/__spaceport__/report"


def answers(address: str, sdk: str) -> bool:
    """Whether an HTTP server answers there. Gradio is asked for `/config`: with a password it answers 401,
    and an app that mounts it below a path of its own answers 404; all of them serve."""
    path = "/config" if sdk == "gradio" else "/"
    try:
        # The body is not waited for: a first page may be long, or never end.
        with requests.get(
            f"http://{address}{path}", timeout=TIMEOUT_S, allow_redirects=False, stream=True
        ) as answer:
            return answer.status_code < SERVER_ERROR
    except requests.RequestException:
        return False


def report(address: str) -> dict[str, Any]:
    """The launcher's report; empty where the app runs without it."""
    try:
        answer = requests.get(f"http://{address}{REPORT}", timeout=TIMEOUT_S, allow_redirects=False)
        found = answer.json() if answer.ok else {}
    except (requests.RequestException, ValueError):
        return {}
    return found if isinstance(found, dict) and "functions" in found else {}
