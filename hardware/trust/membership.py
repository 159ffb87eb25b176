"""What a machine that joined has of its platform, in files that only its own account reads. No Django: the
settings come from here."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from infra.folders import private

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Of a node: `platform` is the address of its platform, `address` its own ("ip:port"), `label` its part
    of the name in its certificate. `credential` opens what concerns this node; `settings` is its
    environment."""

    platform: str
    node: str
    label: str
    address: str
    credential: str
    settings: dict[str, str]


class Files:
    """Those of the node whose data folder is `home`."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "node"
        self.note = self.folder / "membership.json"
        #: Made here, and never sent anywhere.
        self.key = self.folder / "key.pem"
        self.certificate = self.folder / "certificate.pem"
        self.authority = self.folder / "authority.pem"

    def read(self) -> Membership | None:
        """The membership; None on a machine that never joined."""
        with contextlib.suppress(FileNotFoundError):
            return Membership(**json.loads(self.note.read_text()))
        return None

    def write(self, membership: Membership, *, key: str, certificate: str, authority: str) -> None:
        """Keep all of it. The note comes last: whoever reads it finds the rest."""
        self.renew(key=key, certificate=certificate)
        _write(self.authority, authority)
        _write(self.note, json.dumps(asdict(membership), indent=1))

    def renew(self, *, key: str, certificate: str) -> None:
        """Keep the next key and its certificate."""
        private(self.folder)
        _write(self.key, key)
        _write(self.certificate, certificate)


def attach(home: Path, environ: MutableMapping[str, str]) -> bool:
    """Give the environment what the node was given, where it is not set. False: this is no node that
    joined."""
    found = Files(home).read()
    if found is None:
        return False
    for name, value in found.settings.items():
        environ.setdefault(name, value)
    environ["SPACEPORT_NODE"] = found.node  # its certificate and credential are for this name
    return True


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.rename(path)
