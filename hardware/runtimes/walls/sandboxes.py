"""The sandboxes that tiers name: runtimes of the container engine besides its own, like gVisor (`runsc`).
Nothing runs outside the one that its tier names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardware.runtimes.base import StartFailed

if TYPE_CHECKING:
    import docker


def check(client: docker.DockerClient | None, sandbox: str) -> None:
    """Check that containers of this engine can run in it; None: there is no engine.

    Raises:
        StartFailed
    """
    if not sandbox:
        return
    if client is None:
        raise StartFailed(
            f"This hardware's Spaces run in the sandbox '{sandbox}', which needs a container engine. This "
            "node has none."
        )
    known: dict[str, object] = client.info()["Runtimes"]
    if sandbox not in known:
        raise StartFailed(
            f"This hardware's Spaces run in the sandbox '{sandbox}', which this node's container engine does "
            f"not have (it has {', '.join(sorted(known))}). Its administrator adds it to the engine, or "
            "names another one in the tier (docs/howto/sandbox-strangers.md)."
        )
