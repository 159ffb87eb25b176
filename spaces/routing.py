"""Websocket routes of the platform's host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import URLPattern, path

from queueing.protocols.websocket import QueueConsumer
from spaces.gateway.places import home_of_files
from spaces.gateway.proxy.headers import of_program
from spaces.visits import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from queueing.protocols.context import WebContext


class SpaceQueueConsumer(QueueConsumer):
    """The queue's websocket, for Spaces whose pages sign their visits."""

    read_visit = staticmethod(verify)
    identity_headers = staticmethod(of_program)
    home_of = staticmethod(home_of_files)


def websocket_routes(web: Callable[[], WebContext]) -> list[URLPattern]:
    """The routes, whose sockets share `web`."""
    consumer = SpaceQueueConsumer.as_asgi(context=web)
    return [path("ws/spaces/<str:owner>/<str:name>/queue", consumer)]
