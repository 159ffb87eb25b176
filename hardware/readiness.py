"""Can a replica be called, and what does its app report?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hardware import app_report, replica_client
from hardware.app_report import Unusable
from hardware.replica_client import BadAnswer, Redirected, ReplicaError

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 5
CONFIG_S = 30
SERVER_ERROR = 500
LOCKED = 401
REPORT = "/__spaceport__/report"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
GROWTH = 1.05


def pauses() -> Iterator[float]:
    """Seconds between two probes: few for what starts fast, and always a part of the time that has passed, so
    that many starting replicas are not mostly busy with answering."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE_S)


async def probe(address: str, sdk: str, health_path: str = "") -> dict[str, Any] | None:
    """The launcher's report (empty where the app runs without it) once the app can be called; None before.
    A Docker Space with a `health_path` can be called once that answers with a status of 200 to 299.

    Raises:
        Unusable: it answers, but can never be served.
    """
    if sdk != "gradio":
        ready = _is_healthy(address, health_path) if health_path else answers(address, sdk)
        return {} if await ready else None
    # The launcher is asked first: an app that is busy with its start has no `/config` to write meanwhile.
    found = await report(address)
    if not found.get("started", True) or not await answers(address, sdk):
        return None
    try:
        status, _ = await config(address, (found.get("mounts") or [""])[0])
    except BadAnswer as error:
        raise Unusable(str(error)) from error
    except ReplicaError:
        return None
    return found if status < SERVER_ERROR else None


async def answers(address: str, sdk: str) -> bool:
    """Whether a server answers there. A Docker Space's does when its port is open: the content of its pages,
    and their speed, do not matter. A Gradio app must answer for `/config`: with a password it sends 401, and
    an app that mounts it below a path of its own sends 404; all of these count."""
    if sdk != "gradio":
        return await _is_open(address)
    try:
        return await replica_client.status_of(address, "/config", total_s=CONFIG_S) < SERVER_ERROR
    except ReplicaError:
        return False


async def _is_healthy(address: str, path: str) -> bool:
    try:
        return 200 <= await replica_client.status_of(address, path, total_s=TIMEOUT_S) < 300
    except ReplicaError:
        return False


async def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, int(port))
    except OSError:  # or its time is up
        return False
    writer.close()
    return True


async def report(address: str) -> dict[str, Any]:
    """The launcher's report; empty where the app runs without it.

    Raises:
        Unusable
    """
    try:
        status, raw = await replica_client.fetch(
            address, REPORT, limit=app_report.REPORT_BYTES, total_s=TIMEOUT_S
        )
    except ReplicaError:
        return {}
    return app_report.report(raw) if status == 200 else {}


async def config(address: str, mount: str, total_s: float = CONFIG_S) -> tuple[int, dict[str, Any] | None]:
    """Status and content of the `/config` of the app at this place, within this time; no content where it is
    not Gradio's.

    Raises:
        Unusable: it is Gradio's, and not as Gradio writes it.
        BadAnswer, Unreachable
    """
    try:
        status, raw = await replica_client.fetch(
            address, f"{mount}/config", limit=app_report.CONFIG_BYTES, total_s=total_s
        )
    except Redirected:  # as some authors' servers do with unknown clients
        return 307, None
    return status, app_report.config(raw) if status == 200 else None
