"""The figures of one run, from the clients' ledger, the apps' own, and what was seen from outside."""

from __future__ import annotations

import bisect
import itertools
import json
import statistics
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import redis

from queueing.store.keys import SpaceKeys
from tests.chaos.nemesis import SIZES
from tests.chaos.runs import Runs

if TYPE_CHECKING:
    from tests.chaos.ledger import Acknowledged, Ledger
    from tests.chaos.nemesis import Fault, Nemesis
    from tests.chaos.observer import Observer, Reclaim

#: Faults that keep another worker from taking over.
RECLAIM_NEEDS = {
    "kill worker", "freeze worker", "kill valkey", "freeze valkey", "kill build worker", "kill beat",
    "rolling restart",
}  # fmt: skip
#: And those that keep another machine from serving what a lost one served; besides what hits the same Space.
COVER_NEEDS = RECLAIM_NEEDS | {
    "kill web", "freeze web", "kill postgres", "lose machine", "prune environment", "restore everything",
}  # fmt: skip
SETTLES_S = 15.0  # after a fault, until what it broke works again
#: The longest that anybody may wait for what another machine can do.
COVERED_WITHIN_S = 30.0
AT_ONCE = 1000  # events asked for in one round trip


@dataclass
class Kills:
    """What died or slept, exactly: processes killed with SIGKILL, processes frozen, and apps that one of
    their inputs crashed or blocked."""

    killed: int
    frozen: int
    crashed: int

    @property
    def total(self) -> int:
        return self.killed + self.frozen + self.crashed


@dataclass
class Report:
    """The figures. Times in seconds."""

    seed: int
    seconds: float
    accepted: int
    accepted_a_second: float
    completed: int
    failed: dict[str, int]  # by reason
    cancelled: int
    clients: dict[str, int]  # what they did besides
    refused: dict[str, int]  # asked again until accepted
    lost: int  # acknowledged, and no end was heard of it
    ended_twice: int  # two ends, or ends that differ
    acknowledged_twice: int  # one key, two events
    run_twice: int  # begun again though the process of its first run lived
    wrong: int  # completed with another event's result
    run_again: int  # begun again behind a fault
    concurrency_exceeded: int  # runs begun beside more, of their group or of all, than was allowed then
    most_at_once: int
    size_exceeded: int  # by how many a line was longer than the largest max_size ever set
    most_waiting: int
    kills: dict[str, int]
    kills_total: int
    faults: dict[str, int]
    rolling_restarts_completed: int
    faults_not_made: dict[str, int]
    owner: dict[str, int]
    reclaims: int
    longest_reclaim_s: float
    undisturbed_reclaims: int  # nothing that they need was broken meanwhile, and the app was there
    longest_undisturbed_reclaim_s: float
    covers: int  # Spaces whose machine was lost
    longest_cover_s: float  # until an event accepted after that had completed
    undisturbed_covers: int
    longest_undisturbed_cover_s: float
    covered_too_late: int  # of the undisturbed
    longest_wait_s: float  # from an acknowledgement to the end
    longest_silence_s: float  # in which nothing completed anywhere
    back_after_s: dict[str, str]  # by fault: until an event accepted after it had completed

    @property
    def broken(self) -> int:
        """Promises that were not kept."""
        doubled = self.ended_twice + self.acknowledged_twice + self.run_twice + self.wrong
        return self.lost + doubled + self.concurrency_exceeded + self.size_exceeded + self.covered_too_late

    def __str__(self) -> str:
        return json.dumps(asdict(self), indent=2)


def report(seed: int, seconds: float, ledger: Ledger, nemesis: Nemesis, observer: Observer) -> Report:
    """Count. The platform still runs: its own record is asked how often each event ended."""
    runs = {target.name: Runs.read(target.notes) for target in nemesis.targets}
    ends = ledger.ends()
    kills = kinds(nemesis.faults, sum(r.crashes for r in runs.values()))
    twice = set(ledger.ended_twice) | set(_recorded_twice(ledger, nemesis))
    done = ledger.completions()
    calm = [r.seconds for r in observer.reclaims if undisturbed(r, nemesis.faults)]
    covers, calmly = covered(ledger, nemesis.faults)
    return Report(
        seed=seed,
        seconds=round(seconds, 1),
        accepted=len(ledger.acknowledged),
        accepted_a_second=round(len(ledger.acknowledged) / seconds, 1),
        completed=ends.pop("completed", 0),
        cancelled=ends.pop("cancelled", 0),
        failed={how: count for how, count in ends.items() if how.startswith("failed")},
        wrong=sum(count for how, count in ends.items() if how.startswith("wrong")),
        clients=dict(ledger.did),
        refused=dict(ledger.refused),
        lost=len(ledger.lost),
        ended_twice=len(twice),
        acknowledged_twice=len(ledger.acknowledged_twice),
        run_twice=sum(len(r.twice()) for r in runs.values()),
        run_again=sum(len(list(r.again())) for r in runs.values()),
        concurrency_exceeded=sum(
            len(r.over(nemesis.settings[s].allowed, nemesis.totals[s].allowed)) for s, r in runs.items()
        ),
        most_at_once=max(r.most_at_once for r in runs.values()),
        size_exceeded=max(0, observer.most_waiting - max(SIZES)),
        most_waiting=observer.most_waiting,
        kills=asdict(kills),
        kills_total=kills.total,
        faults=dict(nemesis.counts),
        rolling_restarts_completed=nemesis.renewals,
        faults_not_made=dict(nemesis.failed),
        owner=dict(observer.did),
        reclaims=len(observer.reclaims),
        longest_reclaim_s=round(max((r.seconds for r in observer.reclaims), default=0), 1),
        undisturbed_reclaims=len(calm),
        longest_undisturbed_reclaim_s=round(max(calm, default=0), 1),
        covers=len(covers),
        longest_cover_s=round(max(covers, default=0), 1),
        undisturbed_covers=len(calmly),
        longest_undisturbed_cover_s=round(max(calmly, default=0), 1),
        covered_too_late=sum(seconds > COVERED_WITHIN_S for seconds in calmly),
        longest_wait_s=round(max(_waits(ledger), default=0), 1),
        longest_silence_s=round(max((b - a for a, b in itertools.pairwise(done)), default=seconds), 1),
        back_after_s=back_after(ledger, nemesis.faults),
    )


