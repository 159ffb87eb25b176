"""One run of `up`: its processes, its output, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from infra.folders import private
from spaceport.up.child import Child
from spaceport.up.embedded import Postgres, Valkey, postgres, valkey
from spaceport.up.plan import Plan
from spaceport.up.supervisor import Server, Supervisor

READY_S = 90
HANDOVER_S = 120


def web_names(count: int) -> list[str]:
    """What the web processes are called, in messages, metrics and their logs' names."""
    return ["web", *(f"web {number}" for number in range(2, count + 1))]


class NotReady(RuntimeError):
    """The platform was not ready in time."""


class Run:
    """From the start of the processes to their end."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.home, self.code = Path(plan.home), Path(plan.code)
        self._servers: dict[str, Postgres | Valkey] = {
            "PostgreSQL": postgres(self.home),
            "Valkey": valkey(self.home),
        }
        watched = [
            Server(name, server.pid, server.start)
            for name, server in self._servers.items()
            if name in plan.embedded
        ]
        logs = tuple(server.log for server in self._servers.values())
        self.supervisor = Supervisor(self._children(), watched, self.report, logs)
        self._lacking_step: subprocess.Popen[str] | None = None  # what is lacking

    def run(self) -> None:
        """Run until a signal ends it.

        Raises:
            NotReady
        """
        self._heed_signals()
        private(self.home / "repositories")
        (self.home / "up.pid").write_text(f"{os.getpid()}\n")
        self.report("starting web, workers and scheduler")
        if self.plan.lacks:
            threading.Thread(target=self._report_what_is_lacking, daemon=True).start()
        self.supervisor.start()
        try:
            self._wait_until_well()
            if self.plan.examples:
                self._pass_on(self._step("examples"))
            self._welcome()
            self.supervisor.watch(self._renew)
        finally:
            self.report("stopping")
            self.supervisor.stop()
            if self._lacking_step is not None:
                self._lacking_step.kill()
            self._pass_on(self._step("stop"))
            self.report("stopped")
            for name in reversed(self.plan.ours):
                self._servers[name].stop()

    def report(self, text: str) -> None:
        """Print a line of progress."""
        sys.stdout.write(f"[{time.monotonic() - self.plan.began:5.1f} s] {text}\n")
        sys.stdout.flush()

    def _heed_signals(self) -> None:
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, lambda *_: setattr(self.supervisor, "stopping", True))
        in_terminal = sys.stdin.isatty()

        def hang_up(*_: object) -> None:
            """Handle SIGHUP, from a closed terminal or from `kill -HUP`."""
            gone = in_terminal and not os.isatty(sys.stdin.fileno())
            setattr(self.supervisor, "stopping" if gone else "renewing", True)

        signal.signal(signal.SIGHUP, hang_up)

    # --- steps of others ------------------------------------------------------------------------------

    def _step(self, name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", "spaceport.up.steps", name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def _pass_on(self, step: subprocess.Popen[str]) -> None:
        assert step.stdout is not None
        with step:
            for line in step.stdout:
                self.report(line.rstrip())

    def _report_what_is_lacking(self) -> None:
        self._lacking_step = self._step("lacking")
        self._pass_on(self._lacking_step)

    def _renew(self) -> None:
        """With the code that lies here now: its migrations, then its processes."""
        self.report("migrating the database")
        migrate = [sys.executable, str(self.code / "manage.py"), "migrate", "--noinput", "-v", "0"]
        env = {**os.environ, "SPACEPORT_HOME": str(self.home)}
        if subprocess.run(migrate, env=env, stdin=subprocess.DEVNULL, check=False).returncode:  # noqa: S603
            self.report("the migration failed: everything stays as it is")
            return
        self.supervisor.renew()

    # --- the processes --------------------------------------------------------------------------------

    def _children(self) -> list[Child]:
        python, logs = sys.executable, self.home / "log"
        manage = [python, str(self.code / "manage.py")]
        tiers = [arg for tier in self.plan.tiers for arg in ("--tier", tier)]
        simulate = ["--simulate"] if self.plan.simulate else []
        path = os.pathsep.join([str(self.code), str(self.code / "platform")])
        env = {"PYTHONPATH": path, "SPACEPORT_HOME": str(self.home)}
        build = [python, "-m", "spaceport.up.worker", "build@%h", "build", "control"]
        node = [*manage, "node", "--wait", str(HANDOVER_S), *tiers, *simulate]
        beat = [python, "-m", "spaceport.up.scheduler", str(self.home / "beat-schedule")]
        return [
            *(self._web(name, manage, env) for name in web_names(self.plan.web_processes)),
            *(
                Child("proxy", proxy, logs / "proxy.log", env, stays=True)
                for proxy in [self.plan.proxy]
                if proxy
            ),
            Child("build worker", build, logs / "build.log", env, beside=True),
            Child("node worker", node, logs / "node.log", env, beside=True),
            Child("beat", beat, logs / "beat.log", env),
        ]

    def _web(self, name: str, manage: list[str], env: dict[str, str]) -> Child:
        """All accept from one socket: whatever becomes of one of them, the others serve whoever comes."""
        fd = self.plan.socket
        command = [*manage, "web", "--fd", str(fd), "--name", name]
        log = self.home / "log" / f"{name.replace(' ', '-')}.log"
        return Child(name, command, log, env, fds=(fd,), beside=True, hurries=True)

    def _wait_until_well(self) -> None:
        deadline = time.monotonic() + READY_S
        problem = "web does not answer yet"
        while not self.supervisor.stopping:
            self.supervisor.check()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.plan.port}/healthz", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                problem = error.read().decode()[:500]
            except OSError:
                pass
            if time.monotonic() > deadline:
                logs = self.home / "log"
                raise NotReady(f"The platform was not ready after {READY_S} s: {problem}. Logs: {logs}")
            time.sleep(0.1)

    def _welcome(self) -> None:
        url, user, python = self.plan.url, self.plan.user, os.path.relpath(sys.executable)
        api = f"http://127.0.0.1:{self.plan.port}" if "//localhost" in url else url
        self.report(f"Spaceport is up: {url}")
        sys.stdout.write(
            f"\n  Address   {url}\n  Sign in   {self.plan.login}\n\n  Push a demo:\n"
            f"    export HF_ENDPOINT={api}\n"
            f"    export HF_TOKEN=$({python} manage.py token {user} | tail -1)\n"
            f"    hf upload {user}/my-demo . --repo-type space\n\n  Ctrl-C stops everything.\n"
        )
        sys.stdout.flush()
