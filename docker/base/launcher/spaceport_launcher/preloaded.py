"""Files from the Hub that are in a Space's image from its build (`preload_from_hub`), and its kept cache.

`python preloaded.py REPOSITORY [FILE,FILE] [REVISION]` loads them, in a step of the build. HF_TOKEN may be a file
at SECRET."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

FOLDER = Path("/opt/preloaded/hub")
SECRET = Path("/run/secrets/HF_TOKEN")


def load(repository: str, files: str = "", revision: str | None = None) -> None:
    """Load the whole repository, or these files of it, into FOLDER."""
    from huggingface_hub import hf_hub_download, snapshot_download

    token = SECRET.read_text().strip() if SECRET.exists() else None
    common = {"revision": revision, "cache_dir": str(FOLDER), "token": token}
    for name in filter(None, files.split(",")):
        print(f"Loading {repository} {name}", flush=True)
        hf_hub_download(repository, name, **common)
    if not files:
        print(f"Loading {repository}", flush=True)
        snapshot_download(repository, **common)


def offer() -> None:
    """Let the app find what is in the image where it looks for what it has loaded itself."""
    home = os.environ.get("HF_HOME")
    if not home:
        return
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    with contextlib.suppress(OSError):
        for link in hub.iterdir() if hub.exists() else ():
            if link.is_symlink() and not link.exists():  # of an earlier image
                link.unlink()
        for repository in FOLDER.iterdir() if FOLDER.exists() else ():
            target = hub / repository.name
            if not os.path.lexists(target):
                hub.mkdir(parents=True, exist_ok=True)
                target.symlink_to(repository)


def bound() -> None:
    """Remove from the kept cache what was used least recently, while it holds more than SPACEPORT_CACHE_BYTES.
    A cache that stays above it would end the app."""
    limit = int(os.environ.get("SPACEPORT_CACHE_BYTES") or 0)
    folder = Path(os.environ.get("HOME", "")) / ".cache"
    if not limit or not folder.is_dir():
        return
    entries = []
    for parent in (folder, folder / "huggingface", folder / "huggingface" / "hub"):
        with contextlib.suppress(OSError):
            entries += [path for path in parent.iterdir() if not path.is_symlink()]
    nested = {folder / "huggingface", folder / "huggingface" / "hub"}
    sized = [(*_use(path), path) for path in entries if path not in nested]
    total = sum(size for _, size, _ in sized)
    for _, size, path in sorted(sized):
        if total <= limit * 0.9:
            break
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        total -= size


def _use(path: Path) -> tuple[float, int]:
    """When it was used last, and its bytes on disk."""
    last, size = 0.0, 0
    found = [path]
    for parent, _, names in os.walk(path):
        found += [Path(parent) / name for name in names]
    for one in found:
        with contextlib.suppress(OSError):
            about = one.stat(follow_symlinks=False)
            size += about.st_blocks * 512
            last = max(last, about.st_atime, about.st_mtime)
    return last, size


if __name__ == "__main__":
    load(*sys.argv[1:])
