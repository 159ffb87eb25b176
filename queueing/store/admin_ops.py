"""What an owner or the platform does to a whole queue at once."""

from __future__ import annotations

from infra.redis_clients import sync_redis
from queueing.lines import all_lines
from queueing.messages import failed, no_hardware, paused
from queueing.store.keys import SpaceKeys
from queueing.store.queue import FINAL_TTL_S, day
from queueing.store.scripts import Script

CLEARED = "The owner cleared the queue of this Space. Please send it again."


def busy_lines(k: SpaceKeys) -> list[str]:
    """The lines that are not empty."""
    return all_lines(sync_redis().zrange(k.lines, 0, -1))


def clear(space_id: int, reason: str = CLEARED) -> int:
    """End every pending event with a final message that gives the reason; returns how many."""
    client = sync_redis()
    k = SpaceKeys(space_id)
    script = Script("cancel")
    cancel = client.register_script(script.source)
    cleared = 0
    today = k.day(day())
    for name in busy_lines(k):
        for raw in (*client.zrange(k.next(name), 0, -1), *client.zrange(k.wait(name), 0, -1)):
            event_id = raw.decode()
            channel = (client.hget(k.event(event_id), "channel") or b"").decode()
            answer = cancel(
                keys=script.in_order(
                    event=k.event(event_id),
                    messages=k.messages(channel),
                    open=k.open(channel),
                    day=today,
                    promises=k.promises,
                    **k.byte_keys,
                    lines=k.lines,
                    fence=k.fence,
                    minutes=k.minutes,
                ),
                args=[event_id, channel, failed(event_id, reason), FINAL_TTL_S, k.wake, k.prefix, 0],
            )
            cleared += answer[0] == b"cancelled"
    return cleared


def announce_pause(space_id: int) -> int:
    """Publish to every event that waits or runs that its Space is paused; how many."""
    return _announce(space_id, paused("EVENT_ID"))


def announce_no_hardware(space_id: int, why: str) -> int:
    """Publish to every event that waits or runs why no machine can take its Space; how many."""
    return _announce(space_id, no_hardware("EVENT_ID", why))


def _announce(space_id: int, message: bytes) -> int:
    client = sync_redis()
    k = SpaceKeys(space_id)
    script = Script("notice")
    count: int = client.register_script(script.source)(
        keys=script.in_order(running=k.running, **k.byte_keys, lines=k.lines, fence=k.fence),
        args=[k.prefix, message, FINAL_TTL_S],
    )
    return count
