"""What the apps themselves wrote down of their runs, in a file the platform knows nothing of."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


def function_of(key: str) -> str:
    """Which function an event's key is for: clients let it begin with the function's first letter."""
    return key[:1]


@dataclass
class Run:
    """One run of one event's function. Times are of the machine's monotonic clock."""

    key: str
    process: str
    began: float
    beside: int  # calls in this process, this one among them, when it began
    beside_own: int  # those of its own function among them
    ended: float | None = None


@dataclass
class Runs:
    """All runs of one Space's app, in all the processes it was."""

    all: list[Run] = field(default_factory=list)
    crashes: int = 0  # of the app, by an input that kills or blocks it
    seen: dict[str, float] = field(default_factory=dict)  # process -> when it last wrote something

    @classmethod
    def read(cls, path: Path) -> Runs:
        """From the file the app writes."""
        runs = cls()
        now: dict[str, dict[str, Run]] = defaultdict(dict)  # process -> thread -> what it runs
        for line in path.read_text().splitlines() if path.exists() else ():
            word, key, where, at = line.split()
            process, _, thread = where.partition("-")
            runs.seen[process] = float(at)
            if word == "start":
                others = [run for at_thread, run in now[process].items() if at_thread != thread]
                own = sum(function_of(run.key) == function_of(key) for run in others)
                run = now[process][thread] = Run(key, process, float(at), len(others) + 1, own + 1)
                runs.all.append(run)
            elif word == "dies":
                runs.crashes += 1
            elif (ended := now[process].pop(thread, None)) is not None:
                ended.ended = float(at)
        return runs

    @property
    def most_at_once(self) -> int:
        """The most calls that ran at once in one process."""
        return max((run.beside for run in self.all), default=0)

    def over(self, of_each: Callable[[float], int], of_all: Callable[[float], int]) -> list[Run]:
        """Runs that began beside more others, of their function or of all, than the settings allowed then."""
        return [
            run for run in self.all if run.beside_own > of_each(run.began) or run.beside > of_all(run.began)
        ]

    def again(self) -> Iterator[tuple[Run, Run]]:
        """A run and the next one of the same event."""
        by_key: dict[str, list[Run]] = defaultdict(list)
        for run in self.all:
            by_key[run.key].append(run)
        for runs in by_key.values():
            yield from itertools.pairwise(runs)

    def twice(self) -> list[tuple[Run, Run]]:
        """Runs that were begun once more although the process of the first one lived: its run was not lost,
        so no fault explains the second one."""
        return [(a, b) for a, b in self.again() if self.seen[a.process] >= b.began]

    def first(self) -> dict[str, float]:
        """When each event's function was begun first."""
        return {run.key: run.began for run in reversed(self.all)}
