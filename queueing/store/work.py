"""Whether a Space has anything to do, in one command: rounds over all Spaces ask no more of idle ones."""

from __future__ import annotations

from queueing.lines import LANES
from queueing.store.keys import SpaceKeys


def keys_of_work(space_id: int) -> list[str]:
    """Where none of these is there, no event waits or runs; `lines` may outlive the last one. (What older
    processes join has no entry in it.)"""
    k = SpaceKeys(space_id)
    return [k.running, k.lines, *(key for lane in LANES for key in (k.wait(lane), k.next(lane)))]
