"""`make test` ends with this where a test failed: a few failures run once more, by themselves.

The suite drives some forty platforms, browsers and killed processes on as few as two cores. A test that
fails beside others and passes alone is named as flaky, loudly, and is to be mended; one that fails twice,
or more failures than `MOST`, fail the run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 5
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """The exit code of `make test`."""
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not failed or len(failed) > MOST:
        print(f"{len(failed)} tests failed: up to {MOST} would have run a second time.")
        return 1
    print(f"\n{len(failed)} failed beside others. A second run, alone:", *failed, sep="\n  ", flush=True)
    files = sorted({name.partition("::")[0] for name in failed})
    again = subprocess.run([sys.executable, "-m", "pytest", "--last-failed", *files], check=False)
    if again.returncode == 0:
        print("\nFLAKY, passed only in a second run, to be mended:", *failed, sep="\n  ")
    return again.returncode


if __name__ == "__main__":
    sys.exit(main())
