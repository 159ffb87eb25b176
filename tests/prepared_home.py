"""The data of a new installation, made once a machine: its database is migrated, and its usual people have
passwords and tokens. A second database is migrated and empty, to make others from."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path.home() / ".cache" / "spaceport-tests" / "installations"
MOST = 4  # of different code
PEOPLE, EMPTY = "people.json", "empty"
#: What the data is made of: where one of these changes, it is made anew.
MADE_OF = (
    "requirements.txt", "tests/prepared_home.py", "platform/spaceport/up/embedded.py",
    "platform/spaceport/settings.py", "platform/accounts/**/*.py", "*/migrations/*.py",
)  # fmt: skip
MAKE = f"""
import json, os, sys
from spaceport.up.embedded import attached
with attached(os.environ):
    import django
    django.setup()
    from django.core.management import call_command
    call_command("migrate", verbosity=0, interactive=False)
    from django.db import connection
    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute("create database {EMPTY} template spaceport")
    from accounts import people, tokens
    made = {{}}
    for name in ("admin", "alice", "charlie", "census"):
        password = name + "-secret-of-tests"
        user = people.create_user(name, password=password)
        user.is_staff = user.is_superuser = name == "admin"
        user.save()
        made[name] = {{"password": password, "token": tokens.issue(user, "tests")[1]}}
print(json.dumps(made))
"""


def prepare(home: Path) -> None:
    """Put such data into this empty home."""
    kept = KEPT / _digest()
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _make(kept)
        fcntl.flock(lock, fcntl.LOCK_SH)  # another checkout's tests may remove what is old
        subprocess.run(["cp", "-a", f"{kept}/.", home], check=True)


def people(home: Path) -> dict[str, dict[str, str]]:
    """The passwords and tokens of those it came with."""
    note = home / PEOPLE
    found: dict[str, dict[str, str]] = json.loads(note.read_text()) if note.exists() else {}
    return found


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted({path for pattern in MADE_OF for path in ROOT.glob(pattern)}):
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _make(kept: Path) -> None:
    by_age = sorted(KEPT.glob("*/"), key=lambda other: other.stat().st_ctime)
    for other in by_age[: -MOST + 1]:
        shutil.rmtree(other)
    shutil.rmtree(f"{kept}.new", ignore_errors=True)  # of one that was killed
    # Short: PostgreSQL's socket lies in it, and its own user must reach it.
    home = Path(tempfile.mkdtemp(prefix="sp-", dir="/tmp"))
    home.chmod(0o755)
    ours = ("SPACEPORT_", "DATABASE", "REDIS")
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "DJANGO_SETTINGS_MODULE": "spaceport.settings",
        "SPACEPORT_HOME": str(home),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'platform'}",
    }
    try:
        made = subprocess.run([sys.executable, "-c", MAKE], env=env, stdout=subprocess.PIPE, check=True)
        (home / PEOPLE).write_bytes(made.stdout.splitlines()[-1])
        shutil.rmtree(home / "valkey")
        subprocess.run(["cp", "-a", home, f"{kept}.new"], check=True)
        Path(f"{kept}.new").rename(kept)
    finally:
        shutil.rmtree(home)
