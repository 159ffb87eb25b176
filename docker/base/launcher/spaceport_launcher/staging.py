"""What an app finds on disk when it starts: its working folder, what its image has from the Hub since its
build (`preload_from_hub`), and its kept cache.

`python staging.py REPOSITORY [FILE,FILE] [REVISION]` loads into the image, as a step of a build."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

FOLDER = Path("/opt/preloaded/hub")
#: What a step of the build may mount to load what is private or gated.
SECRET = Path("/run/secrets/HF_TOKEN")

#: The working folder, once it is ready.
folder = Path()


def prepare() -> Path:
    """Get everything ready, and answer the working folder."""
    global folder
    folder = stage()
    bound()
    offer()
    return folder


def stage() -> Path:
    """Copy SPACEPORT_CODE to SPACEPORT_WORK and answer the latter; without them, the current folder."""
    source, target = os.environ.get("SPACEPORT_CODE"), os.environ.get("SPACEPORT_WORK")
    if not source or not target:
        return Path.cwd()
    # A link to the original would be no file of the app's: it could not be handed back or appended to.
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_copy)
    return Path(target)


def _copy(source: str, target: str) -> str:
    if os.path.lexists(target):
        Path(target).unlink()
    shutil.copyfile(source, target)
    shutil.copymode(source, target)
    return target


def load(repository: str, files: str = "", revision: str | None = None) -> None:
    """Load the whole repository, or these files of it, into FOLDER."""
    from huggingface_hub import hf_hub_download, snapshot_download

    token = SECRET.read_text().strip() if SECRET.exists() else None
    common: dict[str, Any] = {"revision": revision, "cache_dir": str(FOLDER), "token": token}
    for name in filter(None, files.split(",")):
        sys.stdout.write(f"Loading {repository} {name}\n")
        hf_hub_download(repository, name, **common)
    if not files:
        sys.stdout.write(f"Loading {repository}\n")
        snapshot_download(repository, **common)


def offer() -> None:
    """Offer the image's preloaded files where the app searches for its own downloads."""
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
    """Remove from the kept cache what was used least recently, while it takes nearly SPACEPORT_CACHE_BYTES:
    an app whose cache is above that is stopped."""
    limit = int(os.environ.get("SPACEPORT_CACHE_BYTES") or 0)
    cache = Path(os.environ.get("HOME", "")) / ".cache"
    if not limit or not cache.is_dir():
        return
    entries = []
    for parent in (cache, cache / "huggingface", cache / "huggingface" / "hub"):
        with contextlib.suppress(OSError):
            entries += [path for path in parent.iterdir() if not path.is_symlink()]
    nested = {cache / "huggingface", cache / "huggingface" / "hub"}
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
