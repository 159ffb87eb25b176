"""What the scheduled rounds cost with many Spaces, most of them idle. Rows and keys only: no app runs, and
the servers are the bench's own, so that nobody works on what is made up here."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.bench.sides import Bench

SPACES, BUSY = 5000, 200
#: Of the idle ones: every fourth runs, on one of so many nodes; the others sleep, or are paused.
NODES = 50
ROUNDS = 7


def rounds(_bench: Bench) -> None:
    """Each round with the busy Spaces alone, and with all."""
    found = {}
    for spaces in (BUSY, SPACES):
        with _servers() as env:
            command = [sys.executable, "-m", "tests.bench.rounds", str(spaces)]
            done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
            found[spaces] = json.loads(done.stdout.splitlines()[-1])
    few, many = found[BUSY], found[SPACES]
    print(f"\n| round | every | {BUSY} Spaces, all busy | {SPACES:,} | each idle Space, a second |")
    print("|---|---|---|---|---|")
    idle_us = {}
    for name, (every_s, wall_ms) in many.items():
        idle_us[name] = (wall_ms - few[name][1]) * 1000 / every_s / (SPACES - BUSY)
        row = f"{few[name][1]:.0f} ms | {wall_ms:.0f} ms | {idle_us[name]:.2f} µs"
        print(f"| `{name}` | {every_s} s | {row} |")
    print(f"| all | | | | {sum(idle_us.values()):.2f} µs |", flush=True)


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    """The environment of processes that use servers of their own."""
    from spaceport.up.embedded import postgres, valkey
    from tests.prepared_home import prepare

    with tempfile.TemporaryDirectory(prefix="sp-", dir="/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        prepare(home)
        database, redis = postgres(home), valkey(home)
        try:
            yield {
                **os.environ,
                "SPACEPORT_HOME": folder,
                "DATABASE_URL": database.start(),
                "REDIS_URL": redis.start(),
                "DJANGO_SETTINGS_MODULE": "spaceport.settings",
            }
        finally:
            redis.stop()
            database.stop()


def _measured(spaces: int) -> dict[str, tuple[int, float]]:
    """Median wall time of each scheduled task of a minute or less, in milliseconds, by name, with its
    period in seconds."""
    import django

    django.setup()
    _make(spaces)
    from celery import current_app

    from spaceport.celery import SCHEDULE, app

    app.set_default()
    app.loader.import_default_modules()
    found = {}
    for every_s, names in SCHEDULE.items():
        if every_s > 60:
            continue
        for name in names:
            took = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                current_app.tasks[name]()
                took.append(time.perf_counter() - began)
            found[name] = (every_s, statistics.median(took) * 1000)
    return found


def _make(count: int) -> None:
    """So many Spaces. The first ones are busy, on two nodes: each has an event that runs and one that
    waits."""
    from django.utils import timezone

    from accounts import people
    from accounts.models import Owner
    from hardware.models import Node
    from queueing.models import QueueSettings
    from spaces.models import ReplicaRange, Space, Stage

    people.create_user("bench", password="not a secret")
    owner = Owner.objects.get(name="bench")
    now = timezone.now()
    later = now + timedelta(hours=1)  # they need not report
    Node.objects.bulk_create(
        Node(name=f"n{n}", tiers={"cpu": {}}, runtime="docker", heartbeat_at=later) for n in range(NODES)
    )
    idle = (Stage.RUNNING, Stage.SLEEPING, Stage.SLEEPING, Stage.PAUSED)
    rows = Space.objects.bulk_create(
        Space(
            owner=owner, name=f"s{n}", subdomain=f"s{n}", sdk="gradio", sleep_time_s=3600,
            stage=Stage.RUNNING if n < BUSY else idle[n % 4],
        )
        for n in range(count)
    )  # fmt: skip
    QueueSettings.objects.bulk_create(QueueSettings(space=row) for row in rows)
    # All have one; none of them wants another replica, which would be another matter.
    ReplicaRange.objects.bulk_create(
        ReplicaRange(space=row, least=1, most=1, goal_s=10, quiet_s=20) for row in rows
    )
    _run([row for row in rows if row.stage == Stage.RUNNING])
    _publish(rows)


def _run(rows: list[Any]) -> None:
    from django.utils import timezone

    from hardware.models import Node, Replica
    from spaces.models import Space

    nodes = list(Node.objects.order_by("pk"))
    replicas = Replica.objects.bulk_create(
        Replica(
            space=row, tier="cpu", state="ready", node=nodes[n % (2 if n < BUSY else NODES)], spec={},
            address=f"10.0.0.1:{n}", ready_at=timezone.now(),
        )
        for n, row in enumerate(rows)
    )  # fmt: skip
    for row, replica in zip(rows, replicas, strict=True):
        row.replica = replica
    Space.objects.bulk_update(rows, ["replica"])


def _publish(rows: list[Any]) -> None:
    """Routes of an app with twenty functions; of the busy ones a lease and what they do."""
    from infra.redis_clients import sync_redis
    from queueing import routes
    from queueing.store import keys
    from queueing.store.keys import SpaceKeys

    functions = tuple(routes.Function(id=n, api_name=f"f{n}", group=f"f{n}") for n in range(20))
    pipe, now = sync_redis().pipeline(transaction=False), time.time()
    for n, row in enumerate(rows):
        k = SpaceKeys(row.pk)
        route = routes.Route(
            space_id=row.pk, owner="bench", name=row.name, owner_id=row.owner_id, subdomain=row.subdomain,
            sdk="gradio", private=False, stage=row.stage, replica_id=row.replica_id or 0,
            address=row.replica.address if row.replica else "", app=routes.App(functions=functions),
        )  # fmt: skip
        pipe.set(k.route, routes.encode(route))
        pipe.zadd(keys.VISITED, {str(row.pk): now})
        if n < BUSY:
            pipe.set(k.lease(row.replica_id), "1:bench")
            pipe.zadd(k.lines, {"main:f0": 1})
            pipe.zadd(k.wait("main:f0"), {"waits": 1})
            pipe.zadd(k.running, {"runs": now})
            pipe.zadd(k.seen, {"visitor": now})
    pipe.execute()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured(int(sys.argv[1]))))
