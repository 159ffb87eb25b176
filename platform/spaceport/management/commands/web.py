"""`manage.py web`: one web process."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from spaceport.web import assets, reports
from spaceport.web.request_threads import keep_connections
from spaceport.web.servers import server


class Command(BaseCommand):
    help = (
        "Run one web process for the platform and its demos, on the server that SPACEPORT_WEB_SERVER names."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument(
            "--port", type=int, default=settings.PORT, help="port to listen on (default: PORT)"
        )
        parser.add_argument("--fd", type=int, help="use this open listening socket instead")
        parser.add_argument("--name", help="what it is called in the metrics (default: its process number)")

    def handle(self, **options: Any) -> None:
        try:
            serve = server(settings.SPACEPORT_WEB_SERVER)
            if options["name"]:
                reports.call_this(options["name"])
            keep_connections()
            assets.collect()
            serve(host=options["bind"], port=options["port"], fd=options["fd"])
        except (ValueError, OSError) as error:  # no such server; a folder or an address that cannot be used
            raise CommandError(str(error)) from error
