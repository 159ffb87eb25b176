"""Gradio's protocol as a program of few lines speaks it: the first end that it hears is its own call's."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

Message = dict[str, Any]
Until = Callable[[Message], bool]

#: What depends on who waits and how long things take.
UNSTEADY = {"estimation", "heartbeat", "progress"}


def is_end(message: Message) -> bool:
    return bool(message["msg"] == "process_completed")


@dataclass
class RawSession:
    """One session with an app at `root`."""

    root: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    hash: str = field(default_factory=lambda: secrets.token_hex(6))
    calls: list[str] = field(default_factory=list)  # event ids, in their order
    listening: threading.Event = field(default_factory=threading.Event)
    joining: threading.Lock = field(default_factory=threading.Lock)

    def join(self, name: str, *data: Any) -> str:
        """Call a function; its event."""
        body = {"data": data, "fn_index": functions(self.root)[name], "session_hash": self.hash}
        with self.joining:
            answer = self.http.post(f"{self.root}gradio_api/queue/join", json=body).raise_for_status()
            self.calls.append(answer.json()["event_id"])
            return self.calls[-1]

    def listen(self, until: Until | None = None) -> list[tuple[Any, ...]]:
        """What is told, in a form that two sides can be compared by; hangs up at the first message that is
        `until`, else the server ends it."""
        told = []
        with self.http.stream(
            "GET", f"{self.root}gradio_api/queue/data", params={"session_hash": self.hash}
        ) as answer:
            self.listening.set()
            for line in answer.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] not in UNSTEADY:
                    told.append(self._steady(message))
                if until is not None and until(message):
                    break
        return told

    def cancel(self, event_id: str) -> int:
        body = {"session_hash": self.hash, "fn_index": 0, "event_id": event_id}
        return self.http.post(f"{self.root}gradio_api/cancel", json=body).status_code

    def say(self, word: str) -> Any:
        """Call `say` and take the first end that comes."""
        self.join("say", word)
        answers: list[Any] = []

        def end(message: Message) -> bool:
            if is_end(message):
                answers.append(message["output"].get("data"))
            return is_end(message)

        self.listen(end)
        return answers[0]

    def _steady(self, message: Message) -> tuple[Any, ...]:
        event_id = message.get("event_id")
        with self.joining:  # a listener beside it may hear of an event before its id is in `calls`
            known = list(self.calls)
        call = known.index(event_id) if event_id in known else event_id
        output = message.get("output") or {}
        return message["msg"], call, output.get("data"), output.get("error"), message.get("success")


_functions: dict[str, dict[str, int]] = {}


def functions(root: str) -> dict[str, int]:
    """The app's functions by their names."""
    if root not in _functions:
        config = httpx.get(f"{root}config", timeout=60).json()
        _functions[root] = {found["api_name"]: found["id"] for found in config["dependencies"]}
    return _functions[root]
