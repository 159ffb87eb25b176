"""Websocket routes of the platform's host."""

from django.urls import path

from queueing.protocols.websocket import QueueConsumer
from spaces.gateway.proxy.headers import of_program
from spaces.visits import verify


class SpaceQueueConsumer(QueueConsumer):
    """The queue's websocket, for Spaces whose pages sign their visits."""

    read_visit = staticmethod(verify)
    known_to_app = staticmethod(of_program)


websocket_urlpatterns = [
    path("ws/spaces/<str:owner>/<str:name>/queue", SpaceQueueConsumer.as_asgi()),
]
