"""Whether a Space has anything to do, in one command: rounds over all Spaces ask no more of idle ones."""

from __future__ import annotations

from queueing.lines import LANES
from queueing.store.keys import SpaceKeys


def keys_of_work(space_id: int) -> list[str]:
    """None of these is there while no event waits or runs. (What older processes join has no entry in
    `lines`.)"""
    k = SpaceKeys(space_id)
    return [k.running, k.lines, *(key for lane in LANES for key in (k.wait(lane), k.next(lane)))]
