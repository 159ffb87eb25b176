"""The messages of events, for all followers in one web process, over one pub/sub connection. Pub/sub carries
the message as a hint; the stream is the record, and any gap makes the follower read it. A gap at the very end
shows nowhere, so all streams are checked now and then, many in one request.

A follower outlives its Redis: while that is away it waits, and where it came back empty (a server without
an append-only file was restarted) every open event gets a last message with that reason."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import RedisError

from infra.mailbox import Inbox
from queueing.messages import UnexpectedError, encode, failed
from queueing.store import keys
from queueing.store.pipelining import auto_pipeline
from queueing.store.retry import growing, retry_while_away

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

    from queueing.store.keys import SpaceKeys

logger = logging.getLogger(__name__)

T = TypeVar("T")

RESYNC_S = 20.0  # how often each follower's stream is checked
CHECK_EVERY_S = 1.0  # how often those that are due are checked
CHECKED_AT_ONCE = 500  # in one request
INBOX = 64  # announcements a follower may be behind; past that it reads the stream when it gets there
READ_FIRST, READ_AT_ONCE = 4, 64
LARGE_BYTES = 256 * 1024  # read together
RETRY_DELAYS_S = (0.1, 1.0)  # between tries while Redis is away, the shortest and the longest
RESET = "The queue was reset and this event is lost. Please send it again."
#: An inbox entry that means: read the stream again. `lua/lib/publish.lua` announces it for large messages.
_RESYNC = b""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message: its number in the stream, its event, its JSON, and whether it ended its event. `left` is
    how many events of the channel were open then (-1 when read back from the stream)."""

    number: int
    event_id: str
    payload: bytes
    final: bool
    left: int


@dataclass(eq=False)
class _Follower:
    opens: str  # the key of the channel's open events
    inbox: Inbox[bytes] = field(default_factory=Inbox)
    open: set[str] = field(default_factory=set)  # events whose end this follower has not yielded yet
    epoch: bytes = b""
    after: int = 0  # the last message it yielded
    checked_at: float = field(default_factory=time.monotonic)

    def receive(self, announcement: bytes) -> None:
        """Queue an announcement. A slow follower's queue is bounded: it reads from the stream what is dropped
        here."""
        if len(self.inbox) >= INBOX:
            self.inbox.clear()
            announcement = _RESYNC
        self.inbox.put_nowait(announcement)


