"""A node's heartbeat: that it lives, what it lends, and how much of its worker is busy."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware import nodes, usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from hardware.runtimes.base import Runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """Of the node `name`. `slots`: (busy, all) of its worker's, None where they are not known. `removed` is
    called once an administrator has removed the node."""

    node_id: int
    name: str
    runtime: Runtime
    slots: Callable[[], tuple[int, int] | None]
    removed: Callable[[], None]

    def beat(self) -> None:
        """Report once."""
        if not nodes.beat(self.node_id):
            logger.warning("Node %s was removed by an administrator.", self.name)
            self.removed()
            return
        if (slots := self.slots()) is not None:
            usage.publish_slots(self.name, busy=slots[0], slots=slots[1])
        usage.publish_standby(self.name, self.runtime.standby_bytes())
