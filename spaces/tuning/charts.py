"""The charts of a measurement, as values for an SVG: throughput, how long calls take, memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from queueing.tuning.recommend import Choice, size
from queueing.tuning.results import GroupResult, Results
from queueing.tuning.sweep import Measured

WIDTH, HEIGHT = 320, 150
TOP, BOTTOM, LEFT, RIGHT = 14, 22, 8, 8
#: Of a normal distribution, in standard errors: 95 of 100 are within.
SURE = 1.96


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One point: where it is, what it is called, and how far its value may be off."""

    x: float
    y: float
    label: str
    high: float
    low: float
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart. `bound`: where a limit is drawn, and what it is called; `words`: all of it in a sentence."""

    title: str
    dots: Sequence[Dot]
    line: str
    most: str
    words: str
    bound: float | None = None
    bound_label: str = ""
    width: int = WIDTH
    height: int = HEIGHT
    bottom: int = HEIGHT - BOTTOM


def charts(group: GroupResult, choice: Choice | None, results: Results) -> list[Chart]:
    """Of one group, its points from fewer to more events at once."""
    points = sorted(
        (one for one in group.points if one.calls),
        key=lambda one: (one.point.events, one.point.concurrency),
    )
    if not points:
        return []
    best = choice.point if choice is not None else None
    return [
        _chart("Events a second", points, best, lambda one: one.throughput, lambda one: SURE * one.error),
        _chart("A call takes, p95", points, best, lambda one: one.p95_s, unit=_seconds),
        _chart(
            "Memory",
            points,
            best,
            lambda one: one.memory_bytes,
            unit=size,
            bound=(results.bound_bytes, "85 % of the limit") if results.bound_bytes else None,
        ),
    ]


def _chart(
    title: str,
    points: Sequence[Measured],
    best: Measured | None,
    value: Callable[[Measured], float],
    error: Callable[[Measured], float] = lambda _: 0.0,
    *,
    unit: Callable[[float], str] = lambda value: f"{value:.3g}",
    bound: tuple[float, str] | None = None,
) -> Chart:
    most = max([value(one) + error(one) for one in points] + ([bound[0]] if bound else [])) or 1.0
    step = (WIDTH - LEFT - RIGHT) / len(points)

    def height(amount: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * max(amount, 0.0) / most, 1)

    dots = [
        Dot(
            x=round(LEFT + step * (number + 0.5), 1),
            y=height(value(one)),
            high=height(value(one) + error(one)),
            low=height(value(one) - error(one)),
            label=_label(one),
            is_chosen=one == best,
        )
        for number, one in enumerate(points)
    ]
    said = ", ".join(f"{unit(value(one))} at {_label(one)}" for one in points)
    return Chart(
        title=title,
        dots=dots,
        line=" ".join(f"{dot.x},{dot.y}" for dot in dots),
        most=unit(most),
        words=f"{title}: {said}." + (f" The chosen one is {_label(best)}." if best is not None else ""),
        bound=height(bound[0]) if bound else None,
        bound_label=f"{unit(bound[0])}, {bound[1]}" if bound else "",
    )


def _label(one: Measured) -> str:
    count, batch = one.point.concurrency, one.point.batch
    return f"{count}×{batch}" if batch > 1 else str(count)  # noqa: RUF001


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