class MessageStreams:
    """All followers of one process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._followers: dict[str, set[_Follower]] = {}
        self._pubsub: PubSub | None = None
        self._listener: asyncio.Task[None] | None = None
        self._checker: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def expect(self, space: SpaceKeys, channel: str, event_id: str) -> None:
        """An event was accepted whose messages will come by this channel."""
        for follower in self._followers.get(space.messages(channel), ()):
            follower.open.add(event_id)

    async def follow(self, space: SpaceKeys, channel: str, *, after: int = 0) -> AsyncIterator[Delivered]:
        """Messages of one channel after number `after`, in order, none twice, without end."""
        key, follower = space.messages(channel), _Follower(space.open(channel), after=after)
        try:
            await self._add(key, follower)
            while True:
                raw = await follower.inbox.get()
                announced = [] if raw == _RESYNC else [_announced(line) for line in raw.split(b"\n")]
                if announced and announced[0].number <= follower.after + 1:
                    for message in announced:
                        if message.number > follower.after:
                            yield self._deliver(follower, message)
                    continue
                was_reset, read = await asyncio.gather(
                    self._was_reset(follower), self._patiently(self._load_messages, key, follower.after)
                )
                if was_reset:
                    for message in self._last_words(follower):
                        yield message
                    follower.after, read = 0, await self._patiently(self._load_messages, key, 0)
                count = READ_FIRST
                while read:
                    for message in read:
                        yield self._deliver(follower, message)
                    full, count = len(read) == count, _next_count(read)
                    read = (
                        await self._patiently(self._load_messages, key, follower.after, count) if full else []
                    )
        finally:
            await self._remove(key, follower)

    @staticmethod
    def _deliver(follower: _Follower, message: Delivered) -> Delivered:
        follower.after = message.number
        if message.final:
            follower.open.discard(message.event_id)
        return message

    async def _was_reset(self, follower: _Follower) -> bool:
        """Whether Redis lost everything since this follower's last check; notes which events are open."""
        epoch, opened = await self._patiently(self._load_state, follower.opens)
        if follower.epoch and epoch != follower.epoch:
            follower.epoch = epoch
            return True
        follower.epoch = epoch
        follower.open |= opened
        return False

    async def _load_state(self, opens: str) -> tuple[bytes, set[str]]:
        execute = auto_pipeline(self._redis).execute
        epoch, opened = await asyncio.gather(execute("GET", keys.EPOCH), execute("SMEMBERS", opens))
        if epoch is None:
            await execute("SET", keys.EPOCH, secrets.token_hex(8), "NX")
            epoch = await execute("GET", keys.EPOCH)
        return epoch, {event_id.decode() for event_id in opened}

    @staticmethod
    def _last_words(follower: _Follower) -> list[Delivered]:
        """An end for every event that was open; where none is known, an error for the whole session."""
        lost, follower.open = sorted(follower.open), set()
        if not lost:
            return [Delivered(0, "", encode(UnexpectedError(message=RESET)), final=True, left=0)]
        return [
            Delivered(0, event_id, failed(event_id, RESET), final=True, left=len(lost) - at)
            for at, event_id in enumerate(lost, start=1)
        ]

    @staticmethod
    async def _patiently(load: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Load something, however long Redis is away."""
        return await retry_while_away(partial(load, *arguments), delays_s=growing(*RETRY_DELAYS_S))

    async def _load_messages(self, key: str, after: int, count: int = READ_FIRST) -> list[Delivered]:
        execute = auto_pipeline(self._redis).execute
        entries = await execute("XRANGE", key, f"(0-{after}", "+", "COUNT", count)
        return [from_stream(*entry) for entry in entries]

    async def _add(self, key: str, follower: _Follower) -> None:
        async with self._lock:
            first = key not in self._followers
            self._followers.setdefault(key, set()).add(follower)
            if self._pubsub is None:
                self._pubsub = self._redis.pubsub()
            if first:
                await self._subscribe(self._pubsub, key)
            else:
                follower.inbox.put_nowait(_RESYNC)
            if self._listener is None or self._listener.done():
                self._listener = asyncio.create_task(self._listen(), name="delivery")
            if self._checker is None or self._checker.done():
                self._checker = asyncio.create_task(self._resync_forever(), name="resync")

    @staticmethod
    async def _subscribe(pubsub: PubSub, key: str) -> None:
        while True:
            try:
                await pubsub.subscribe(key)
                return
            except (RedisError, OSError):
                return  # Redis is away: the listener subscribes to all of them when it is back
            except RuntimeError:  # the listener is just connecting again, and reads from the same connection
                await asyncio.sleep(RETRY_DELAYS_S[0])

    async def _remove(self, key: str, follower: _Follower) -> None:
        self._followers.get(key, set()).discard(follower)
        # One at a time: a new follower's subscription must not be overtaken by this end of the last one's.
        async with self._lock:
            if self._followers.get(key) or self._pubsub is None:
                return
            self._followers.pop(key, None)
            with contextlib.suppress(RedisError, OSError, RuntimeError):
                await self._pubsub.unsubscribe(key)

    async def _listen(self) -> None:
        """Hand announced messages to their followers; after a broken connection all read again."""
        while self._followers:
            assert self._pubsub is not None
            try:
                message = await self._pubsub.get_message(timeout=30)
            except (RedisError, OSError, RuntimeError) as error:
                logger.warning("delivery: lost Redis (%s), listening again", error)
                await asyncio.sleep(RETRY_DELAYS_S[0])
                # Also those that came while it was away, of which the connection knows nothing.
                with contextlib.suppress(RedisError, OSError):
                    await self._pubsub.subscribe(*self._followers)
                continue
            if message is None or message["type"] == "unsubscribe":
                continue
            # A lost connection subscribes again by itself, without notice; messages of the meantime are in
            # the stream. So each follower reads it whenever its subscription is confirmed, first and again.
            announcement = message["data"] if message["type"] == "message" else _RESYNC
            for follower in tuple(self._followers.get(message["channel"].decode(), ())):
                follower.receive(announcement)

    async def _resync_forever(self) -> None:
        """Find followers that missed something though no connection broke, and have them read their
        stream."""
        while self._followers:
            await asyncio.sleep(CHECK_EVERY_S)
            now = time.monotonic()
            due = [
                (key, follower)
                for key, followers in self._followers.items()
                for follower in followers
                if now - follower.checked_at >= RESYNC_S
            ]
            for at in range(0, len(due), CHECKED_AT_ONCE):
                with contextlib.suppress(RedisError, OSError):  # then the listener makes all followers read
                    await self._resync(due[at : at + CHECKED_AT_ONCE], now)

    async def _resync(self, some: list[tuple[str, _Follower]], now: float) -> None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(keys.EPOCH)
        positions = [follower.after for _, follower in some]
        for key, follower in some:
            pipe.xrange(key, f"(0-{follower.after}", "+", 1)
            pipe.smembers(follower.opens)
        epoch, *answers = await pipe.execute()
        for (_, follower), after, missed, opened in zip(
            some, positions, answers[::2], answers[1::2], strict=True
        ):
            follower.checked_at = now
            if missed or (follower.epoch and epoch != follower.epoch):
                follower.receive(_RESYNC)
            elif follower.after == after:  # or one of these may have ended meanwhile
                follower.open.update(event_id.decode() for event_id in opened)

    async def close(self) -> None:
        """Stop listening and give the connection back."""
        for task in (self._listener, self._checker):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._pubsub is not None:
            await self._pubsub.aclose()


def _next_count(read: list[Delivered]) -> int:
    """How many to read after these: large messages one at a time, for a follower holds what it has read."""
    large = sum(len(message.payload) for message in read) > LARGE_BYTES
    return 1 if large else min(READ_AT_ONCE, 4 * len(read))


def from_stream(entry_id: bytes, fields: dict[bytes, bytes]) -> Delivered:
    """A message as its stream has it."""
    return Delivered(_number(entry_id), fields[b"e"].decode(), fields[b"d"], fields[b"f"] == b"1", -1)


def _announced(line: bytes) -> Delivered:
    """A line as `lua/lib/publish.lua` writes it."""
    entry_id, final, left, event_id, payload = line.split(b" ", 4)
    return Delivered(_number(entry_id), event_id.decode(), payload, final == b"1", int(left))


def _number(entry_id: bytes) -> int:
    """Entries of one stream are 0-1, 0-2, 0-3…: a gap shows."""
    return int(entry_id.partition(b"-")[2])
