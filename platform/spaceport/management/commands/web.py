"""`manage.py web`: one web process."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from spaceport.web.servers import server


class Command(BaseCommand):
    help = "Serve the platform and its demos: one web process, by the server that SPACEPORT_WEB_SERVER names."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="default: %(default)s")
        parser.add_argument("--fd", type=int, help="serve this listening socket, open already")

    def handle(self, **options: Any) -> None:
        try:
            serve = server(settings.SPACEPORT_WEB_SERVER)
            serve(host=options["bind"], port=options["port"], fd=options["fd"])
        except (ValueError, OSError) as error:  # no such server; an address that cannot be listened on
            raise CommandError(str(error)) from error
