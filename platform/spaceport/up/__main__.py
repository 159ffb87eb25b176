"""`python -m spaceport.up FILE`: what `manage.py up` becomes once everything is prepared. It lives as long as
the platform and needs none of Django."""

from __future__ import annotations

import sys

from spaceport.up.plan import Plan
from spaceport.up.run import NotReady, Run

if __name__ == "__main__":
    try:
        Run(Plan.read(int(sys.argv[1]))).run()
    except NotReady as error:
        sys.exit(f"CommandError: {error}")
