"""The container runtimes, and the choice between them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from django.conf import settings

from hardware.runtimes.base import EngineUnavailable

if TYPE_CHECKING:
    from hardware.runtimes.base import Runtime

NAMES = ("auto", "docker", "process")


class BadRuntime(ValueError):
    """SPACEPORT_RUNTIME is none of the names, or demands what this machine does not have."""


@functools.lru_cache
def choose(name: str = "auto") -> Runtime:
    """The runtime of this name on this machine; "auto" is docker where an engine answers, else process.

    Raises:
        BadRuntime: the name is unknown, or docker was demanded and no engine answers.
    """
    if name not in NAMES:
        raise BadRuntime(f"SPACEPORT_RUNTIME={name!r} is no runtime. Choose one of: {', '.join(NAMES)}.")
    if name != "process":
        from hardware.runtimes.docker import DockerRuntime

        try:
            return DockerRuntime(settings.SPACEPORT_HOME, standby=settings.SPACEPORT_STANDBY)
        except EngineUnavailable as error:
            if name == "docker":
                raise BadRuntime(
                    f"SPACEPORT_RUNTIME=docker, but no engine answers: {error} "
                    "Start Docker, or use SPACEPORT_RUNTIME=process for code you trust."
                ) from error
    from hardware.runtimes.process import ProcessRuntime

    return ProcessRuntime(
        settings.SPACEPORT_HOME, standby=settings.SPACEPORT_STANDBY, hub=settings.SPACEPORT_HF_ENDPOINT
    )
