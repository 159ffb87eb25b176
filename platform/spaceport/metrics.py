"""`/metrics` for Prometheus: every queue, the nodes, and the web processes. The queues' figures are read from
Redis at this moment, in one pipeline, so that any web process reports the same.

It needs SPACEPORT_METRICS_TOKEN or an administrator (`spaceport.operators`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis import RedisError

from hardware import nodes, usage
from hardware.models import Node, Replica
from infra.redis_clients import sync_redis
from queueing.stats import totals
from queueing.stats.histograms import LAST, Histogram, seconds_in, upper_edge
from queueing.stats.totals import Totals
from spaceport.operators import is_operator
from spaceport.web import reports
from spaceport.web.reports import Report
from spaces.building import workers
from spaces.building.workers import Workers
from spaces.models import Build, Sdk, Space

#: Every third edge of the statistics' own buckets: ratios of two, from 1 ms to an hour and more.
EDGES = range(0, LAST, 3)
OPEN = [Build.Status.QUEUED.value, Build.Status.RUNNING.value]


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics in Prometheus's text format; 403 for callers who may not read them."""
    if not is_operator(request):
        text = "The metrics need the metrics token or an administrator's token.\n"
        return HttpResponse(text, status=403, content_type="text/plain; charset=utf-8")
    answer = HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)
    answer["Cache-Control"] = "no-store"
    return answer


@dataclass
class Read:
    """What one scrape read. `None` where its part did not answer."""

    spaces: dict[int, str] = field(default_factory=dict)
    queues: dict[int, Totals] = field(default_factory=dict)
    nodes: list[Node] | None = None
    replicas: dict[str, int] | None = None
    #: Spaces with a range of replicas: how many they want, and how many the range added and removed.
    ranges: list[tuple[str, int, int, int]] = field(default_factory=list)
    slots: dict[str, tuple[int, int]] | None = None
    standby: dict[str, int] | None = None
    builds: dict[str, int] | None = None
    workers: Workers | None = None
    web: dict[str, Report] = field(default_factory=dict)
    redis_s: float | None = None


