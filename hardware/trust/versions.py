"""Whether two checkouts of Spaceport can work on one database: they have the same migrations."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("hardware", "queueing", "spaces", "platform/accounts")


@cache
def version() -> str:
    """The last migration of each app: "hardware 0014, queueing 0006, …"."""
    return ", ".join(f"{Path(app).name} {_last(ROOT / app / 'migrations')}" for app in APPS)


def _last(folder: Path) -> str:
    return max(path.name[:4] for path in folder.glob("[0-9]*.py"))
