"""A queue's history for the Statistics tab and the API."""

from __future__ import annotations

from typing import Any

from queueing.stats.counters import OTHERS, Fn, Tally
from queueing.stats.histograms import quantile
from queueing.stats.history import History, history
from queueing.stats.patience import patience


def report(space_id: int, name: str) -> dict[str, Any]:
    """The range `name` (`queueing.stats.history.RANGES`) of a Space: series for charts, totals, functions."""
    found = history(space_id, name)
    return {
        "range": name,
        "step_s": found.step_s,
        "series": _series(found),
        "totals": {
            **_counts(found.total),
            "most_pending": found.peak("pending"),
            "most_running": found.peak("running"),
            "wait_p50_s": _rounded(quantile(found.main.wait, 0.5)),
            "wait_p95_s": _rounded(quantile(found.main.wait, 0.95)),
            "left": sum(found.main.left.values()),
            "patience_p50_s": _rounded(patience(found.main.wait, found.main.left).time_of(0.5)),
        },
        "functions": [
            _function(found, fn, tally)
            for fn, tally in sorted(found.functions.items(), key=lambda item: -item[1].arrivals)
        ],
    }


def _series(found: History) -> dict[str, list[Any]]:
    """Equally long lists: `time` of each begin, and the values; waits are null where nobody waited."""
    points = list(found.points())
    minutes = found.step_s / 60
    rates = {
        "page": [one.all.counts["page"] for _, one in points],
        "api": [one.all.counts["api"] for _, one in points],
        "refused": [one.all.refused for _, one in points],
        "failed": [one.all.counts["failed"] for _, one in points],
    }
    return {
        "time": [at for at, _ in points],
        "pending": [one.pending for _, one in points],
        "running": [one.running for _, one in points],
        **{name: [round(count / minutes, 3) for count in counts] for name, counts in rates.items()},
        "wait_p50_s": [_rounded(quantile(one.main.wait, 0.5)) for _, one in points],
        "wait_p95_s": [_rounded(quantile(one.main.wait, 0.95)) for _, one in points],
    }


def _function(found: History, fn: Fn, tally: Tally) -> dict[str, Any]:
    lane, fn_index = fn
    return {
        "fn": fn_index,
        "lane": lane,
        "api_name": "" if fn == OTHERS else found.names.get(fn_index, ""),
        **_counts(tally),
        "wait_p50_s": _rounded(quantile(tally.wait, 0.5)),
        "wait_p95_s": _rounded(quantile(tally.wait, 0.95)),
        "service_p50_s": _rounded(quantile(tally.service, 0.5)),
        "service_p95_s": _rounded(quantile(tally.service, 0.95)),
        "mean_batch": _rounded(tally.mean_batch),
        "most_running": tally.running,
    }


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "events": tally.arrivals,
        "page": tally.counts["page"],
        "api": tally.counts["api"],
        "refused_full": tally.counts["full"],
        "refused_closed": tally.counts["closed"],
        "refused_other": tally.counts["refused"],
        "completed": tally.counts["completed"],
        "failed": tally.counts["failed"],
        "cancelled": tally.counts["cancelled"],
        "retried": tally.counts["retried"],
    }


def _rounded(value: float | None) -> float | None:
    """Three significant digits: buckets are no finer."""
    return None if value is None else float(f"{value:.3g}")
