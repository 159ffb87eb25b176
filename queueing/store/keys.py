"""Every Redis key the queue uses, in one place. All keys of one Space share a hash tag, so that a
cluster keeps them on one node and a script may touch them together."""

from __future__ import annotations

from dataclasses import dataclass

#: Keys that stay for the life of a Space; everything else has a time to live or is emptied by the work.
PERMANENT = ("cfg", "route", "seq", "fence", "storage", "starts", "totals", "limits")


@dataclass(frozen=True, slots=True)
class SpaceKeys:
    """The keys of one Space."""

    space_id: int

    @property
    def prefix(self) -> str:
        """What every key of this Space begins with."""
        return f"sp:{{{self.space_id}}}:"

    @property
    def cfg(self) -> str:
        """hash: the queue settings; `refuse`, why nobody may join now (or absent); `order`, the policy that
        `wait` is sorted by now (absent: fifo); `replica`, the only one whose dispatcher may claim ("0":
        none); `serving` ("0": no replica runs); then, if known, `start_likely` and `start_at_most` (how many
        seconds a start takes) and `start_since` (Unix time at which it began)."""
        return self.prefix + "cfg"

    @property
    def route(self) -> str:
        """string: JSON, where the Space runs and what its app offers (`queueing.routes`)."""
        return self.prefix + "route"

    @property
    def starts(self) -> str:
        """list: how long the latest starts of the Space took, in seconds, newest first."""
        return self.prefix + "starts"

    @property
    def seq(self) -> str:
        """counter: order of joining."""
        return self.prefix + "seq"

    @property
    def fence(self) -> str:
        """counter: one number per claimed call; writes under an older number are refused."""
        return self.prefix + "fence"

    @property
    def storage(self) -> str:
        """string: the Redis (its replication id) that gave the fencing tokens since the last `acquire`."""
        return self.prefix + "storage"

    def wait(self, line: str) -> str:
        """zset event id -> score: pending events in the order of their turns. The score is seq under
        fifo; under fair it is tag * 2^22 + seq modulo 2^22 (see `shares`)."""
        return f"{self.prefix}wait:{line}"

    def next(self, line: str) -> str:
        """zset event id -> seq: pending events that go before `wait`: interrupted ones, and the next steps of
        chains. They count in nobody's position and not in `max_size`."""
        return f"{self.prefix}next:{line}"

    def shares(self, line: str) -> str:
        """hash, absent while nobody waits in the line: `n:visitor`, the number of this visitor's events in
        `wait`; under fair also `t:visitor`, the tag last given to one of them, and `v`, the line's virtual
        time, which is the tag last served (docs/explanation/fairness.md)."""
        return f"{self.prefix}shares:{line}"

    def calls(self, line: str) -> str:
        """zset fencing token -> start time: running calls; the line's limit bounds its size."""
        return f"{self.prefix}calls:{line}"

    @property
    def lines(self) -> str:
        """zset line -> fencing token of its last start: the lines that are not empty (`lua/lib/line.lua`)."""
        return self.prefix + "lines"

    @property
    def limits(self) -> str:
        """hash line -> calls at once, or "none" for no limit: the lines that have a number of their own."""
        return self.prefix + "limits"

    @property
    def running(self) -> str:
        """zset event id -> start time."""
        return self.prefix + "running"

    @property
    def lease(self) -> str:
        """string with TTL: the one dispatcher that may claim."""
        return self.prefix + "lease"

    @property
    def wake(self) -> str:
        """pub/sub channel: the dispatcher has something to do (a hint)."""
        return self.prefix + "wake"

    def event(self, event_id: str) -> str:
        """hash with TTL: one event."""
        return f"{self.prefix}ev:{event_id}"

    def messages(self, channel: str) -> str:
        """stream with TTL, and pub/sub channel of the same name: the messages of one session or event."""
        return f"{self.prefix}msgs:{channel}"

    def open(self, channel: str) -> str:
        """set with TTL: events of this channel that have had no final message yet."""
        return f"{self.prefix}open:{channel}"

    def cursor(self, channel: str) -> str:
        """string with TTL: the last message that this channel's client received
        (`queueing.delivery.cursors`)."""
        return f"{self.prefix}cur:{channel}"

    def dropped(self, channel: str) -> str:
        """set with TTL: events of this channel that its client gave up: it gets none of their messages."""
        return f"{self.prefix}dropped:{channel}"

    def last(self, channel: str) -> str:
        """string with TTL: the function this channel finished last (its next step goes first), then the steps
        that have come."""
        return f"{self.prefix}last:{channel}"

    def idempotency(self, visitor: str, key: str) -> str:
        """string with TTL: "<event id> <digest of its input>", the event that this visitor's key made."""
        return f"{self.prefix}idem:{visitor}:{key}"

    def deaths(self, input_digest: str) -> str:
        """string with TTL: "<count> <time of the last>", containers that died while they ran this input."""
        return f"{self.prefix}deaths:{input_digest}"

    def answer(self, name: str) -> str:
        """string with TTL: the container's answer to a queued HTTP request (`store.http_results`)."""
        return f"{self.prefix}answer:{name}"

    @property
    def held(self) -> str:
        """hash with TTL: key -> bytes of what the Space's calls keep there; `all`: of them together
        (`lua/lib/held.lua`)."""
        return self.prefix + "held"

    @property
    def held_until(self) -> str:
        """zset with TTL: such a key -> time when its own TTL ends."""
        return self.prefix + "held_until"

    @property
    def holding(self) -> dict[str, str]:
        """The two by the names that scripts have for them."""
        return {"held": self.held, "held_until": self.held_until}

    @property
    def seen(self) -> str:
        """zset channel -> time: when a waiting page was last connected."""
        return self.prefix + "seen"

    @property
    def service(self) -> str:
        """hash with TTL: `t:fn`, seconds that the function's latest calls took, newest first, separated by
        commas; `b:fn`, the function's own largest batch (0: it takes none)."""
        return self.prefix + "service"

    @property
    def promises(self) -> str:
        """hash with TTL: waiting event -> the first promise to its visitor: when (Unix time), and the
        seconds from then, likely and at most. Of a sample; `claim` compares it with the outcome."""
        return self.prefix + "promises"

    def honesty(self, day: str) -> str:
        """hash with TTL: how accurate the promises of one UTC day were: `count`, `within` (at most held), and
        `off:bound`, how many were off by up to this share of the wait."""
        return f"{self.prefix}honesty:{day}"

    def day(self, day: str) -> str:
        """hash with TTL: counters of one UTC day (completed, failed, cancelled, refused…)."""
        return f"{self.prefix}day:{day}"

    @property
    def minutes(self) -> str:
        """set with TTL: the minutes (since 1970) whose counters are not in PostgreSQL yet."""
        return self.prefix + "min"

    def minute(self, minute: int) -> str:
        """hash with TTL: counters of one minute (`stats.counters`); `lib/count.lua` makes its name too."""
        return f"{self.minutes}:{minute}"

    @property
    def totals(self) -> str:
        """hash: counters since the Space exists, of stored minutes (`queueing.stats.totals`)."""
        return self.prefix + "totals"

    def visit(self, visit_id: str) -> str:
        """set with TTL: events made by one visit of the demo page."""
        return f"{self.prefix}visit:{visit_id}"

    def page(self, token: str) -> str:
        """string with TTL: the session that first used this page token."""
        return f"{self.prefix}page:{token}"


def host(subdomain: str) -> str:
    """string: the Space that this demo host belongs to."""
    return f"spaceport:host:{subdomain}"


def name(owner_and_name: str) -> str:
    """string: the Space of this owner/name, lower case."""
    return f"spaceport:name:{owner_and_name.lower()}"


def loads(visitor: str) -> str:
    """string with TTL: until when this visitor's bucket of page loads is in use (`lua/page_load.lua`)."""
    return f"spaceport:loads:{visitor}"


def open_of(messages: str) -> str:
    """The set of open events of the channel whose message stream has this key."""
    return messages.replace(":msgs:", ":open:", 1)


#: string: a random value, set by the process that finds none. A changed value means that the queue was lost.
EPOCH = "spaceport:epoch"

#: zset Space id -> time: when a visitor last came.
VISITED = "spaceport:visited"
