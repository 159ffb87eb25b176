"""How often Python looks for cycles of objects that nothing refers to any more.

With its own thresholds it does so after every few hundred new objects, and looks at all there are after some
ten thousand. A process that holds 10,000 sockets makes as many in the one moment in which it tells everybody
his place, and looking at all it holds takes it a second."""

from __future__ import annotations

import gc

#: New objects; looks at the young; looks at the middle-aged: before the next older ones are looked at.
THRESHOLDS = (25_000, 10, 5)


def tune_gc() -> None:
    """Look rarely, and never again at what there is now: what was imported stays for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
