"""`manage.py up`: run the whole platform on this machine."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any, NoReturn

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from hardware.hop.caddy import CaddyMissing
from hardware.placement import capacity
from hardware.runtimes import choose
from spaceport.up import bootstrap, caddy, embedded, steps
from spaceport.up.plan import Plan
from spaceport.web.servers import by_cores, server

BACKLOG = 4096  # connections that may wait while no web process accepts; the system may allow fewer


class Command(BaseCommand):
    help = (
        "Run the whole platform on this machine: web, workers, scheduler. Ctrl-C stops it. SIGHUP replaces "
        "its processes one after the other, so no request and no event fails."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--no-examples", action="store_true", help="do not push the example Spaces")
        parser.add_argument(
            "--tier", action="append", help="tier to serve here; may be repeated (default: cpu)"
        )
        parser.add_argument("--simulate", action="store_true", help="serve GPU tiers without their device")

    def handle(self, **options: Any) -> NoReturn:
        began = time.monotonic()

        def report(text: str) -> None:
            self.stdout.write(f"[{time.monotonic() - began:5.1f} s] {text}")
            self.stdout.flush()

        runtime = self._runtime()
        report(f"runtime: {runtime}, web server: {settings.SPACEPORT_WEB_SERVER}")
        proxy = self._proxy()
        listening = self._listen()
        report("preparing the database")
        call_command("migrate", verbosity=0, interactive=False)
        password = bootstrap.first_user()
        bootstrap.withdraw_ended()
        user = bootstrap.FIRST_USER
        plan = Plan(
            began=began,
            home=str(settings.SPACEPORT_HOME),
            code=str(settings.BASE_DIR),
            url=settings.SPACEPORT_URL,
            port=settings.PORT,
            socket=listening.fileno(),
            web_processes=settings.SPACEPORT_WEB_PROCESSES or by_cores(capacity.cores()),
            proxy=proxy,
            login=f"user {user}, password {password}" if password else "as before",
            user=user,
            examples=not options["no_examples"] and bootstrap.examples_are_missing(),
            lacks=steps.lacking() is not None,
            tiers=options["tier"] or ["cpu"],
            simulate=options["simulate"],
            embedded=embedded.running(settings.SPACEPORT_HOME),
            ours=embedded.STARTED,
        )
        self._become(plan, listening)

    @staticmethod
    def _become(plan: Plan, listening: socket.socket) -> NoReturn:
        """The supervisor: this process, without what it needed to prepare the platform."""
        listening.set_inheritable(True)
        path = os.pathsep.join([plan.code, os.path.join(plan.code, "platform")])  # noqa: PTH118
        os.environ["PYTHONPATH"] = path
        os.execv(sys.executable, [sys.executable, "-m", "spaceport.up", str(plan.sent())])  # noqa: S606

    @staticmethod
    def _listen() -> socket.socket:
        """The web's socket. This process keeps it open and never accepts: a connection made while a web
        process ends, or has died, waits for the next one instead of being refused."""
        try:
            listening = socket.create_server(("127.0.0.1", settings.PORT), backlog=BACKLOG)
        except OSError as error:
            raise CommandError(f"Port {settings.PORT} cannot be listened on: {error.strerror}.") from error
        return listening

    @staticmethod
    def _proxy() -> list[str]:
        """What runs it, where SPACEPORT_TLS is set."""
        host = settings.SPACEPORT_TLS.partition(":")[0]
        if not host:
            return []
        if host != "localhost" and settings.SPACEPORT_DEMO_DOMAIN == "localhost":
            raise CommandError("SPACEPORT_TLS needs SPACEPORT_DEMO_DOMAIN, the domain of the demos' hosts.")
        try:
            return caddy.command()
        except CaddyMissing as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def _runtime() -> str:
        """Its name. What the settings name must be there."""
        try:
            server(settings.SPACEPORT_WEB_SERVER)
            return choose(settings.SPACEPORT_RUNTIME).name
        except (ValueError, RuntimeError) as error:
            raise CommandError(str(error)) from error
