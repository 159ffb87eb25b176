"""Every Redis key the queue uses, in one place. All keys of one Space share a hash tag, so that a
cluster keeps them on one node and a script may touch them together."""

from __future__ import annotations

from dataclasses import dataclass

from infra.redis_keys import key


@dataclass(frozen=True, slots=True)
class SpaceKeys:
    """The keys of one Space."""

    space_id: int

    @property
    def prefix(self) -> str:
        """What every key of this Space begins with."""
        return f"sp:{{{self.space_id}}}:"

    @property
    @key("hash", owner="queue_settings", life="stays")
    def cfg(self) -> str:
        """The queue settings; `refuse`, the reason why joins are refused (absent: they are not); `order`, the
        policy that `wait` is sorted by now (absent: fifo); `replicas`, those whose dispatchers may claim, a
        space between two ("": none; absent: any); `serving` ("0": no replica runs); then, if known,
        `start_likely` and `start_at_most` (how many seconds a start takes) and `start_since` (Unix time at
        which it began)."""
        return self.prefix + "cfg"

    @property
    @key("string", owner="spaces.publishing", life="stays")
    def route(self) -> str:
        """JSON, where the Space runs and what its app offers (`queueing.routes`)."""
        return self.prefix + "route"

    @property
    @key("list", owner="spaces.starting", life="stays")
    def starts(self) -> str:
        """How long the latest starts of the Space took, in seconds, newest first."""
        return self.prefix + "starts"

    @property
    @key("hash", owner="spaces.gateway", life="stays")
    def kept(self) -> str:
        """The app's own description, for programs that come while it sleeps or starts: `config` and `info`,
        compressed; `sha`, their commit; `asking`, the process that is loading them from the app now."""
        return self.prefix + "kept"

    @property
    @key("counter", owner="store", life="stays")
    def seq(self) -> str:
        """Order of joining."""
        return self.prefix + "seq"

    @property
    @key("counter", owner="store", life="stays")
    def fence(self) -> str:
        """One number per claimed call; writes under an older number are refused."""
        return self.prefix + "fence"

    @property
    @key("string", owner="store", life="stays")
    def storage(self) -> str:
        """The Redis (its replication id) that gave the fencing tokens since the last `acquire`."""
        return self.prefix + "storage"

    @key("zset", owner="store", life="work")
    def wait(self, line: str) -> str:
        """Event id -> score: pending events in the order of their turns. The score is seq under
        fifo; under fair it is tag * 2^22 + seq modulo 2^22 (see `shares`)."""
        return f"{self.prefix}wait:{line}"

    @key("zset", owner="store", life="work")
    def next(self, line: str) -> str:
        """Event id -> seq: pending events that go before `wait`: interrupted ones, and the next steps of
        chains. They count in nobody's position and not in `max_size`."""
        return f"{self.prefix}next:{line}"

    @key("hash", owner="store", life="work")
    def shares(self, line: str) -> str:
        """Absent while nobody waits in the line: `n:visitor`, the number of this visitor's events in
        `wait`; under fair also `t:visitor`, the tag last given to one of them, and `v`, the line's virtual
        time, which is the tag last served (docs/explanation/fairness.md)."""
        return f"{self.prefix}shares:{line}"

    @key("zset", owner="store", life="work")
    def calls(self, line: str) -> str:
        """`<replica>:<fencing token>` -> start time: running calls; the line's limit bounds how many of each
        replica there are."""
        return f"{self.prefix}calls:{line}"

    @property
    @key("zset", owner="store", life="work")
    def lines(self) -> str:
        """Line -> fencing token of its last start: the lines that are not empty (`lua/lib/line.lua`)."""
        return self.prefix + "lines"

    @property
    @key("hash", owner="queue_settings", life="stays")
    def limits(self) -> str:
        """Line -> calls at once, or "none" for no limit: the lines that have a number of their own."""
        return self.prefix + "limits"

    @property
    @key("zset", owner="store", life="work")
    def running(self) -> str:
        """Event id -> start time."""
        return self.prefix + "running"

    @key("string", owner="store", life="expires")
    def lease(self, replica: int | str) -> str:
        """The one dispatcher that may claim for this replica."""
        return f"{self.prefix}lease:{replica}"

    @key("string", owner="store", life="expires")
    def pin(self, session: str) -> str:
        """The replica that has what this session (`queueing.events.session_key`) left in its app."""
        return f"{self.prefix}pin:{session}"

    @key("string", owner="spaces.gateway", life="expires")
    def last_session(self, visitor: str) -> str:
        """The session that this visitor (`queueing.events.session_key` of a visit or an address) used last,
        in a Space on several replicas."""
        return f"{self.prefix}last_session:{visitor}"

    @property
    @key("channel", owner="store", life="channel")
    def wake(self) -> str:
        """The dispatcher has something to do (a hint)."""
        return self.prefix + "wake"

    @key("hash", owner="store", life="expires")
    def event(self, event_id: str) -> str:
        """One event."""
        return f"{self.prefix}ev:{event_id}"

    @property
    @key("string", owner="spaces.scaling", life="expires")
    def scaling(self) -> str:
        """JSON, what the last round saw of a Space with a range of replicas (`spaces.scaling.memory`)."""
        return self.prefix + "scaling"

    @key("stream and channel", owner="store", life="expires")
    def messages(self, channel: str) -> str:
        """The messages of one session or event."""
        return f"{self.prefix}msgs:{channel}"

    @key("set", owner="store", life="expires")
    def open(self, channel: str) -> str:
        """Events of this channel that have had no final message yet."""
        return f"{self.prefix}open:{channel}"

    @key("string", owner="delivery", life="expires")
    def cursor(self, channel: str) -> str:
        """The last message that this channel's client received
        (`queueing.delivery.cursors`)."""
        return f"{self.prefix}cur:{channel}"

    @key("set", owner="store", life="expires")
    def dropped(self, channel: str) -> str:
        """Events of this channel that its client gave up: it gets none of their messages."""
        return f"{self.prefix}dropped:{channel}"

    @key("string", owner="store", life="expires")
    def last(self, channel: str) -> str:
        """The function this channel finished last (its next step goes first), then the steps
        that have come."""
        return f"{self.prefix}last:{channel}"

    @key("string", owner="store", life="expires")
    def idempotency(self, visitor: str, key: str) -> str:
        """ "<event id> <digest of its input>", the event that this visitor's key made."""
        return f"{self.prefix}idem:{visitor}:{key}"

    @key("string", owner="store", life="expires")
    def deaths(self, input_digest: str) -> str:
        """ "<count> <time of the last>", containers that died while they ran this input."""
        return f"{self.prefix}deaths:{input_digest}"

    @key("string", owner="dispatch", life="expires")
    def answer(self, name: str) -> str:
        """The container's answer to a queued HTTP request (`store.http_results`)."""
        return f"{self.prefix}answer:{name}"

    @property
    @key("hash", owner="store", life="expires")
    def kept_bytes(self) -> str:
        """Key -> bytes that the Space's calls keep there; `all`: their sum (`lua/lib/kept_bytes.lua`)."""
        return self.prefix + "held"

    @property
    @key("zset", owner="store", life="expires")
    def kept_until(self) -> str:
        """The same keys -> time when their own TTL ends."""
        return self.prefix + "held_until"

    @property
    def byte_keys(self) -> dict[str, str]:
        """Both keys, by their names in the scripts."""
        return {"kept_bytes": self.kept_bytes, "kept_until": self.kept_until}

    @property
    @key("zset", owner="delivery", life="work")
    def seen(self) -> str:
        """Channel -> time: when a waiting page was last connected."""
        return self.prefix + "seen"

    @property
    @key("hash", owner="dispatch", life="expires")
    def service(self) -> str:
        """`t:fn`, seconds that the function's latest calls took, newest first, separated by
        commas; `b:fn`, the function's own largest batch (0: it takes none)."""
        return self.prefix + "service"

    @property
    @key("hash", owner="delivery", life="expires")
    def promises(self) -> str:
        """Waiting event -> the first promise to its visitor: when (Unix time), and the
        seconds from then, likely and at most. Of a sample; `claim` compares it with the outcome."""
        return self.prefix + "promises"

    @key("hash", owner="stats", life="expires")
    def honesty(self, day: str) -> str:
        """How accurate the promises of one UTC day were: `count`, `within` (waits up to the upper bound), and
        `off:bound`, how many were off by up to this share of the wait."""
        return f"{self.prefix}honesty:{day}"

    @key("hash", owner="stats", life="expires")
    def day(self, day: str) -> str:
        """Counters of one UTC day (completed, failed, cancelled, refused…)."""
        return f"{self.prefix}day:{day}"

    @property
    @key("set", owner="stats", life="expires")
    def minutes(self) -> str:
        """The minutes (since 1970) whose counters are not in PostgreSQL yet."""
        return self.prefix + "min"

    @key("hash", owner="stats", life="expires")
    def minute(self, minute: int) -> str:
        """Counters of one minute (`stats.counters`)."""
        return f"{self.minutes}:{minute}"

    @property
    @key("list", owner="stats", life="expires")
    def memory_ends(self) -> str:
        """When its containers ran out of memory, and what ran then, newest first (`stats.memory_ends`)."""
        return self.prefix + "memory_ends"

    @property
    @key("hash", owner="stats", life="stays")
    def totals(self) -> str:
        """Counters since the Space exists, of stored minutes (`queueing.stats.totals`)."""
        return self.prefix + "totals"

    @key("set", owner="store", life="expires")
    def visit(self, visit_id: str) -> str:
        """Events made by one visit of the demo page."""
        return f"{self.prefix}visit:{visit_id}"

    @key("string", owner="protocols", life="expires")
    def page(self, token: str) -> str:
        """The session that first used this page token."""
        return f"{self.prefix}page:{token}"


