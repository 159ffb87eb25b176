"""The whole platform as its user starts it: `manage.py up` in a folder of its own, driven from outside
with the official clients. Nothing here reaches into it but `manage.py token`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import redis
import requests
from huggingface_hub import HfApi

from hardware.runtimes.base import EngineUnavailable
from hardware.runtimes.docker import DockerRuntime
from tests.prepared_home import people, prepare
from tests.waiting import wait_until

WEB = "manage.py\0web"  # the command line of a web process, whichever server it runs
ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "tests" / "apps"
COLLECTED = ROOT / ".pytest_cache" / "collected"
CACHE = Path.home() / ".cache" / "spaceport-tests"  # what tests install, from one run to the next
SETTLED = {"RUNNING", "BUILD_ERROR", "RUNTIME_ERROR", "CONFIG_ERROR", "NO_APP_FILE", "PAUSED"}


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Platform:
    """One running platform."""

    runtime: str
    home: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ("--no-examples",)
    process: subprocess.Popen[bytes] | None = None
    web_server: str = field(default_factory=lambda: os.environ.get("SPACEPORT_WEB_SERVER", "daphne"))
    settings: dict[str, str] = field(default_factory=dict)  # of the test's own
    pushed: dict[str, str] = field(default_factory=dict)  # Spaces that may run, with their owners' tokens
    tokens: dict[str, str] = field(default_factory=dict)  # known so far, by user
    passwords: dict[str, str] = field(default_factory=dict)  # the same

    def __post_init__(self) -> None:
        for name, secret in people(self.home).items():
            self.tokens[name], self.passwords[name] = secret["token"], secret["password"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment of every command about this platform: nothing of the test's own servers. The base
        image's name is kept, so that two checkouts beside one engine need not build over each other's."""
        ours = {
            k: v
            for k, v in os.environ.items()
            if k == "SPACEPORT_BASE_IMAGE" or not k.startswith(("SPACEPORT_", "DATABASE", "REDIS", "HF_"))
        }
        return {
            **ours,
            "SPACEPORT_HOME": str(self.home),
            "SPACEPORT_RUNTIME": self.runtime,
            "SPACEPORT_WEB_SERVER": self.web_server,
            "SPACEPORT_WEB_PROCESSES": "1",  # on any machine
            "SPACEPORT_UPLOAD_LIMIT_BYTES": "2000000",
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def client_env(self, token: str) -> dict[str, str]:
        """The environment of the official command-line client."""
        return {
            **self.env,
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": token,
            "HF_HOME": str(self.home / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        }

    def start(self) -> Platform:
        with (self.home / "up.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up", *self.options],
                env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        wait_until(self._up, "the platform is up", timeout_s=120)
        return self

    def _up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return "Spaceport is up" in self.log() and "Ctrl-C stops everything" in self.log()

    def stop(self) -> None:
        """Ctrl-C."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)
            self.process = None

    def log(self) -> str:
        return (self.home / "up.log").read_text()

    def pids(self, part: str) -> list[int]:
        """The platform's processes with this in their command line, its words parted by zero bytes."""
        found = []
        home = str(self.home).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes()
                # Valkey writes its title over its environment.
                where = os.fsencode((folder / "cwd").readlink()) + (folder / "environ").read_bytes()
                if part.encode() in line and home in line + where:
                    found.append(int(folder.name))
        return found

    def web(self) -> int:
        """The web process that serves. One that was replaced may still do what it has begun."""

        def started(pid: int) -> int:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])

        return max(self.pids(WEB), key=started)

    def valkey(self) -> redis.Redis:
        """Its Valkey."""
        note = json.loads((self.home / "valkey" / "address.json").read_text())
        return redis.Redis(port=note["port"], password=note["password"])

    def manage(self, *arguments: str) -> str:
        """What `manage.py` prints."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(command, env=self.env, check=True, capture_output=True, text=True).stdout

    def token(self, user: str) -> str:
        """A write token of this user's: the same whoever asks."""
        if user not in self.tokens:
            self.tokens[user] = self.manage("token", user).strip().splitlines()[-1]
        return self.tokens[user]

    def password(self, user: str) -> str:
        """This user's password."""
        if user not in self.passwords:
            self.passwords[user] = secrets.token_hex(12)
            self.manage(
                "shell", "-c",
                f"from accounts.models import User; u = User.objects.get(username={user!r}); "
                f"u.set_password({self.passwords[user]!r}); u.save()",
            )  # fmt: skip
        return self.passwords[user]

    def signed_in(self, user: str, password: str) -> requests.Session:
        """A browser of this user's."""
        browser, login = requests.Session(), f"{self.url}/login"
        hidden = re.search(r'csrfmiddlewaretoken" value="([^"]+)', browser.get(login, timeout=30).text)
        assert hidden
        form = {"username": user, "password": password, "csrfmiddlewaretoken": hidden[1]}
        answer = browser.post(login, data=form, headers={"Referer": login}, timeout=30)
        assert answer.ok
        assert answer.url.endswith("/dashboard"), "the password is wrong"
        return browser

    def api(self, token: str) -> HfApi:
        return HfApi(endpoint=self.url, token=token)

    def hf(self, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The real `hf` command."""
        command = [str(Path(sys.executable).parent / "hf"), *arguments]
        return subprocess.run(
            command, env=self.client_env(token), capture_output=True, text=True, timeout=120, check=False
        )

    def stage(self, space: str, token: str) -> str:
        answer = requests.get(
            f"{self.url}/api/spaces/{space}/runtime", headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        return str(answer.json().get("stage"))

    def settled(self, space: str, token: str, timeout_s: float = 180) -> str:
        """The stage once nothing is under way."""
        stages: list[str] = []

        def look() -> bool:
            stages.append(self.stage(space, token))
            return stages[-1] in SETTLED

        wait_until(look, f"{space} settles (last: {stages[-1:]})", timeout_s)
        return stages[-1]

    def push(self, space: str, token: str, folder: Path, timeout_s: float = 180, **create: Any) -> str:
        """Create where missing, upload, start if it rests, wait; the stage it settles in."""
        api = self.api(token)
        api.create_repo(
            space, repo_type="space", space_sdk=create.pop("sdk", "gradio"), exist_ok=True, **create
        )
        api.upload_folder(repo_id=space, repo_type="space", folder_path=folder)
        if self.stage(space, token) == "PAUSED":
            api.restart_space(space)
        self.pushed[space] = token
        return self.settled(space, token, timeout_s)

    def rest(self) -> None:
        """Pause what was pushed: a Space costs its share of the processor even when nobody calls it."""
        while self.pushed:
            space, token = self.pushed.popitem()
            if self.stage(space, token) == "RUNNING":
                self.api(token).pause_space(space)

    def put_to_sleep(self, space: str, token: str) -> None:
        """It sleeps, and stays awake once it was woken."""
        for seconds in (1, -1):
            requests.post(
                f"{self.url}/api/spaces/{space}/sleeptime",
                json={"seconds": seconds}, headers={"Authorization": f"Bearer {token}"}, timeout=10,
            ).raise_for_status()  # fmt: skip
            if seconds > 0:
                wait_until(lambda: self.stage(space, token) == "SLEEPING", f"{space} sleeps", 90)

    def run_url(self, space: str) -> str:
        return f"{self.url}/run/{space}/"

    def demo_url(self, space: str) -> str:
        return f"http://{space.replace('/', '-')}.localhost:{self.port}/"

    def queue(self, space: str, token: str, **change: Any) -> dict[str, Any]:
        """Read, or change, the queue settings."""
        url = f"{self.url}/api/spaces/{space}/queue"
        headers = {"Authorization": f"Bearer {token}"}
        answer = (
            requests.put(url, json=change, headers=headers, timeout=10)
            if change
            else requests.get(url, headers=headers, timeout=10)
        )
        answer.raise_for_status()
        value: dict[str, Any] = answer.json()
        return value


def engine_answers() -> bool:
    """Whether a Docker engine can be used here. Where one must be there, its absence is an error."""
    if shutil.which("docker") is None:
        found = False
    else:
        found = subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
    assert found or not os.environ.get("SPACEPORT_REQUIRE_DOCKER"), (
        "no Docker engine answers, but one is required"
    )
    return found


def new_home() -> Path:
    """A folder for a platform. Short: PostgreSQL's socket lies in it, and its own user must reach it."""
    home = Path(tempfile.mkdtemp(prefix="sp-", dir="/tmp"))
    home.chmod(0o755)
    if os.environ.get("SPACEPORT_HOME"):  # the folder of a run of tests
        _lend_collection(home)
    return home


def _lend_collection(home: Path) -> None:
    """Static files are collected and compressed once a checkout, and when they change: by the first process,
    for those of all workers."""
    (COLLECTED / "static").mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("static", "static.state"):
        (home / name).symlink_to(COLLECTED / name)


@contextlib.contextmanager
def lent_home() -> Iterator[Path]:
    """The same, removed in the end with its containers and networks: walls know each network there is."""
    home = new_home()
    try:
        yield home
    finally:
        if (home / "installation").exists():
            with contextlib.suppress(EngineUnavailable):
                DockerRuntime(home).dispose()
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def process_home() -> Iterator[Path]:
    """The same, for plain processes: environments with old Gradios are made once a machine."""
    with lent_home() as home:
        lend_environments(home)
        yield home


@contextlib.contextmanager
def prepared_home(*, processes: bool = True) -> Iterator[Path]:
    """The same, for plain processes or not, its database and its usual people there already."""
    with process_home() if processes else lent_home() as home:
        prepare(home)
        yield home


def lend_environments(home: Path) -> None:
    """Let plain processes below this folder use the environments that were made on this machine before. Each
    is called by a digest of what it holds, so nobody gets another one than would be made anew."""
    (CACHE / "environments").mkdir(parents=True, exist_ok=True)
    (home / "environments").symlink_to(CACHE / "environments")


AnyPlatform = TypeVar("AnyPlatform", bound=Platform)
RUNNING: list[Platform] = []


@contextlib.contextmanager
def running(platform: AnyPlatform) -> Iterator[AnyPlatform]:
    """It runs while the block lasts."""
    RUNNING.append(platform)
    try:
        platform.start()
        yield platform
    finally:
        RUNNING.remove(platform)
        platform.stop()
