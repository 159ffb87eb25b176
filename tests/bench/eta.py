"""How honest the ETA is: a discrete-event simulation of one queue under steady loads, driving the estimate
that visitors are told. `python -m tests.bench.eta` prints the table; no clock and no server is involved, so
a seed always gives the same figures."""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from queueing.eta import Eta, Service, forecast, measured

KEPT = 128  # service times kept of each function, about what the queue keeps
AT_LEAST_S = 1.0  # an error is told as a share of the wait, of a second where the wait was shorter

Draw = Callable[[random.Random], float]


@dataclass(frozen=True, kw_only=True)
class Load:
    """One steady load: clients that send, wait for the end, think, and send again."""

    name: str
    functions: dict[str, Draw]  # each as likely as the others
    clients: int = 30
    concurrency: int = 1
    batch: int = 1
    think_s: float = 5.0


@dataclass(frozen=True)
class EtaAccuracy:
    """What came of the promises: how many, the median error as a share of the wait, how many held."""

    promises: int
    median_error: float
    within: float


def steady(seconds: float) -> Draw:
    """The same each time, but for the two percent that any machine adds and takes."""
    return lambda rng: seconds * rng.lognormvariate(0, 0.02)


def lognormal(median_s: float, sigma: float = 0.5) -> Draw:
    """As most models take: some inputs need much longer."""
    return lambda rng: rng.lognormvariate(0, sigma) * median_s


@dataclass
class _Simulation:
    load: Load
    rng: random.Random
    now: float = 0.0
    line: deque[tuple[int, str]] = field(default_factory=deque)  # event, function
    running: dict[int, tuple[str, float, list[int]]] = field(default_factory=dict)  # call -> …
    times: dict[str, list[float]] = field(default_factory=dict)
    promised: dict[int, tuple[float, Eta]] = field(default_factory=dict)
    outcomes: list[tuple[float, float, float]] = field(default_factory=list)  # likely, at most, waited
    agenda: list[tuple[float, int, int]] = field(default_factory=list)  # when, order, call or -1: a join

    def run(self, events: int, warm_up: int) -> EtaAccuracy:
        order = itertools.count()
        for _ in range(self.load.clients):
            heapq.heappush(self.agenda, (self.rng.uniform(0, self.load.think_s), next(order), -1))
        numbers = itertools.count()
        joined = 0
        while joined < events:
            self.now, _, call = heapq.heappop(self.agenda)
            if call < 0:
                self._join(next(numbers), told=joined >= warm_up)
                joined += 1
            else:
                function, began, members = self.running.pop(call)
                self.times.setdefault(function, []).insert(0, self.now - began)
                del self.times[function][KEPT:]
                for _ in members:
                    think = self.rng.expovariate(1 / self.load.think_s)
                    heapq.heappush(self.agenda, (self.now + think, next(order), -1))
            self._claim(numbers, order)
        errors = [abs(likely - waited) / max(waited, AT_LEAST_S) for likely, _, waited in self.outcomes]
        within = sum(waited <= most for _, most, waited in self.outcomes)
        return EtaAccuracy(len(errors), statistics.median(errors), within / len(errors))

    def _join(self, event: int, *, told: bool) -> None:
        function = self.rng.choice(sorted(self.load.functions))
        busy = len(self.running) >= self.load.concurrency
        self.line.append((event, function))
        eta = self._forecast() if told and busy else None
        if eta is not None:
            self.promised[event] = (self.now, eta)

    def _forecast(self) -> Eta | None:
        services: dict[str, Service] = {}
        for function, times in self.times.items():
            if (service := measured(times, batch=self.load.batch)) is not None:
                services[function] = service
        line = [function for _, function in self.line]
        found = forecast(
            line,
            running=[(function, self.now - began) for function, began, _ in self.running.values()],
            services=services,
            concurrency=self.load.concurrency,
            max_batch=self.load.batch,
        )
        return found.at(len(line) - 1)

    def _claim(self, numbers: itertools.count[int], order: itertools.count[int]) -> None:
        while self.line and len(self.running) < self.load.concurrency:
            function = self.line[0][1]
            members = [e for e, f in self.line if f == function][: self.load.batch]
            self.line = deque((e, f) for e, f in self.line if e not in members)
            call = next(numbers)
            self.running[call] = (function, self.now, members)
            takes = self.load.functions[function](self.rng)
            heapq.heappush(self.agenda, (self.now + takes, next(order), call))
            for event in members:
                if event in self.promised:
                    told, eta = self.promised.pop(event)
                    self.outcomes.append((eta.likely, eta.at_most, self.now - told))


class _Knowing(_Simulation):
    """The same, promised by someone who knows how the calls' lengths are distributed and not only what some
    took: better than that nobody can do. For one function and one call at a time."""

    SAMPLES = 300

    def _forecast(self) -> Eta | None:
        (draw,) = self.load.functions.values()
        (ran,) = (self.now - began for _, began, _ in self.running.values())
        rng = random.Random(len(self.outcomes))  # noqa: S311
        ahead = (len(self.line) - 1) // self.load.batch
        waits = sorted(
            next(takes for takes in iter(lambda: draw(rng), None) if takes > ran)
            - ran
            + sum(draw(rng) for _ in range(ahead))
            for _ in range(self.SAMPLES)
        )
        return Eta(statistics.median(waits), waits[int(0.92 * len(waits))])


def simulate(load: Load, seed: int = 1, events: int = 6000, warm_up: int = 300) -> EtaAccuracy:
    """Run a load and compare every promise with what came of it."""
    return _Simulation(load, random.Random(seed)).run(events, warm_up)  # noqa: S311


def at_best(load: Load, seed: int = 1, events: int = 6000, warm_up: int = 300) -> EtaAccuracy:
    """The same with the best promises there can be."""
    return _Knowing(load, random.Random(seed)).run(events, warm_up)  # noqa: S311


def _loads() -> list[Load]:
    kinds = {
        "constant 2 s": {"0": steady(2.0)},
        "lognormal, median 2 s": {"0": lognormal(2.0)},
        "0.2 s and 10 s in one queue": {"0": lognormal(0.2, 0.3), "1": lognormal(10.0, 0.3)},
    }
    loads = [
        Load(name=f"{name}, concurrency {at_once}", functions=draws, concurrency=at_once, clients=clients)
        for at_once, clients in ((1, 30), (4, 100))
        for name, draws in kinds.items()
    ]
    mixed = {"0": lognormal(0.5, 0.3), "1": lognormal(4.0, 0.3)}
    return [
        *loads,
        Load(name="constant 2 s, batches of 8", functions={"0": steady(2.0)}, batch=8, clients=60),
        Load(name="lognormal, batches of 8", functions={"0": lognormal(2.0)}, batch=8, clients=160),
        Load(name="0.5 s and 4 s, batches of 4", functions=mixed, batch=4, clients=60, concurrency=2),
    ]


LOADS = _loads()
#: A line of three to five calls that vary this much cannot be told to 15 %: nobody knows what they will take.
SHORT = Load(
    name="lognormal, batches of 8, a short line", functions={"0": lognormal(2.0)}, batch=8, clients=50
)


def table(seed: int = 1) -> str:
    """All loads, as Markdown."""
    rows = ["| load | promises | median error | at most held |", "|---|---|---|---|"]
    found = [(load.name, simulate(load, seed)) for load in (*LOADS, SHORT)]
    found.append((f"{SHORT.name}, by who knows its distribution", at_best(SHORT, seed)))
    for name, honesty in found:
        rows.append(f"| {name} | {honesty.promises} | {honesty.median_error:.1%} | {honesty.within:.1%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
