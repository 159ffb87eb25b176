"""Why a started app cannot be called, and what its owner may do: in words, from where it listens. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware.runtimes.base import ReplicaSpec
    from infra.listening import Listener

NAMED = 3  # ports


def describe(spec: ReplicaSpec, address: str, listeners: Collection[Listener] | None) -> str:
    """What follows "The app did not answer". `address`: where it is asked; `listeners`: None: not known."""
    host, _, asked = address.rpartition(":")
    port, is_gradio = int(asked), spec.sdk == "gradio"
    if listeners is None:
        return "" if is_gradio else "Compare it with app_port in README.md."
    there = [one for one in listeners if one.port == port]
    longer = "If its start takes longer, write startup_duration_timeout into README.md."
    if any(not one.is_loopback or host.startswith("127.") for one in there):
        no = f"GET {spec.health_path} gets no success" if spec.health_path else "gives no answer"
        return f"It listens there, but {no}. {longer}"
    if there:
        return (
            "It listens on 127.0.0.1 alone, where nobody else reaches it. Let it listen on 0.0.0.0, as "
            "`--host 0.0.0.0` makes most servers do."
        )
    others = sorted({one.port for one in listeners})[:NAMED]
    if not others:
        do = "End the file with demo.launch()." if is_gradio else f"Let it listen on 0.0.0.0:{spec.port}."
        return f"It has opened no port. {do} {longer}"
    listens = f"It listens on port {' and '.join(map(str, others))} instead."
    if is_gradio:
        return f"{listens} Let demo.launch() choose, or take the port from GRADIO_SERVER_PORT."
    return f"{listens} Write `app_port: {others[0]}` into README.md, or let it listen on {spec.port}."
