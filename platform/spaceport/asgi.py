"""Which host is served by what: demo hosts by the gateway, the platform host by Django and Channels."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")

application = ProtocolTypeRouter({"http": get_asgi_application()})
