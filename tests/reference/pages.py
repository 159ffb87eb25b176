"""Which generated table stands on which page: between two comments of its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.reference import retention, tables

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"

TABLES: dict[str, tuple[Callable[[], str], ...]] = {
    "api.md": (tables.hub_routes, tables.stages),
    "celery-queues.md": (tables.celery_queues, tables.celery_tasks),
    "commands.md": (tables.commands,),
    "environment.md": (tables.environment,),
    "error-codes.md": (tables.errors,),
    "metrics.md": (tables.metrics,),
    "redis-keys.md": (tables.redis_keys,),
    "retention.md": (retention.rows, retention.redis, retention.disk),
    "space-settings.md": (tables.space_settings,),
    "websocket.md": (tables.app_messages,),
}


def generated(page: str) -> str:
    """The page's text with its tables as the code has them now.

    Raises:
        ValueError: a table has no place on the page.
    """
    text = (REFERENCE / page).read_text()
    for make in TABLES[page]:
        mark = f"<!-- {make.__name__} -->"
        before, _, after = text.split(mark)
        text = f"{before}{mark}\n\n{make().strip()}\n{mark}{after}"
    return text
