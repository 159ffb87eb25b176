"""`manage.py preview FOLDER`: a folder as a Space on this machine, built anew whenever a file is saved."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from infra.file_locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub import HfApi

USER = "admin"
PORT = 7860
IS_UP = "Ctrl-C stops everything"  # the last line that `manage.py up` prints
UP_S = 300
CHECK_EVERY_S = 0.5
END_S = 60
#: Never pushed, whatever .gitignore contains.
FOLDERS = ("__pycache__", ".venv", "venv", "node_modules")
IGNORED = [pattern for name in FOLDERS for pattern in (f"{name}/*", f"*/{name}/*")]
GOING_ON = ("BUILDING", "APP_STARTING", "RUNNING_BUILDING", "RUNNING_APP_STARTING")


class Command(BaseCommand):
    help = (
        "Run a folder as a Space on this machine, with the same build and the same queue as on a server, and "
        "build it anew whenever a file is saved. Its platform's data is in SPACEPORT_HOME "
        "(default: ~/.cache/spaceport/preview). Ctrl-C stops it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", help="folder of the Space")
        parser.add_argument(
            "--port", type=int, default=PORT, help="port of its web server (default: %(default)s)"
        )

    def handle(self, **options: Any) -> None:
        folder = Path(options["folder"]).resolve()
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder.")
        home = settings.SPACEPORT_HOME
        home.mkdir(parents=True, exist_ok=True)
        with (home / "preview.lock").open("w") as lock:
            if not try_lock(lock):
                raise CommandError(f"Another preview uses {home}. Set SPACEPORT_HOME to a folder of its own.")
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler)
            with suppress(KeyboardInterrupt), _platform(home, options["port"]) as url:
                self._show(folder, url)

    def _show(self, folder: Path, url: str) -> None:
        from huggingface_hub import HfApi

        api = HfApi(url, token=_token())
        name = re.sub(r"[^A-Za-z0-9_.-]+|--+|\.\.+", "-", folder.name).strip("-.") or "preview"
        space = f"{USER}/{name[:90]}"
        api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
        self._report(f"{url}/{space} shows {folder}; every save builds it anew. Ctrl-C stops it.")
        self._report(
            f"Push it to a server: HF_ENDPOINT=<address> hf upload {name} {folder} --repo-type space"
        )
        saved = threading.Event()
        saved.set()
        threading.Thread(target=_watch, args=(folder, saved), daemon=True).start()
        shown = ""
        while True:
            if saved.is_set():
                saved.clear()
                self._push(api, space, folder)
            stage = _stage(api, space)
            if stage != shown:
                self._report(stage)
                shown = stage
            saved.wait(CHECK_EVERY_S if stage in GOING_ON else None)

    def _push(self, api: HfApi, space: str, folder: Path) -> None:
        from huggingface_hub.errors import HfHubHTTPError

        try:
            api.upload_folder(
                repo_id=space, repo_type="space", folder_path=folder, commit_message="Saved",
                ignore_patterns=IGNORED, delete_patterns="*",
            )  # fmt: skip
        except (
            HfHubHTTPError,
            OSError,
            ValueError,
        ) as error:  # ValueError: README.md, as the client reads it
            self._report(f"Not pushed: {error}")

    def _report(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


@contextmanager
def _platform(home: Path, port: int) -> Iterator[str]:
    """A platform of its own, while this lasts; its address.

    Raises:
        CommandError: it did not come up; with its last lines.
    """
    log, url = home / "preview.log", f"http://localhost:{port}"
    os.environ |= {"PORT": str(port), "SPACEPORT_URL": url, "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    with log.open("wb") as output:
        running = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "up", "--no-examples"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + UP_S
        while IS_UP not in (printed := log.read_text(errors="replace")):
            if running.poll() is not None or time.monotonic() > deadline:
                raise CommandError("The platform did not start:\n" + "\n".join(printed.splitlines()[-20:]))
            time.sleep(CHECK_EVERY_S)
        for line in printed.splitlines():
            if "password" in line:  # of a first start
                sys.stdout.write(f"{line.strip()}\n")
        yield url
    finally:
        running.terminate()
        running.wait(END_S)


def _token() -> str:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "token", USER, "--name", "preview"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own program
    return done.stdout.split()[-1]


def _watch(folder: Path, saved: threading.Event) -> None:
    from watchfiles import watch

    for _ in watch(folder, raise_interrupt=False):
        saved.set()


def _stage(api: HfApi, space: str) -> str:
    """Where the Space is, with the reason of an error."""
    raw = api.get_space_runtime(space).raw
    return f"{raw['stage']}: {raw['errorMessage']}" if raw.get("errorMessage") else str(raw["stage"])
