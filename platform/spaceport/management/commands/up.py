"""`manage.py up`: run the whole platform on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from hardware.runtimes import choose
from hardware.runtimes.base import EngineUnavailable
from infra.folders import private
from spaceport.up import bootstrap
from spaceport.up.child import Child
from spaceport.up.embedded import postgres, valkey
from spaceport.up.supervisor import Server, Supervisor
from spaceport.web.servers import server

READY_S = 90
BACKLOG = 4096  # connections that may wait while no web process accepts; the system may allow fewer
HANDOVER_S = 120
LOOK_EVERY_S = 10
#: Workers say nothing to each other: rows and leases are what they know of each other.
LONELY = ["--without-gossip", "--without-mingle", "--without-heartbeat"]


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

    def handle(self, **options: Any) -> None:
        self.began = time.monotonic()
        runtime = self._runtime()
        self.say(f"runtime: {runtime}, web server: {settings.SPACEPORT_WEB_SERVER}")
        self.listening = self._listen()
        self.say("preparing the database")
        call_command("migrate", verbosity=0, interactive=False)
        password = bootstrap.first_user()
        bootstrap.withdraw_ended()
        home = settings.SPACEPORT_HOME
        logs = (postgres(home).log, valkey(home).log)
        supervisor = Supervisor(self._children(home, options), self._servers(home), self.say, logs)
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, lambda *_: setattr(supervisor, "stopping", True))
        in_terminal = sys.stdin.isatty()

        def hang_up(*_: object) -> None:
            """Of a terminal that was closed, or asked for by `kill -HUP`."""
            gone = in_terminal and not os.isatty(sys.stdin.fileno())
            setattr(supervisor, "stopping" if gone else "renewing", True)

        signal.signal(signal.SIGHUP, hang_up)
        private(home / "repositories")
        (home / "up.pid").write_text(f"{os.getpid()}\n")
        self.say("starting web, workers and scheduler")
        threading.Thread(target=self._say_what_is_lacking, daemon=True).start()
        supervisor.start()
        try:
            self._wait_until_well(supervisor)
            if not options["no_examples"]:
                for space in bootstrap.examples():
                    self.say(f"pushed the example {space}")
            self._welcome(password)
            supervisor.watch(lambda: self._renew(supervisor))
        finally:
            self.say("stopping")
            supervisor.stop()
            self._stop_replicas()
            self.say("stopped")

    def _say_what_is_lacking(self) -> None:
        """Until nothing is."""
        said = ""
        while (lacking := self._lacking()) is not None:
            if lacking and not said:
                self.say(lacking)
                said = lacking
            time.sleep(LOOK_EVERY_S)
        if said:
            self.say("Nothing is missing any more: builds go on.")

    @staticmethod
    def _lacking() -> str | None:
        """What no Space can be built without; "" where that is not known now, None where nothing lacks."""
        try:
            return choose(settings.SPACEPORT_RUNTIME).lacks() or None
        except EngineUnavailable:
            return ""

    def say(self, text: str) -> None:
        self.stdout.write(f"[{time.monotonic() - self.began:5.1f} s] {text}")
        self.stdout.flush()

    def _listen(self) -> socket.socket:
        """The web's socket. This process holds it and never accepts: a connection made while a web process
        ends, or has died, waits for the next one instead of being refused."""
        try:
            listening = socket.create_server(("127.0.0.1", settings.PORT), backlog=BACKLOG)
        except OSError as error:
            raise CommandError(f"Port {settings.PORT} cannot be listened on: {error.strerror}.") from error
        return listening

    def _renew(self, supervisor: Supervisor) -> None:
        """With the code that lies here now: its migrations, then its processes."""
        self.say("migrating the database")
        migrate = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--noinput", "-v", "0"]
        env = {**os.environ, "SPACEPORT_HOME": str(settings.SPACEPORT_HOME)}
        if subprocess.run(migrate, env=env, stdin=subprocess.DEVNULL, check=False).returncode:  # noqa: S603
            self.say("the migration failed: everything stays as it is")
            return
        supervisor.renew()

    @staticmethod
    def _runtime() -> str:
        """Its name. What the settings name must be there."""
        try:
            server(settings.SPACEPORT_WEB_SERVER)
            return choose(settings.SPACEPORT_RUNTIME).name
        except (ValueError, RuntimeError) as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def _servers(home: Path) -> list[Server]:
        pg, vk = postgres(home), valkey(home)
        ours = [Server("PostgreSQL", pg.pid, pg.start), Server("Valkey", vk.pid, vk.start)]
        return [server for server in ours if server.pid() is not None]

    def _children(self, home: Path, options: dict[str, Any]) -> list[Child]:
        python, logs = sys.executable, home / "log"
        celery = [python, "-m", "celery", "-A", "spaceport", "--quiet"]
        manage = [python, str(settings.BASE_DIR / "manage.py")]
        tiers = [arg for tier in options["tier"] or ["cpu"] for arg in ("--tier", tier)]
        simulate = ["--simulate"] if options["simulate"] else []
        path = os.pathsep.join([str(settings.BASE_DIR), str(settings.BASE_DIR / "platform")])
        env = {"PYTHONPATH": path, "SPACEPORT_HOME": str(home)}
        fd = self.listening.fileno()
        web = [*manage, "web", "--fd", str(fd)]
        build = [
            "worker",
            "-P",
            "threads",
            "-c",
            "16",
            "-Q",
            "build,control",
            "-n",
            "build@%h",
            "-l",
            "WARNING",
            *LONELY,
        ]
        node = ["node", "--wait", str(HANDOVER_S), *tiers, *simulate]
        beat = [python, "-m", "spaceport.up.scheduler", str(home / "beat-schedule")]
        return [
            Child("web", web, logs / "web.log", env, fds=(fd,), beside=True, hurries=True),
            Child("build worker", [*celery, *build], logs / "build.log", env, beside=True),
            Child("node worker", [*manage, *node], logs / "node.log", env, beside=True),
            Child("beat", beat, logs / "beat.log", env),
        ]

    def _wait_until_well(self, supervisor: Supervisor) -> None:
        deadline = time.monotonic() + READY_S
        problem = "web does not answer yet"
        while not supervisor.stopping:
            supervisor.check()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{settings.PORT}/healthz", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                problem = error.read().decode()[:500]
            except OSError:
                pass
            if time.monotonic() > deadline:
                logs = settings.SPACEPORT_HOME / "log"
                raise CommandError(f"The platform was not ready after {READY_S} s: {problem}. Logs: {logs}")
            time.sleep(0.1)

    def _welcome(self, password: str | None) -> None:
        url = settings.SPACEPORT_URL
        api = f"http://127.0.0.1:{settings.PORT}" if "//localhost" in url else url
        login = f"user {bootstrap.FIRST_USER}, password {password}" if password else "as before"
        self.say(f"Spaceport is up: {url}")
        user = bootstrap.FIRST_USER
        python = os.path.relpath(sys.executable)
        self.stdout.write(
            f"\n  Address   {url}\n  Sign in   {login}\n\n  Push a demo:\n"
            f"    export HF_ENDPOINT={api}\n"
            f"    export HF_TOKEN=$({python} manage.py token {user} | tail -1)\n"
            f"    hf upload {user}/my-demo . --repo-type space\n\n  Ctrl-C stops everything.\n"
        )
        self.stdout.flush()

    def _stop_replicas(self) -> None:
        """Containers outlive their worker; a stopped platform leaves none."""
        runtime = choose(settings.SPACEPORT_RUNTIME)
        for running in runtime.running().values():
            runtime.stop(running.runtime_id, grace_s=3)
