"""A Space whose calls last exactly as long as a test wants (`tests/apps/gate`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.platform_server import Platform


@dataclass
class Gated:
    """Its calls end when the gate, a file, is there; it notes their starts beside it."""

    platform: Platform
    token: str
    gate: Path = Path()
    space: str = ""

    @property
    def url(self) -> str:
        return f"{self.platform.url.replace('http', 'ws')}/ws/spaces/{self.space}/queue"

    def starts(self) -> list[str]:
        """The calls that began, in their order."""
        file = Path(f"{self.gate}.starts")
        return file.read_text().split() if file.exists() else []
