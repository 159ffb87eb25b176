"""What a folder holds is counted whatever its files are like: their author wants them overlooked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hardware.runtimes.volumes import FILE_BYTES, size_of

LARGE = 5 * 1024 * 1024


def test_a_file_deeper_than_a_path_can_be_long_counts(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("n" * 200, dir_fd=at)
        below = os.open("n" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    file = os.open("large", os.O_WRONLY | os.O_CREAT, dir_fd=at)
    os.write(file, b"x" * LARGE)
    os.close(file)
    os.close(at)
    assert size_of(str(tmp_path)) >= LARGE
    shutil.rmtree(tmp_path)


def test_empty_files_count(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / str(number)).touch()
    assert size_of(str(tmp_path)) >= 500 * FILE_BYTES


def test_links_lead_nowhere_and_a_folder_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/usr")
    assert size_of(str(tmp_path)) < LARGE
    assert size_of(str(tmp_path / "gone")) == 0
