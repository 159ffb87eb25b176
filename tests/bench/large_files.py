"""A large file up and down with the official client: seconds, and how far the web process grows."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, run

from tests.bench.processes import Peak
from tests.bench.sides import Bench
from tests.platform_server import WEB

SIZE = 1000**3
SPACE = "bench/large"


def large_files(bench: Bench) -> None:
    """Seconds of the `hf` command, its own start and hashing included, and the growth of the web process."""
    print("\n| 1 GB | seconds | MB a second | web process grew by, MB |\n|---|---|---|---|")
    bench.platform.api(bench.token).create_repo(SPACE, repo_type="space", space_sdk="static", exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        file, down = Path(folder) / "model.bin", Path(folder) / "down"
        with file.open("wb") as out:
            for _ in range(SIZE // 1000**2):
                out.write(os.urandom(1000**2))
        _row(bench, "up by Xet", lambda: _hf(bench, "upload", SPACE, str(file)))
        _row(bench, "up to a second Space by Git LFS", lambda: _to_another(bench, file))
        _row(bench, "down", lambda: _hf(bench, "download", SPACE, "model.bin", "--local-dir", str(down)))


def _to_another(bench: Bench, file: Path) -> None:
    """By Git LFS nothing is sent: the platform has it."""
    other = f"{SPACE}-2"
    bench.platform.api(bench.token).create_repo(other, repo_type="space", space_sdk="static", exist_ok=True)
    _hf(bench, "upload", other, str(file), HF_HUB_DISABLE_XET="1")


def _hf(bench: Bench, *arguments: str, **settings: str) -> None:
    command = [str(Path(sys.executable).parent / "hf"), *arguments, "--repo-type", "space"]
    env = bench.platform.client_env(bench.token) | settings
    run(command, env=env, check=True, stdout=DEVNULL, stderr=DEVNULL)


def _row(bench: Bench, what: str, work: Callable[[], None]) -> None:
    peaks = [Peak(pid) for pid in bench.platform.pids(WEB)]
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    grown = max(peak.grown_bytes() for peak in peaks)
    print(f"| {what} | {took:.1f} | {SIZE / 1e6 / took:.0f} | {grown / 1e6:.0f} |", flush=True)
