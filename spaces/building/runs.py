"""One build: checkout of the commit, its card, and the runtime's work on it."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from hardware import replicas
from hardware.runtimes import choose
from hardware.runtimes.base import Artifact, BuildFailed, BuildSpec
from spaces.card import CardError, read_card
from spaces.git.bounds import TooMuch
from spaces.git.export import export
from spaces.git.repository_paths import BadPath
from spaces.models import Sdk

if TYPE_CHECKING:
    from hardware.runtimes.base import Log
    from spaces.models import Build

#: How the folders of running builds are named, in the data folder.
BUILD_FOLDER = "build-"


def run(build: Build, log: Log) -> Artifact:
    """Build this commit, one line of output at a time to `log`.

    Raises:
        BuildFailed: the Space's fault: its card, its app file, its dependencies, its Dockerfile.
        EngineUnavailable: ours.
    """
    space = build.space
    try:
        card = read_card(space, build.sha)
    except CardError as error:
        raise BuildFailed(str(error)) from error
    if space.sdk == Sdk.STATIC:
        raise BuildFailed("A static Space needs no build.")
    settings.SPACEPORT_HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=BUILD_FOLDER, dir=settings.SPACEPORT_HOME) as folder:
        source = Path(folder) / "source"
        try:
            export(space, build.sha, source)
        except (BadPath, TooMuch) as error:
            raise BuildFailed(str(error)) from error
        log(f"Building {space} at {build.sha[:7]}.")
        made = choose(settings.SPACEPORT_RUNTIME).build(
            BuildSpec(
                space=str(space),
                space_id=space.pk,
                sha=build.sha,
                sdk="docker" if space.sdk == Sdk.DOCKER else "gradio",
                source=source,
                app_file=card.app_file,
                python_version=card.python_version,
                sdk_version=card.sdk_version,
                preload=card.preload,
                variables={row.key: row.value for row in space.variables.all()},
                secrets={row.key: row.value for row in space.secrets.all()},
                timeout_s=settings.SPACEPORT_BUILD_TIMEOUT_S,
            ),
            log,
            partial(replicas.announce, space.pk, build.sha),
        )
        if settings.SPACEPORT_REGISTRY and made.runtime == "docker":
            from hardware.runtimes.images import registry  # it loads the engine's client

            log(f"Pushing the image to {settings.SPACEPORT_REGISTRY}.")
            made = registry.pushed(settings.SPACEPORT_REGISTRY, made)
        return made
