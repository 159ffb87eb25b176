"""Commands of one event loop sent together: those issued while an answer is on its way go out in one write.
Under load that saves most system calls of both sides; alone, a command is sent at once.

The server executes the commands, and answers them, in the order they were issued.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from redis.asyncio.client import Pipeline

if TYPE_CHECKING:
    from redis.asyncio import Redis

AT_ONCE = 256  # commands in one write

_Command = tuple[tuple[Any, ...], "asyncio.Future[Any]"]
_of: WeakKeyDictionary[Redis, AutoPipeline] = WeakKeyDictionary()


class AutoPipeline:
    """The commands of one client."""

    def __init__(self, redis: Redis) -> None:
        # Not the client itself: a reference to it would keep both alive.
        self._pool, self._callbacks = redis.connection_pool, redis.response_callbacks
        self._queued: list[_Command] = []
        self._sender: asyncio.Task[None] | None = None

    def execute(self, *command: Any) -> asyncio.Future[Any]:
        """Send a command; the future holds its answer.

        Raises:
            RedisError, OSError: when awaited; where the connection broke, it is not known what was done.
        """
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._queued.append((command, answer))
        if self._sender is None or self._sender.get_loop() is not loop:
            self._sender = loop.create_task(self._send(), name="commands")
        return answer

    async def _send(self) -> None:
        try:
            await asyncio.sleep(0)  # commands issued in this same turn go along
            while self._queued:
                batch, self._queued = self._queued[:AT_ONCE], self._queued[AT_ONCE:]
                for (_, waiting), answer in zip(batch, await self._answers(batch), strict=True):
                    if waiting.done():
                        continue
                    if isinstance(answer, BaseException):
                        waiting.set_exception(answer)
                    else:
                        waiting.set_result(answer)
        finally:
            self._sender = None

    async def _answers(self, batch: list[_Command]) -> list[Any]:
        # A new one each time: one that failed may keep its commands, and would send them again with the next.
        pipeline: Pipeline = Pipeline(self._pool, self._callbacks, transaction=False, shard_hint=None)
        for command, _ in batch:
            pipeline.execute_command(*command)
        try:
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever the error, nobody may wait for ever
            return [error] * len(batch)
        return answers


def auto_pipeline(redis: Redis) -> AutoPipeline:
    """The pipeline that all users of this client share."""
    if (found := _of.get(redis)) is None:
        found = _of[redis] = AutoPipeline(redis)
    return found
