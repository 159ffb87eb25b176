"""The web process alone (a real server, PostgreSQL, Valkey; no workers, so nothing is built), driven from
outside with the official clients: what the deploy API answers, at the speed of its own tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import requests
from huggingface_hub import HfApi

from tests import servers
from tests.forked_hf import ForkedHf
from tests.platform_server import ROOT, free_port
from tests.waiting import wait_until

UPLOAD_LIMIT = 3_000_000
LARGE_LIMIT = 300_000_000  # by Git LFS
REDIS_DATABASE = 5  # other tests empty theirs

_PEOPLE = """
import json, django
django.setup()
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import call_command
call_command("migrate", verbosity=0, interactive=False)
from accounts import tokens
PBKDF2PasswordHasher.iterations = 1  # who signs in gets as many as there should be
from tests.people import make_people
found = make_people()
people = ("alice", "bob", "reader", "charlie")
plain = {name: tokens.issue(getattr(found, name), "tests")[1] for name in people}
plain["alice_read"] = tokens.issue(found.alice, "reading", "read")[1]
print(json.dumps(plain))
"""

#: Runs a line of JSON, code, after the other; answers with what it printed, and how it failed.
_CONSOLE = """
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    printed, error = io.StringIO(), ""
    with contextlib.redirect_stdout(printed):
        try:
            exec(json.loads(line), {"__name__": "__main__"})
        except Exception:
            error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), flush=True)
"""
PEOPLE_DATABASE = "hub_people"
_people_of: dict[str, dict[str, str]] = {}


def _made_people(env: dict[str, str]) -> dict[str, str]:
    tokens: dict[str, str] = json.loads(_printed(_PEOPLE, env).strip().splitlines()[-1])
    return tokens


def _printed(code: str, env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Hub:
    """One web process with a database of its own."""

    home: Path
    port: int = field(default_factory=free_port)
    tokens: dict[str, str] = field(default_factory=dict)
    web_server: str = field(default_factory=lambda: os.environ.get("SPACEPORT_WEB_SERVER", "daphne"))
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)  # of the test's own
    console: subprocess.Popen[str] | None = None
    command: ForkedHf | None = None
    rows: Any = None  # a connection to its database

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> str:
        server = os.environ["DATABASE_URL"]
        return server.replace("/spaceport", f"/hub_{self.port}", 1)

    @property
    def redis(self) -> str:
        return urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{REDIS_DATABASE}").geturl()

    @property
    def env(self) -> dict[str, str]:
        others = {k: v for k, v in os.environ.items() if not k.startswith(("SPACEPORT_", "HF_"))}
        return {
            **others,
            "DJANGO_SETTINGS_MODULE": "spaceport.settings",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
            "SPACEPORT_HOME": str(self.home),
            "SPACEPORT_UPLOAD_LIMIT_BYTES": str(UPLOAD_LIMIT),
            "SPACEPORT_LFS_FILE_LIMIT_BYTES": str(LARGE_LIMIT),
            "SPACEPORT_RUNTIME": "process",
            "SPACEPORT_WEB_SERVER": self.web_server,
            "DATABASE_URL": self.database,
            "REDIS_URL": self.redis,
            "PORT": str(self.port),
            **self.settings,
        }

    def start(self) -> Hub:
        if "DATABASE_URL" in self.settings:  # a server of its own
            self.tokens = _made_people(self.env)
        else:
            self.tokens = self._people()
            self._admin(f'create database "hub_{self.port}" template "{PEOPLE_DATABASE}"')
        self.serve()
        return self

    def _people(self) -> dict[str, str]:
        """Tokens of those in the database that is copied; it is made once a server."""
        if (server := os.environ["DATABASE_URL"]) not in _people_of:
            self._admin(f'create database "{PEOPLE_DATABASE}" template {servers.template() or "template1"}')
            url = server.replace("/spaceport", f"/{PEOPLE_DATABASE}", 1)
            _people_of[server] = _made_people({**self.env, "DATABASE_URL": url})
        return dict(_people_of[server])

    def python(self, code: str) -> str:
        """What this code prints, run with this hub's own settings; for what no door offers. One process runs
        it all: each would load Django anew."""
        if self.console is None:
            self.console = subprocess.Popen(
                [sys.executable, "-c", _CONSOLE],
                env=self.env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        assert self.console.stdin is not None
        assert self.console.stdout is not None
        self.console.stdin.write(json.dumps(code) + "\n")
        self.console.stdin.flush()
        printed, error = json.loads(self.console.stdout.readline())
        assert not error, error
        return str(printed)

    def serve(self) -> None:
        """Start the web process, with everything else there already."""
        with (self.home / f"web-{self.port}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "web"],
                env=self.env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_until(self._answers, "the web process answers", timeout_s=60)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return requests.get(f"{self.url}/api/spaces", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self) -> None:
        self.end()
        if self.console is not None:
            self.console.communicate()
            self.console = None
        if self.command is not None:
            self.command.end()
        if self.rows is not None:
            self.rows.close()
        self._admin(f'drop database if exists "hub_{self.port}" with (force)')

    def end(self) -> None:
        """End the web process."""
        if self.process is not None:
            self.process.kill()  # it would wait for kept-alive connections
            self.process.wait()

    @staticmethod
    def _admin(statement: str) -> None:
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()

    def log(self) -> str:
        return (self.home / f"web-{self.port}.log").read_text()

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of this hub's own database."""
        if self.rows is None or self.rows.closed:
            self.rows = psycopg2.connect(self.database)
            self.rows.autocommit = True
        with self.rows.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def api(self, who: str) -> HfApi:
        """The official client of this person."""
        return HfApi(endpoint=self.url, token=self.tokens[who] if who else False)

    def call(self, method: str, path: str, who: str = "", **options: Any) -> requests.Response:
        """A hand-made request, for what the official client would never send."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        headers |= options.pop("headers", {})
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=30, **options)

    def client_env(self, who: str) -> dict[str, str]:
        """The environment of the official command."""
        named = {"HF_TOKEN": self.tokens[who]} if who else {}
        return {
            **self.env,
            **named,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.home / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.home),
        }

    def hf(self, who: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The real `hf` command."""
        if self.command is None:
            self.command = ForkedHf(self.client_env(""), self.home / "hf.socket")
        return self.command(self.tokens[who] if who else "", *arguments)

    def git(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The real git."""
        identity = [
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.org",
            "-c",
            "init.defaultBranch=main",
        ]
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=cwd, env=self.client_env(""), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def remote(self, space: str, who: str = "") -> str:
        """The address of a Space for git."""
        login = f"anyone:{self.tokens[who]}@" if who else ""
        return f"http://{login}127.0.0.1:{self.port}/spaces/{space}"
