"""`manage.py restore SOURCE`: an installation from a backup."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from spaceport.keeping import restore
from spaceport.keeping.manifest import Refused
from spaceport.up.embedded import EmbeddedServerFailed, home_of


class Command(BaseCommand):
    help = (
        "Put the backup SOURCE into an empty SPACEPORT_HOME, and into DATABASE_URL and REDIS_URL where those "
        "are set. It is read whole and checked first. `manage.py up` then brings every Space back."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("source", type=Path, help="folder that `manage.py backup` made")
        parser.add_argument("--secret-key", type=Path, metavar="FILE", help="file with the secret key")
        parser.add_argument("--replace", action="store_true", help="lose what is there now")
        parser.add_argument(
            "--without", action="append", choices=restore.PARTS,
            help="do without secrets, what apps saved, or the queue; may be repeated",
        )  # fmt: skip

    def handle(self, **options: Any) -> None:
        job = restore.Restore(
            source=options["source"].absolute(),
            home=home_of(os.environ),
            environ=os.environ,
            report=self._report,
            replace=options["replace"],
            without=tuple(options["without"] or ()),
            key_file=options["secret_key"],
        )
        try:
            job.run()
        except (Refused, EmbeddedServerFailed) as error:
            raise CommandError(str(error)) from error
        self._report(f"Restored into {job.home}. Start the platform with `make up`.")

    def _report(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
