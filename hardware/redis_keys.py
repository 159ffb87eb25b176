"""The Redis keys of nodes and replicas. No Django: dispatchers write logs too."""

from __future__ import annotations

from typing import Literal

from infra.redis_keys import key

LogKind = Literal["build", "run"]


@key("zset", owner="hardware", life="expires")
def usage(space_id: int) -> str:
    """Minute -> `minute:replica:memory:cores:cores_peak`, of one day (`hardware.usage`)."""
    return f"usage:{space_id}"


@key("zset", owner="hardware", life="expires")
def load(node_id: int) -> str:
    """Minute -> `[minute, cores, memory, disk, GPUs]` of this node's machine, of one day (`hardware.load`),
    in JSON."""
    return f"load:{node_id}"


@key("string", owner="hardware", life="expires")
def slots(node: str) -> str:
    """`busy/all` slots of this node's worker."""
    return f"slots:{node}"


@key("string", owner="hardware", life="expires")
def standby(node: str) -> str:
    """Bytes of memory of this node's standby processes."""
    return f"standby:{node}"


@key("string", owner="hardware", life="expires")
def death(replica_id: int) -> str:
    """How this replica, which served, ended (`hardware.upkeep.death_notes`); absent while it serves."""
    return f"death:{replica_id}"


@key("string", owner="hardware", life="expires")
def down() -> str:
    """Nodes that are down, by id and last heartbeat -> when the scheduler first saw that (Unix time), in
    JSON."""
    return "nodes:down"


@key("stream", owner="hardware", life="expires")
def log(kind: LogKind, space_id: int) -> str:
    """The newest lines of a Space's log, an entry each (`hardware.log_lines`)."""
    return f"logs:{kind}:{space_id}"


@key("string", owner="spaces.building", life="expires")
def control_ran() -> str:
    """When scheduled work last began in a control worker (Unix time)."""
    return "workers:control"


@key("zset", owner="spaces.building", life="expires")
def builders() -> str:
    """Build worker -> when it last polled for builds (Unix time)."""
    return "workers:builds"


@key("hash", owner="spaceport.web", life="expires")
def web_processes() -> str:
    """Web process -> its report (`spaceport.web.reports`), in JSON."""
    return "workers:web"
