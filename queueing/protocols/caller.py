"""The sender of an event, as the gateway knows it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The caller: what is replayed to the app, and what the gateway knows of the visitor."""

    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    origin: str = "api"  # "page" when the gateway has proof of the demo's page
    visit: str = ""
    visitor: str = ""  # shares a turn under the fair policy: `queueing.identity`
    idempotency_key: str = ""
    end_delay_s: float = 0.0  # its events' ends are sent no sooner than this after the answer to their join
