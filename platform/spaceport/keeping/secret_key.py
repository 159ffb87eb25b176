"""The key that decrypts the secrets of Spaces. It is in no backup: whoever steals one decrypts nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from django.utils.crypto import constant_time_compare, salted_hmac

from spaceport.keeping.manifest import Manifest, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "SPACEPORT_SECRET_KEY"
#: The settings' key during `restore`, so that they make no new one before the old one is in place.
NONE_YET = "none before the restore"
FILE = "secret_key"


def check(key: str, installation: str) -> str:
    """A digest that distinguishes a backup's own key from others, and is of no other use."""
    return salted_hmac("spaceport.keeping", installation, secret=key, algorithm="sha256").hexdigest()


def copied(key: str, to: Path, target: Path) -> None:
    """Write the key to a file of its own, outside of the backup.

    Raises:
        Refused
    """
    if to.resolve().is_relative_to(target.resolve()):
        raise Refused("Keep the secret key apart: with it, whoever has the backup reads all secrets.")
    try:
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key)
    except FileExistsError as error:
        if to.read_text() != key:
            raise Refused(f"{to} exists and is another key; name another file.") from error
    except OSError as error:
        raise Refused(f"{to} cannot be written: {error.strerror}.") from error


def found(environ: Mapping[str, str], home: Path, file: Path | None) -> str:
    """The key that a restore is given: in a file, in the environment, or in the data folder; "" for none.

    Raises:
        Refused
    """
    try:
        if file is not None:
            return file.read_text().strip()
        if (given := environ.get(VARIABLE, "")) not in ("", NONE_YET):
            return given
        kept = home / FILE
        return kept.read_text().strip() if kept.exists() else ""
    except OSError as error:
        raise Refused(f"The secret key cannot be read: {error}.") from error


def fits(key: str, manifest: Manifest) -> bool:
    return bool(key) and constant_time_compare(check(key, manifest.installation), manifest.key_check)


def demand(key: str, manifest: Manifest) -> None:
    """Refuse to lose secrets unnoticed.

    Raises:
        Refused
    """
    if fits(key, manifest):
        return
    lost = "; ".join(f"{space}: {', '.join(names)}" for space, names in sorted(manifest.secrets.items()))
    what = "is not the one of this backup" if key else "is missing"
    raise Refused(
        f"The secret key {what}. Name its file with --secret-key, or set {VARIABLE}. Without it these "
        f"secrets are lost: {lost or 'none of a Space'}; and those of webhooks. `--without secrets` goes on "
        "with a new key."
    )
