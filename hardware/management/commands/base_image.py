"""`manage.py base_image [--from IMAGE]`: build the image that Spaces run in, and the one that builds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import docker
import docker.errors
from django.core.management.base import BaseCommand, CommandError

from hardware.runtimes import base_image, builder_image
from hardware.runtimes.base import EngineUnavailable

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Build the image that Spaces run in, from docker/base."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from",
            dest="base",
            default=base_image.DEFAULT_FROM,
            metavar="IMAGE",
            help="a Debian image to start from, e.g. python:3.12-slim (default: %(default)s)",
        )

    def handle(self, *_args: Any, base: str, **_options: Any) -> None:
        try:
            client = docker.from_env(timeout=600)
            name = base_image.build(client, base, self.stdout.write)
            builder_image.ensure(client, self.stdout.write)
        except (docker.errors.DockerException, EngineUnavailable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(self.style.SUCCESS(f"Built {name}."))
