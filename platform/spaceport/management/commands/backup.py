"""`manage.py backup TARGET`: a copy of the whole installation, made while it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from spaceport.keeping import backup
from spaceport.keeping.manifest import Refused


class Command(BaseCommand):
    help = (
        "Copy the whole installation into the new folder TARGET while it runs: database, repositories, large "
        "files, what apps saved, and the queue. Not the secret key: keep that apart."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("target", type=Path, help="folder to make")
        parser.add_argument(
            "--secret-key", type=Path, metavar="FILE", help="write the secret key to this file, elsewhere"
        )

    def handle(self, **options: Any) -> None:
        target: Path = options["target"].absolute()
        try:
            manifest = backup.make(target, os.environ["DATABASE_URL"], self._report, options["secret_key"])
        except Refused as error:
            raise CommandError(str(error)) from error
        self._report(f"{target} is complete: {len(manifest.parts)} files and manifest.json.")
        if options["secret_key"] is None:
            self._report("The secret key is not in it. Keep that apart: secrets are lost without it.")

    def _report(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