def kinds(faults: list[Fault], crashed: int) -> Kills:
    """Settings changes and rolling restarts are none."""
    first = [fault.kind.partition(" ")[0] for fault in faults]
    return Kills(killed=first.count("kill"), frozen=first.count("freeze"), crashed=crashed)


def undisturbed(reclaim: Reclaim, faults: list[Fault]) -> bool:
    """Whether the other worker and all that tells it to take over were well."""
    until = reclaim.began + reclaim.seconds
    meanwhile = {fault.kind for fault in faults if reclaim.began < fault.at <= until}
    return reclaim.ready and not meanwhile & RECLAIM_NEEDS


def _waits(ledger: Ledger) -> list[float]:
    acks = ledger.acknowledged.values()
    return [ledger.ended[a.event_id][0][1] - a.at for a in acks if a.event_id in ledger.ended]


def _recorded_twice(ledger: Ledger, nemesis: Nemesis) -> list[str]:
    """Acknowledged events that have more than one final message in the platform's record."""
    spaces = {target.name: SpaceKeys(target.space_id) for target in nemesis.targets}
    acks = list(ledger.acknowledged.values())
    with nemesis.platform.valkey() as client:
        parts = [_finals(client, spaces, acks[n : n + AT_ONCE]) for n in range(0, len(acks), AT_ONCE)]
    return [event_id for part in parts for event_id in part]


def _finals(client: redis.Redis, spaces: dict[str, SpaceKeys], some: list[Acknowledged]) -> list[str]:
    pipe = client.pipeline(transaction=False)
    for ack in some:
        pipe.hget(spaces[ack.space].event(ack.event_id), "channel")
    channels = pipe.execute()
    for ack, channel in zip(some, channels, strict=True):
        pipe.xrange(spaces[ack.space].messages((channel or b"").decode()))
    found = []
    for ack, entries in zip(some, pipe.execute(), strict=True):
        finals = [f for _, f in entries if f[b"e"].decode() == ack.event_id and f[b"f"] == b"1"]
        found += [ack.event_id] if len(finals) > 1 else []
    return found


def back_after(ledger: Ledger, faults: list[Fault]) -> dict[str, str]:
    """For each kind of fault, how long it took until an event accepted after it was completed: of the Space
    it hit, or of any; the middle one and the longest."""
    done = _completed(ledger)
    took: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        hit = [_first_end(done[space], fault.at) for space in fault.spaces or ("",)]
        took[fault.kind].append(max(hit) - fault.at)
    return {
        kind: f"{statistics.median(some):.1f} (longest {max(some):.1f}, of {len(some)})"
        for kind, some in sorted(took.items())
    }


def covered(ledger: Ledger, faults: list[Fault]) -> tuple[list[float], list[float]]:
    """For each Space whose machine was lost, how long it took until an event accepted after that was
    completed; and of these those times in which nothing else that this needs was broken."""
    done = _completed(ledger)
    found: list[float] = []
    calmly: list[float] = []
    for lost in (fault for fault in faults if fault.kind == "lose machine"):
        for space in lost.spaces:
            until = _first_end(done[space], lost.at)
            others = [
                fault for fault in faults if fault is not lost and lost.at - SETTLES_S < fault.at <= until
            ]
            is_calm = not any(fault.kind in COVER_NEEDS or space in fault.spaces for fault in others)
            found.append(until - lost.at)
            calmly += found[-1:] if is_calm else []
    return found, calmly


def _completed(ledger: Ledger) -> dict[str, list[tuple[float, float]]]:
    """When the completed events of each Space were accepted and completed, in order; "" has all of them."""
    done: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for ack in ledger.acknowledged.values():
        for how, at in ledger.ended.get(ack.event_id, [])[:1]:
            if how == "completed":
                for name in (ack.space, ""):
                    done[name].append((ack.at, at))
    for pairs in done.values():
        pairs.sort()
    return done


def _first_end(pairs: list[tuple[float, float]], after: float) -> float:
    """When the first event accepted after this was completed; now, where none was."""
    behind = pairs[bisect.bisect(pairs, (after, after)) :]
    return min((end for _, end in behind), default=time.monotonic())
