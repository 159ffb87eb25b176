"""`python -m spaceport.keeping.settle [--without-secrets] [VOLUME …]`: what becomes of restored rows before
the platform starts with them. Each line that it prints is news. VOLUME: numbers of named volumes that the
container engine has now."""

from __future__ import annotations

import os
import sys

import django


def settle(volumes: list[int], *, without_secrets: bool) -> None:
    """Migrate them, and make them agree with the files and with where they are now."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from spaceport.keeping import restored

    restored.drop_deleted(_report)
    if without_secrets:
        restored.drop_secrets()
    restored.keep_here(volumes)
    restored.take_off_nodes()
    restored.publish()
    restored.finish_pushes(_report)
    restored.report_missing(_report)
    if without_secrets:
        restored.build_again()


def _report(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")
    django.setup()
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    settle(numbers, without_secrets="--without-secrets" in sys.argv)
