"""A backup's description, its `manifest.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
NAME = "manifest.json"


class Refused(Exception):
    """A backup or a restore that is not made; the message gives the reason and what to do, in sentences."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One file of the backup, by its path inside."""

    file: str
    size_bytes: int
    sha256: str


@dataclass(kw_only=True)
class Manifest:
    """`migrations`: those the database has, by app. `key_check`: see `secret_key.check`. `secrets`: the names
    of each Space's. `home_bytes`: what the restored data folder takes. `engine_volumes`: the container
    engine's, with file and labels. `gone`: repositories that were deleted while they were copied.
    `redis_db`: number of the database in `redis.rdb`."""

    version: str
    made_at: str
    installation: str
    migrations: dict[str, list[str]]
    key_check: str
    secrets: dict[str, list[str]]
    home_bytes: int
    redis_db: int
    engine_volumes: list[dict[str, Any]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        (folder / NAME).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """That of the backup in this folder.

        Raises:
            Refused: there is none, or none that this version can read.
        """
        try:
            found = json.loads((folder / NAME).read_text())
        except FileNotFoundError as error:
            raise Refused(f"{folder} is no backup: it has no {NAME}.") from error
        except (OSError, ValueError) as error:
            raise Refused(f"The {NAME} in {folder} is damaged: {error}.") from error
        if isinstance(found, dict) and isinstance(number := found.get("format"), int) and number > FORMAT:
            raise Refused(
                f"This backup was made by Spaceport {found.get('version')}, which is newer. Restore it with "
                "that version."
            )
        try:
            parts = [Part(**part) for part in found.pop("parts")]
            return cls(**found, parts=parts)
        except (TypeError, KeyError, AttributeError) as error:
            raise Refused(f"The {NAME} in {folder} is damaged: {error}.") from error

    def part(self, file: str) -> Part | None:
        return next((part for part in self.parts if part.file == file), None)
