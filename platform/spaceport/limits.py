"""What the system allows a process."""

from __future__ import annotations

import resource

MOST_FILES = 1 << 20


def allow_many_files() -> None:
    """Let this process, and what it starts, open as many files as the system allows it: most systems begin
    with 1,024, and each visitor and each running Space takes some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
