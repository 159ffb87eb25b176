"""What a measurement of a Space found, as it is stored and shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from queueing.tuning import memory
from queueing.tuning.sweep import Bounds, Measured, Point, chosen


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """One group of functions. `inputs`: what its calls were sent (the words of `queueing.measuring.plan`);
    `is_batch`: its function takes several events in a call; `ended`: why its sweep ended early."""

    group: str
    functions: tuple[str, ...]
    inputs: str
    is_batch: bool = False
    points: tuple[Measured, ...] = ()
    ended: str = ""

    @property
    def best(self) -> Measured | None:
        """The chosen point; None where none worked."""
        return chosen(self.points)


@dataclass(frozen=True, kw_only=True)
class Results:
    """Of one version on one tier. `cores`, `memory_limit_bytes`: of its replica, 0 for no limit;
    `rest_bytes`: its memory while nothing runs; `seconds`: how long all of it took."""

    cores: float = 0.0
    memory_limit_bytes: int = 0
    rest_bytes: int = 0
    seconds: float = 0.0
    groups: tuple[GroupResult, ...] = field(default=())

    @property
    def bound_bytes(self) -> int:
        """The memory that no point may exceed; 0 for no bound."""
        return round(memory.SHARE * self.memory_limit_bytes)

    def bounds(self, *, concurrency: int, batch: int, points: int) -> Bounds:
        """For the sweep of a group."""
        return Bounds(
            concurrency=concurrency,
            batch=batch,
            memory_bytes=self.bound_bytes,
            rest_bytes=self.rest_bytes,
            points=points,
        )

    def with_group(self, group: GroupResult) -> Results:
        """The same with what a group came to so far."""
        kept = [one for one in self.groups if one.group != group.group]
        return replace(self, groups=(*kept, group))

    def group(self, name: str) -> GroupResult | None:
        """What this group came to so far."""
        return next((one for one in self.groups if one.group == name), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Results:
        groups = tuple(_group(one) for one in value.get("groups", ()))
        return cls(**{**value, "groups": groups})


def _group(value: dict[str, Any]) -> GroupResult:
    points = tuple(Measured(**{**one, "point": Point(**one["point"])}) for one in value["points"])
    return GroupResult(**{**value, "functions": tuple(value["functions"]), "points": points})
