"""What a program gets from an app: results, exceptions and everything yielded, by the official client."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from gradio_client import Client
from gradio_client.client import Job

from tests.census.script import App, Step
from tests.waiting import wait_until

CALL_S = 60
#: Folders of temporary files, and where objects lie in memory.
VARIES = re.compile(r"/[\w./-]*/(?=[^/\s]+$)|(?<= at )0x[0-9a-f]+")


class Program:
    """One client after another of the app at `url`, doing the steps of a program."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.base = url
        self._client: Client | None = None
        self._auth: tuple[str, str] | None = None

    def record(self, app: App) -> dict[str, Any]:
        """What each step brought, by its line; and the description of the API."""
        self.base = self.url + app.mount
        found: dict[str, Any] = {}
        for number, step in enumerate(app.of_program):
            try:
                found[f"{number} {step}"] = self._do(step)
            except Exception as error:
                found[f"{number} {step}"] = {"raised": self._error(error)}
        with suppress(Exception):  # that it cannot be reached is in the steps
            found["the API"] = self._plain(self.client.view_api(return_format="dict", print_info=False))
        return found

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = Client(self.base, verbose=False, auth=self._auth)
        return self._client

    def _do(self, step: Step) -> Any:
        match step.verb:
            case "call":
                return self._call(step)
            case "cancel":
                return self._cancel(step)
            case "get":
                answer = requests.get(self.url + step.words[0], timeout=CALL_S)
                return [answer.status_code, answer.headers.get("content-type"), answer.text]
            case "at":
                self._client, self.base = None, self.url + step.words[0]
            case "client":
                self._client = None
                self._auth = (step.words[0], step.words[1]) if step.words else None
        return None

    def _call(self, step: Step) -> dict[str, Any]:
        job = self.client.submit(*step.arguments, api_name=step.words[0])
        found: dict[str, Any] = {}
        try:
            found["result"] = self._plain(job.result(timeout=CALL_S))
        except Exception as error:
            found["raised"] = self._error(error)
        found["yielded"] = self._plain(job.outputs())
        return found

    def _cancel(self, step: Step) -> dict[str, Any]:
        wanted = int(step.words[1])
        job: Job = self.client.submit(*step.arguments, api_name=step.words[0])
        wait_until(lambda: len(job.outputs()) >= wanted, f"{step} yields", CALL_S)
        cancelled = job.cancel()
        with suppress(Exception, CancelledError):
            job.result(timeout=CALL_S)
        return {"cancelled": cancelled, "first": self._plain(job.outputs()[:wanted]), "done": job.done()}

    def _error(self, error: BaseException) -> str:
        return self._text(f"{type(error).__name__}: {error}")

    def _plain(self, value: Any) -> Any:
        """The value without what differs from run to run; files by their contents."""
        match value:
            case dict() if "path" in value and "url" in value:
                return {"file": self._fetched(value), "name": value.get("orig_name")}
            case dict():
                return {str(key): self._plain(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self._plain(inner) for inner in value]
            case str():
                with suppress(OSError, ValueError):
                    if value.startswith("/") and Path(value).is_file():
                        return f"file {Path(value).name} {digest(Path(value).read_bytes())}"
                return self._text(value)
        return repr(value) if isinstance(value, float) else value

    def _fetched(self, file: dict[str, Any]) -> str:
        if not file["url"]:
            return f"no address, {Path(file['path'] or '').name}"
        answer = requests.get(file["url"], timeout=CALL_S)
        return f"{answer.status_code} {answer.headers.get('content-type')} {digest(answer.content)}"

    def _text(self, text: str) -> str:
        return VARIES.sub("", text.replace(self.url, "URL"))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
