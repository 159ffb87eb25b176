"""The last message that a session's client received, so that it gets no finished event twice.

An event whose end was written to the client's connection is over for the client, as in Gradio, however that
connection ended. Of any other event the next connection continues after the last message. A client that
disconnects during an event and joins anew has given that event up, as in Gradio.

The note is made before an end is written, and confirmed afterwards: a client that calls again at once,
through another web process, must find it. If this process dies in between, the end is sent again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from redis.exceptions import RedisError

from queueing.store.pipelining import auto_pipeline
from queueing.store.queue import FINAL_TTL_S
from queueing.store.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from queueing.store.keys import SpaceKeys

#: A living process writes within this time; one that died never will.
WRITTEN_WITHIN_S = 1.0
CHECK_EVERY_S = 0.005
RETRY_DELAY_S = 0.2  # between tries while Redis is away
#: A client that joined while its stream was ending gets both answers by two connections. This pause between
#: them lets it handle them in the order they were written.
APART_S = 0.03

logger = logging.getLogger(__name__)

Step = Literal["begins", "written", "closed", "hung_up"]

_move = Script("move_cursor")
_listen = Script("listen")


def last_received(note: bytes | None) -> int:
    """The number of the last message that a session's client received, from its note."""
    return int((note or b"0").partition(b" ")[0])


@dataclass(frozen=True, slots=True)
class Begin:
    """Where a new stream begins: behind message `after`, and without what belongs to `dropped` events.
    `given_up`: those of them that are to be ended now."""

    after: int
    dropped: frozenset[str]
    given_up: tuple[str, ...]
    idle: bool = False  # no event is open, no message is left to send


@dataclass(frozen=True, slots=True)
class Cursor:
    """The cursor of one session."""

    redis: Redis
    keys: SpaceKeys
    channel: str

    async def listen(self) -> Begin | None:
        """A new stream opens; None: this session is unknown."""
        deadline = time.monotonic() + WRITTEN_WITHIN_S
        while True:
            patient = int(time.monotonic() < deadline)
            known, after, in_flight, dropped, given_up, idle = await _listen(
                self.redis, **self._keys(), prefix=self.keys.prefix, ttl=FINAL_TTL_S, patient=patient
            )
            if not known:
                return None
            if not in_flight:
                return Begin(
                    after,
                    frozenset(event_id.decode() for event_id in dropped),
                    tuple(event_id.decode() for event_id in given_up),
                    idle=bool(idle),
                )
            await asyncio.sleep(CHECK_EVERY_S)

    async def begins(self, number: int) -> bool:
        """Note that all messages up to `number`, including an event's end, are about to be written; True if
        no other message is left."""
        while True:
            try:
                return bool(await self._note("begins", number))
            except (RedisError, OSError) as error:
                logger.info("session %s: Redis is away (%s)", self.channel, error)
                await asyncio.sleep(RETRY_DELAY_S)

    def written(self, number: int, step: Literal["written", "closed", "hung_up"] = "written") -> None:
        """Everything up to `number` has been written, and nothing else is being."""
        asyncio.ensure_future(self._note(step, number)).add_done_callback(_retrieved)

    async def apart(self) -> None:
        """Wait, after a join that came while its session's client is receiving an end, until that end is
        delivered."""
        deadline = time.monotonic() + WRITTEN_WITHIN_S
        while time.monotonic() < deadline:
            note = await auto_pipeline(self.redis).execute("GET", self.keys.cursor(self.channel)) or b""
            if note.split(b" ")[1:2] in ([], [b"0"]):
                break
            await asyncio.sleep(CHECK_EVERY_S)
        await asyncio.sleep(APART_S)

    async def _note(self, step: Step, number: int) -> int:
        answer: int = await _move(self.redis, **self._keys(), step=step, number=number, ttl=FINAL_TTL_S)
        return answer

    def _keys(self) -> dict[str, str]:
        k, channel = self.keys, self.channel
        return {
            "cursor": k.cursor(channel),
            "open": k.open(channel),
            "dropped": k.dropped(channel),
            "messages": k.messages(channel),
        }


def _retrieved(note: asyncio.Future[int]) -> None:
    """Redis was away: the end may be sent twice, which is better than never."""
    if not note.cancelled():
        with contextlib.suppress(RedisError, OSError):
            note.result()