@key("string", owner="spaces.publishing", life="stays")
def host(subdomain: str) -> str:
    """The Space that this demo host belongs to."""
    return f"spaceport:host:{subdomain}"


@key("string", owner="spaces.publishing", life="stays")
def name(owner_and_name: str) -> str:
    """The Space of this owner/name, lower case."""
    return f"spaceport:name:{owner_and_name.lower()}"


@key("zset", owner="stats", life="expires")
def out_of_memory() -> str:
    """Space -> when a container of it ran out of memory last (Unix time), of the last hour."""
    return "spaceport:out_of_memory"


@key("string", owner="spaces.gateway", life="expires")
def loads(visitor: str) -> str:
    """Until when this visitor's bucket of page loads is in use (`lua/page_load.lua`)."""
    return f"spaceport:loads:{visitor}"


def maker_in_lua(method: str) -> str:
    """A Lua function `<method>_of(name)` that makes the same key as this method of `SpaceKeys`. A script gets
    the keys that are known before it runs; which lines, events and channels are concerned it often learns
    from these. Their keys have the Space's hash tag too, so they are on the same node of a cluster."""
    known = SpaceKeys(0)
    given = "minutes" if method == "minute" else "prefix"
    begin = getattr(known, method)("").removeprefix(getattr(known, given))
    return f'local function {method}_of(name) return {given} .. "{begin}" .. name end'


@key("string", owner="delivery", life="stays")
def epoch() -> str:
    """A random value, set by the process that finds none. A changed value means that the queue was lost."""
    return "spaceport:epoch"


@key("zset", owner="spaces.gateway", life="stays")
def visited() -> str:
    """Space id -> time when a visitor last came."""
    return "spaceport:visited"


@key("channel", owner="spaces.publishing", life="channel")
def published() -> str:
    """The id of a Space whose route was just written."""
    return "spaceport:published"


EPOCH, VISITED, PUBLISHED = epoch(), visited(), published()


def holder_of(replica_id: int, dispatcher: str) -> str:
    """What a dispatcher writes into the `lease` of its replica."""
    return f"{replica_id}:{dispatcher}"


def replica_of(holder: str) -> str:
    """The number of the replica whose dispatcher holds the lease; "" where nobody does."""
    return holder.partition(":")[0] if ":" in holder else ""
