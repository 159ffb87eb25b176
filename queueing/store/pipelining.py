"""Commands of one event loop sent together: what is asked while an answer is on its way goes in one write
with everything else that was asked meanwhile. Under load that saves most system calls of both sides; alone,
a command is sent at once.

Answers come in the order of asking, and the server does the commands in that order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from redis.asyncio.client import Pipeline

if TYPE_CHECKING:
    from redis.asyncio import Redis

AT_ONCE = 256  # commands in one write

_Asked = tuple[tuple[Any, ...], "asyncio.Future[Any]"]
_of: WeakKeyDictionary[Redis, AutoPipeline] = WeakKeyDictionary()


class AutoPipeline:
    """The commands of one client."""

    def __init__(self, redis: Redis) -> None:
        # Not the client itself, whose end is this one's too.
        self._pool, self._callbacks = redis.connection_pool, redis.response_callbacks
        self._asked: list[_Asked] = []
        self._sender: asyncio.Task[None] | None = None

    def execute(self, *command: Any) -> asyncio.Future[Any]:
        """The answer to come.

        Raises:
            RedisError, OSError: when awaited; where the connection broke, it is not known what was done.
        """
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._asked.append((command, answer))
        if self._sender is None or self._sender.get_loop() is not loop:
            self._sender = loop.create_task(self._send(), name="commands")
        return answer

    async def _send(self) -> None:
        try:
            await asyncio.sleep(0)  # what others ask in this same turn goes along
            while self._asked:
                now, self._asked = self._asked[:AT_ONCE], self._asked[AT_ONCE:]
                for (_, waiting), answer in zip(now, await self._answers(now), strict=True):
                    if waiting.done():
                        continue
                    if isinstance(answer, BaseException):
                        waiting.set_exception(answer)
                    else:
                        waiting.set_result(answer)
        finally:
            self._sender = None

    async def _answers(self, now: list[_Asked]) -> list[Any]:
        # A new one each time: one that failed may keep its commands, and would send them again with the next.
        pipeline: Pipeline = Pipeline(self._pool, self._callbacks, transaction=False, shard_hint=None)
        for command, _ in now:
            pipeline.execute_command(*command)
        try:
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever it was, nobody may wait for ever
            return [error] * len(now)
        return answers


def auto_pipeline(redis: Redis) -> AutoPipeline:
    """The one that all users of this client share."""
    if (found := _of.get(redis)) is None:
        found = _of[redis] = AutoPipeline(redis)
    return found
