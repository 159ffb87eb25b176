"""What a Space's queue has to do, as `spaces.scaling.wanted` takes it. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence

from queueing.eta import Service, rest
from queueing.events import kind_of
from queueing.lines import MAIN, line_of
from queueing.routes import App
from queueing.stats.demand import Demand, LineDemand, Waiting
from spaces.scaling.wanted import Group, Load


def load_of(demand: Demand, app: App, a_second: Mapping[str, float]) -> Load:
    """`a_second`: function -> events a second, lately.

    An event whose session is on a replica that serves waits for that one, however many there are: it is work
    of its slots, not somebody whom another replica could help. Of those who come as many are free as of those
    who wait.
    """
    rates = _rates(app, a_second)
    groups = [
        _group(line, demand, rates.get(name, {}))
        for name, line in demand.lines.items()
        if line.waiting or line.calls or name in rates
    ]
    if demand.max_running is not None and len(groups) > 1:
        groups.append(_together(groups, demand))
    return Load(groups=groups, services=demand.services, max_batch=demand.max_batch)


def _rates(app: App, a_second: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Line -> function, as ids of events have it -> events a second."""
    functions = app.every()
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for fn, rate in a_second.items():
        function = functions.get(fn)
        found[line_of(MAIN, function.group if function else "")][kind_of(fn)] = rate
    return found


def _group(line: LineDemand, demand: Demand, rates: Mapping[str, float]) -> Group:
    slots = min(line.slots, demand.max_running or line.slots)
    homes: defaultdict[str, list[Waiting]] = defaultdict(list)
    for one in line.waiting:
        homes[one.home].append(one)
    free = [
        at
        for replica in demand.serving
        for at in _free(line.calls.get(replica, ()), homes[replica], slots, demand.services)
    ]
    share = len(homes[""]) / len(line.waiting) if line.waiting else 1.0
    return Group(
        slots=slots,
        line=[(one.kind, one.waited_s) for one in homes[""]],
        arrivals=rates,
        share=share,
        free=free,
    )


def _free(
    calls: Sequence[tuple[str, float]],
    pinned: Sequence[Waiting],
    slots: int,
    services: Mapping[str, Service],
) -> list[float]:
    """When each slot of one replica is free for events that any may take."""
    left = sorted(rest(services[kind], ran)[0] if kind in services else 0.0 for kind, ran in calls)
    # Prefetched calls, and those of a limit that was lowered, wait for one of the others.
    free = [0.0] * (slots - len(left)) + left[:slots]
    heapq.heapify(free)
    for takes in [*left[slots:], *(services[one.kind].mean for one in pinned if one.kind in services)]:
        heapq.heapreplace(free, free[0] + takes)
    return free


def _together(groups: Sequence[Group], demand: Demand) -> Group:
    """All lines as one, under the total that they share."""
    slots = demand.max_running or 1
    arrivals = {
        kind: sum(group.arrivals.get(kind, 0.0) for group in groups)
        for group in groups
        for kind in group.arrivals
    }
    share = min(group.share for group in groups)
    busiest = sorted((at for group in groups for at in group.free), reverse=True)
    line = sorted((one for group in groups for one in group.line), key=lambda one: -one[1])
    free = busiest[: slots * len(demand.serving)]
    return Group(slots=slots, line=line, arrivals=arrivals, share=share, free=free)