class Platform(Collector):
    """Collects everything, once a scrape. Keeps the Spaces' names that the database gave last: without it the
    queues are still shown."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def collect(self) -> Iterator[Metric]:
        """Every family, also those that have no sample now: a dashboard shows zero, not nothing."""
        read = self._load()
        yield from _parts(read)
        yield from _queues(read)
        yield from _events(read)
        yield from _hardware(read)
        yield from _workers(read)
        yield from _web(read)

    def _load(self) -> Read:
        """Four queries of the database, five round trips to Redis."""
        found = Read()
        try:
            scaled = ("replica_count", "replica_range__added", "replica_range__removed")
            spaces = Space.objects.exclude(sdk=Sdk.STATIC)
            names = {}
            for pk, owner, name, wanted, *changed in spaces.values_list("pk", "owner__name", "name", *scaled):
                names[pk] = f"{owner}/{name}"
                if changed[0] is not None:
                    found.ranges.append((names[pk], wanted, *changed))
            found.nodes = list(Node.objects.order_by("name"))
            counted = Replica.objects.order_by().values_list("state").annotate(Count("pk"))
            found.replicas = dict(counted)
            open_builds = Build.objects.filter(status__in=OPEN).order_by().values_list("status")
            found.builds = dict(open_builds.annotate(Count("pk")))
            self._names = names
        except DatabaseError:
            found.nodes = found.replicas = found.builds = None
        found.spaces = self._names
        try:
            started = time.perf_counter()
            sync_redis().ping()
            found.redis_s = time.perf_counter() - started
            found.queues = totals.load(found.spaces)
            found.workers = workers.read()
            up = [node.name for node in found.nodes or []]
            found.slots, found.standby = usage.slots(up), usage.standby(up)
            found.web = reports.read()
        except RedisError:
            found.redis_s = None
        found.web |= dict([reports.mine()])  # this one as it is now
        return found


REGISTRY = CollectorRegistry()
REGISTRY.register(Platform())


def reference() -> str:
    """Every family as a table in Markdown, for `docs/reference/metrics.md`: a test compares them."""
    families = [
        part for made in (_parts, _queues, _events, _hardware, _workers, _web) for part in made(Read())
    ]
    lines = ["", "", "| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in family._labelnames)  # type: ignore[attr-defined]
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


# --- families ------------------------------------------------------------------------------------------


def _parts(read: Read) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "spaceport_part_up", "Whether the part answered at this scrape (1) or not (0).", labels=["part"]
    )
    up.add_metric(["database"], float(read.nodes is not None))
    up.add_metric(["redis"], float(read.redis_s is not None))
    yield up
    trip = GaugeMetricFamily("spaceport_redis_round_trip_seconds", "Round trip of one PING of Redis.")
    if read.redis_s is not None:
        trip.add_metric([], read.redis_s)
    yield trip


def _queues(read: Read) -> Iterator[Metric]:
    queues = [(read.spaces[pk], queue) for pk, queue in read.queues.items()]
    yield _gauge(
        "spaceport_queue_pending", "Events waiting in the Space's queue.", queues, lambda queue: queue.pending
    )
    yield _gauge(
        "spaceport_queue_running", "Events running in the Space.", queues, lambda queue: queue.running
    )
    yield _gauge(
        "spaceport_queue_oldest_running_seconds",
        "How long the Space's longest running event has run; 0 if none runs.",
        queues,
        lambda queue: queue.oldest_s,
    )


def _events(read: Read) -> Iterator[Metric]:
    queues = [(read.spaces[pk], queue) for pk, queue in read.queues.items()]
    yield _counter(
        "spaceport_queue_accepted",
        "Events accepted, by origin.",
        queues,
        "origin",
        {"page": "page", "api": "api"},
    )
    yield _counter(
        "spaceport_queue_refused",
        "Events refused: the queue was full, closed to programs, or the Space could not run.",
        queues,
        "reason",
        {"full": "full", "closed": "closed", "refused": "other"},
    )
    yield _counter(
        "spaceport_queue_finished",
        "Events that ended, by outcome.",
        queues,
        "outcome",
        {"completed": "completed", "failed": "failed", "cancelled": "cancelled"},
    )
    yield _counter(
        "spaceport_queue_retried",
        "Times an event returned to the front because its container or worker died.",
        queues,
        "",
        {"retried": ""},
    )
    yield _histogram(
        "spaceport_queue_wait_seconds",
        "From joining the queue to the first claim. The sum comes from buckets of 26 %.",
        [(name, queue.wait) for name, queue in queues],
    )
    yield _histogram(
        "spaceport_queue_service_seconds",
        "From the claim to the end of an event. The sum comes from buckets of 26 %.",
        [(name, queue.service) for name, queue in queues],
    )


def _hardware(read: Read) -> Iterator[Metric]:
    there = GaugeMetricFamily("spaceport_nodes", "Nodes, by whether they are up.", labels=["up"])
    replicas = GaugeMetricFamily("spaceport_replicas", "Replicas, by state.", labels=["state"])
    if read.nodes is not None:
        fresh = sum(nodes.is_up(node) for node in read.nodes)
        there.add_metric(["yes"], fresh)
        there.add_metric(["no"], len(read.nodes) - fresh)
    if read.replicas is not None:
        for state in Replica.State.values:
            replicas.add_metric([state], read.replicas.get(state, 0))
    yield there
    yield replicas
    yield from _ranges(read)
    slots = GaugeMetricFamily(
        "spaceport_worker_slots",
        "Slots of a node's worker; each Space with a running dispatcher takes one.",
        labels=["node", "state"],
    )
    for node, (busy, all_of_them) in (read.slots or {}).items():
        slots.add_metric([node, "busy"], busy)
        slots.add_metric([node, "free"], max(all_of_them - busy, 0))
    yield slots
    standby = GaugeMetricFamily(
        "spaceport_standby_bytes",
        "Memory of a node's standby processes or containers (`SPACEPORT_STANDBY`).",
        labels=["node"],
    )
    for node, memory_bytes in (read.standby or {}).items():
        standby.add_metric([node], memory_bytes)
    yield standby


def _ranges(read: Read) -> Iterator[Metric]:
    wanted = GaugeMetricFamily(
        "spaceport_space_replicas_wanted", "Replicas wanted now, of a Space with a range.", labels=["space"]
    )
    changed = CounterMetricFamily(
        "spaceport_space_replicas_changed",
        "Replicas that a Space's range added and removed.",
        labels=["space", "change"],
    )
    for space, now, added, removed in read.ranges:
        wanted.add_metric([space], now)
        changed.add_metric([space, "added"], added)
        changed.add_metric([space, "removed"], removed)
    yield from (wanted, changed)


def _workers(read: Read) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "spaceport_control_lag_seconds", "How late scheduled work of the control queue is."
    )
    builders = GaugeMetricFamily("spaceport_build_workers", "Build workers that take builds.")
    waiting = GaugeMetricFamily(
        "spaceport_celery_messages", "Messages that wait in the Celery queue.", labels=["queue"]
    )
    if read.workers is not None:
        if read.workers.control_lag_s is not None:
            lag.add_metric([], read.workers.control_lag_s)
        builders.add_metric([], read.workers.builders)
        for queue, messages in read.workers.waiting.items():
            waiting.add_metric([queue], messages)
    builds = GaugeMetricFamily("spaceport_builds", "Builds that wait or run.", labels=["status"])
    if read.builds is not None:
        for status in OPEN:
            builds.add_metric([status], read.builds.get(status, 0))
    yield from (lag, waiting, builders, builds)


def _web(read: Read) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "spaceport_web_event_loop_lag_seconds",
        "The longest delay of a ready task in the last minute, in a web process.",
        labels=["process"],
    )
    sockets = GaugeMetricFamily(
        "spaceport_web_open_sockets",
        "Open websockets and event streams of a web process.",
        labels=["process", "kind"],
    )
    for name, report in sorted(read.web.items()):
        lag.add_metric([name], report.lag_s)
        for kind, count in report.sockets.items():
            sockets.add_metric([name, kind], count)
    yield from (lag, sockets)


# --- samples -------------------------------------------------------------------------------------------

Queues = Sequence[tuple[str, Totals]]


def _gauge(name: str, about: str, queues: Queues, value: Callable[[Totals], float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["space"])
    for space, queue in queues:
        family.add_metric([space], value(queue))
    return family


def _counter(name: str, about: str, queues: Queues, label: str, kinds: dict[str, str]) -> Metric:
    """One sample for each kind: what it is counted as, and the value of its label."""
    family = CounterMetricFamily(name, about, labels=["space", label] if label else ["space"])
    for space, queue in queues:
        for counted, value in kinds.items():
            family.add_metric([space, value] if label else [space], queue.counts[counted])
    return family


def _histogram(name: str, about: str, queues: Iterable[tuple[str, Histogram]]) -> Metric:
    family = HistogramMetricFamily(name, about, labels=["space"])
    for space, histogram in queues:
        buckets = [
            (f"{upper_edge(edge):.4g}", sum(n for bucket, n in histogram.items() if bucket <= edge))
            for edge in EDGES
        ]
        buckets.append(("+Inf", sum(histogram.values())))
        family.add_metric([space], buckets, seconds_in(histogram))
    return family
