"""Which client calls a replica."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from queueing.dispatch.backends.gradio3 import WebSocketApp
from queueing.dispatch.backends.gradio_pre_4_29 import ResetApp
from queueing.dispatch.backends.gradio_sse import GradioApp
from queueing.dispatch.backends.mounted import MountedApps
from queueing.dispatch.backends.queued_paths import PathsContainer

if TYPE_CHECKING:
    from hardware.replica_client import ReplicaClient
    from queueing.dispatch.backends.base import AppClient
    from queueing.routes import Route
    from queueing.store.http_results import Answers


def connect(http: ReplicaClient, route: Route, answers: Answers) -> AppClient:
    """What calls this replica: by the protocol of its app, and by plain HTTP where paths queue."""
    several = bool(route.app.mounted)
    app = MountedApps(route, partial(_gradio, http)) if several else _gradio(http, route)
    return PathsContainer(http, route, answers, app) if route.app.paths else app


def _gradio(http: ReplicaClient, route: Route) -> AppClient:
    if route.app.protocol == "ws":
        return WebSocketApp(http, route)
    if (4, 0) <= route.app.release < (4, 29):
        return ResetApp(http, route)
    return GradioApp(http, route)
