"""How often Python collects garbage.

By default it does so after every few hundred new objects, and scans all objects after some ten thousand. A
process with 10,000 sockets creates as many objects in one round of positions, and a full scan takes it a
second."""

from __future__ import annotations

import gc

#: New objects before the youngest generation is collected; collections of each before the next older one.
THRESHOLDS = (25_000, 10, 5)


def collect_rarely() -> None:
    """Collect rarely from now on. While modules are imported nearly everything stays, and scanning it took a
    tenth of the time in which a process of ours starts."""
    gc.set_threshold(*THRESHOLDS)


def keep_what_is_there() -> None:
    """Never again collect among present objects: what was imported stays for good."""
    gc.collect()
    gc.freeze()
