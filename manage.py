#!/usr/bin/env python3
"""Django's command line for Spaceport."""

import os
import sys
from pathlib import Path

# platform/ is a folder, not a package: its name belongs to the standard library.
sys.path.insert(1, str(Path(__file__).resolve().parent / "platform"))

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")
    from spaceport.limits import allow_many_files
    from spaceport.up.embedded import attached

    allow_many_files()
    with attached(os.environ):
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
