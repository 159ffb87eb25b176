"""Which client calls a replica."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from queueing.dispatch.backends.gradio3 import Gradio3Client
from queueing.dispatch.backends.gradio_pre_4_29 import GradioPre429Client
from queueing.dispatch.backends.gradio_sse import GradioSseClient
from queueing.dispatch.backends.mounted import MountedAppsClient
from queueing.dispatch.backends.queued_paths import QueuedPathsClient

if TYPE_CHECKING:
    from hardware.replica_client import ReplicaClient
    from queueing.dispatch.backends.base import AppClient
    from queueing.routes import Route
    from queueing.store.http_results import ResponseStore


def connect(http: ReplicaClient, route: Route, answers: ResponseStore) -> AppClient:
    """The client of this replica: for the protocol of its app, and for plain HTTP where paths queue."""
    several = bool(route.app.mounted)
    app = MountedAppsClient(route, partial(_gradio, http)) if several else _gradio(http, route)
    return QueuedPathsClient(http, route, answers, app) if route.app.paths else app


def _gradio(http: ReplicaClient, route: Route) -> AppClient:
    if route.app.protocol == "ws":
        return Gradio3Client(http, route)
    if (4, 0) <= route.app.release < (4, 29):
        return GradioPre429Client(http, route)
    return GradioSseClient(http, route)
