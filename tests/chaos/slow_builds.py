"""More builds at once than there are slots, each of which takes long: what else the platform does must not
wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huggingface_hub import CommitOperationAdd

if TYPE_CHECKING:
    from tests.platform_server import Platform

SPACES = 3
SECONDS = 20
BACKEND = f"""
import time


def build_wheel(*_, **__):
    time.sleep({SECONDS})
    raise SystemExit("it never gets ready")
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "slow"
version = "1"
"""


def push(platform: Platform, token: str, number: int) -> None:
    """Have them built; `number` makes the commit a new one."""
    files = {
        "app.py": f"# {number}\n",
        "requirements.txt": "./slow\n",
        "slow/pyproject.toml": PROJECT,
        "slow/backend.py": BACKEND,
    }
    api = platform.api(token)
    for one in range(SPACES):
        name = f"alice/slow{one}"
        api.create_repo(name, repo_type="space", space_sdk="gradio", exist_ok=True)
        changes = [CommitOperationAdd(path, text.encode()) for path, text in files.items()]
        api.create_commit(name, changes, repo_type="space", commit_message=f"{number}")
