"""One trace through the queue's own model (`queueing.tuning.model`), under the number of replicas that the
autoscaler's rounds decide on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from queueing.eta import Service, measured, quantile, rest
from queueing.tuning.model import Arrival, Limits, Line, Run
from spaces.scaling.arrivals import rates
from spaces.scaling.wanted import Decision, Group, Load, Range, Replicas, decide
from tests.bench.scaling.traces import Shape

EVERY_S = 4.0  # between rounds (`spaceport.celery.SCHEDULE`)
QUIET_S = 20.0  # as SPACEPORT_REPLICA_QUIET_S
#: A replica that is too many serves open pages so long (`spaces.building.versions.DRAIN_AT_LEAST_S`).
DRAIN_S = 10.0
WINDOW_S = 60.0
KEPT = 128


@dataclass
class Ran:
    """What came of it. `waits`: (arrival, seconds); `replica_s`: from each order to each end."""

    waits: list[tuple[float, float]]
    replica_s: float
    #: (time, how many are wanted from then on)
    steps: list[tuple[float, int]] = field(default_factory=list)

    def kept(self, goal_s: float) -> float:
        """The share of minutes with visitors in which the p90 of their waits was within the goal."""
        windows: dict[int, list[float]] = {}
        for at, wait in self.waits:
            windows.setdefault(int(at // WINDOW_S), []).append(wait)
        held = sum(quantile(sorted(waits), 0.9) <= goal_s for waits in windows.values())
        return held / max(len(windows), 1)

    def p90(self) -> float:
        """Of all waits."""
        return quantile(sorted(wait for _, wait in self.waits), 0.9)


class _Queue(Run):
    """The model, with what the autoscaler sees of it."""

    def __init__(self) -> None:
        super().__init__([Line()], Limits())
        self.took: deque[float] = deque(maxlen=KEPT)
        self.began: dict[float, tuple[float, float]] = {}  # of each call, by its end: start and work

    def _start(self, line: int) -> None:
        work = self._waiting[line][0][1].work
        super()._start(line)
        self.began[self._clock + work] = (self._now, work)

    def load(self, a_second: dict[str, float], serving: int) -> Load:
        """As the autoscaler is handed it."""
        live = {end for end, _ in self._ends}
        for end in [end for end in self.began if end not in live]:
            self.took.appendleft(self.began.pop(end)[1])
        running = [self._now - began for began, _ in self.began.values()]
        service = measured(list(self.took))
        services: dict[str, Service] = {} if service is None else {"f": service}
        free = [rest(service, ran)[0] if service else 0.0 for ran in running]
        free = sorted(free)[max(len(free) - serving, 0) :]
        line = [("f", self._now - arrival.at) for _, arrival in self._waiting[0]]
        free = [0.0] * (serving - len(free)) + free
        group = Group(slots=1, line=line, arrivals=a_second, free=free)
        return Load(groups=[group], services=services)


@dataclass
class Scaler:
    """The autoscaler of one Space, in the time of the model."""

    shape: Shape
    quiet_s: float = QUIET_S
    ordered: int = 1
    coming: list[float] = field(default_factory=list)  # when each is ready
    needed_at: dict[int, float] = field(default_factory=dict)
    a_second: dict[str, float] = field(default_factory=dict)
    steps: list[tuple[float, int]] = field(default_factory=list)

    def run(self, arrivals: Sequence[Arrival]) -> Ran:
        """All of it."""
        queue, at, replica_s, came = _Queue(), 0.0, 0.0, 0
        serving, events = 1, deque(arrivals)
        end = arrivals[-1].at
        while at < end:
            until = at + EVERY_S
            while True:
                moments = [until, *self.coming[:1], *([events[0].at] if events else [])]
                then = min(moments)
                queue.advance(then)
                if events and events[0].at == then:
                    queue.join(events.popleft())
                    came += 1
                elif self.coming and self.coming[0] == then:
                    self.coming.pop(0)
                    serving += 1
                    queue.change([Line(limit=serving)], Limits())
                else:
                    break
            replica_s += (until - at) * (serving + len(self.coming))
            at = until
            self.a_second, came = rates(self.a_second, {"f": came}, EVERY_S), 0
            decision = self._decide(queue, serving, at)
            if decision.wanted > self.ordered:
                self.coming += [at + self.shape.lead_s] * (decision.wanted - self.ordered)
            elif decision.wanted < self.ordered:
                gone = self.ordered - decision.wanted
                for _ in range(min(gone, len(self.coming))):
                    self.coming.pop()
                    gone -= 1
                serving -= gone
                replica_s += gone * DRAIN_S
                queue.change([Line(limit=serving)], Limits())
            if decision.wanted != self.ordered:
                self.steps.append((at, decision.wanted))
            self.ordered = decision.wanted
        queue.advance(float("inf"))
        return Ran(queue.outcome.waits, replica_s, self.steps)

    def _decide(self, queue: _Queue, serving: int, at: float) -> Decision:
        found = decide(
            queue.load(self.a_second, serving),
            Replicas(
                ordered=self.ordered,
                serving=serving,
                coming=[ready - at for ready in self.coming],
                lead_s=self.shape.lead_s,
            ),
            Range(least=1, most=self.shape.most, goal_s=self.shape.goal_s),
            now=at,
            needed_at=self.needed_at,
            quiet_s=self.quiet_s,
        )
        self.needed_at = dict(found.needed_at)
        return found
