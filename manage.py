#!/usr/bin/env python3
"""Django's command line for Spaceport."""

import os
import sys
from pathlib import Path

# platform/ is a folder, not a package: its name belongs to the standard library.
sys.path.insert(1, str(Path(__file__).resolve().parent / "platform"))

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spaceport.settings")
    from spaceport.command_line import run
    from spaceport.limits import allow_many_files

    allow_many_files()
    run(sys.argv, os.environ)
