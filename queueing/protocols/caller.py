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
    home: str = ""  # the replica where its session has to begin, if it begins now (`queueing.events.Join`)
    end_delay_s: float = 0.0  # its events' ends are sent no sooner than this after the answer to their join

    def own_key(self, channel: str) -> str:
        """An idempotency key counts within its account, else within its session: strangers behind one address
        are one visitor in line, but must never get each other's events."""
        if not self.idempotency_key or self.visitor.startswith("account:"):
            return self.idempotency_key
        return f"{channel}:{self.idempotency_key}"
