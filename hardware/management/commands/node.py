"""`manage.py node --tier cpu [--tier t4] [--simulate]`: this machine joins, and serves these tiers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from celery import current_app
from celery.signals import worker_shutting_down
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from hardware import devices, worker
from hardware.hop import here
from hardware.hop.caddy import CaddyMissing, program
from hardware.hop.proxy import REMEDY
from hardware.models import Node
from hardware.runtimes import choose
from hardware.runtimes.base import StartFailed
from hardware.runtimes.walls import sandboxes
from hardware.tiers import DEFAULT, Tier, UnknownTier, queue_of, tier
from hardware.trust import becoming, platform_calls, tokens
from hardware.upkeep import draining, handover
from infra import celery_worker
from infra.file_locks import try_lock
from infra.notify import READY, notify
from infra.startup import retry_until_database_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A Space takes one for as long as it is busy: where more were busy, some would wait for others to fall idle.
#: Those that are not needed are never made.
THREADS = 1024
CHECK_EVERY_S = 0.02
FROM_INPUT = "-"


class Command(BaseCommand):
    help = (
        "Serve hardware tiers on this machine: registers it as a node and runs its worker. Or make this "
        "machine a node of a platform elsewhere (join), make a token for that (token), drain, undrain or "
        "remove a node, or list all."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "action", nargs="?", choices=("serve", "join", "token", "list", *draining.ACTIONS),
            default="serve", metavar="ACTION",
            help="serve (the default), join, token, list, drain, undrain or remove",
        )  # fmt: skip
        parser.add_argument(
            "what", nargs="?", default="", metavar="NAME|URL",
            help="the node to drain or remove, or the address of the platform to join",
        )  # fmt: skip
        parser.add_argument(
            "token", nargs="?", default=FROM_INPUT, metavar="TOKEN",
            help="the join token; - or nothing: it is read from the standard input",
        )  # fmt: skip
        parser.add_argument("--name", default=settings.SPACEPORT_NODE, help="join as (default: %(default)s)")
        parser.add_argument(
            "--address", default="", metavar="IP[:PORT]",
            help="join: where the platform reaches this machine (default: as it reaches the platform, port "
            f"{becoming.PORT})",
        )  # fmt: skip
        parser.add_argument(
            "--hours", type=float, default=tokens.HOURS,
            help="token: how long it is good for (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--tier",
            action="append",
            metavar="TIER",
            help="a hardware tier, like cpu, t4 or a100; may be repeated",
        )
        parser.add_argument(
            "--simulate", action="store_true", help="serve a GPU tier without its device; pages say so"
        )
        parser.add_argument(
            "--wait", type=float, default=0.0, metavar="SECONDS",
            help="how long to wait for this node's previous worker (default: not at all)",
        )  # fmt: skip
        parser.add_argument(
            "--loglevel", default="WARNING", type=str.upper,
            choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
            help="log level of the worker (default: %(default)s)",
        )  # fmt: skip

    def handle(self, **options: Any) -> None:
        if options["action"] == "serve":
            self._serve(options)
        elif options["action"] == "join":
            self._join(options)
        elif options["action"] == "token":
            self._token(options["hours"])
        elif options["action"] == "list":
            for node in Node.objects.order_by("name"):
                self.stdout.write(f"{node}: {draining.describe(node)}")
        else:
            self._order(options["action"], options["what"])

    def _join(self, options: dict[str, Any]) -> None:
        url, token = options["what"], options["token"]
        if (settings.SPACEPORT_HOME / "postgres").exists():
            raise CommandError(
                f"{settings.SPACEPORT_HOME} is the data folder of a platform. Set SPACEPORT_HOME to another "
                "folder for the node."
            )
        token = sys.stdin.readline().strip() if token == FROM_INPUT else token
        try:
            program(REMEDY)
            joined = becoming.join(
                settings.SPACEPORT_HOME, url, token, name=options["name"], address=options["address"]
            )
        except (becoming.CannotJoin, CaddyMissing) as error:
            raise CommandError(str(error)) from error
        if url.startswith("http://"):
            self.stderr.write("The address is not https: the token and this node's credential were readable.")
        self.stdout.write(
            f"This machine is the node {joined.node} of {joined.platform}; the platform reaches it at "
            f"{joined.address}. Start it with `manage.py node --tier …`."
        )

    def _token(self, hours: float) -> None:
        try:
            row, plain = tokens.issue("command line", hours)
        except tokens.BadHours as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Lets one machine join, once, until {row.expires_at:%Y-%m-%d %H:%M} UTC:")
        self.stdout.write(plain)

    def _order(self, action: str, name: str) -> None:
        node = Node.objects.filter(name=name).first()
        if node is None:
            known = ", ".join(Node.objects.order_by("name").values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no node '{name}'. There are: {known}.")
        try:
            self.stdout.write(draining.ACTIONS[action](node))
        except draining.Refused as error:
            raise CommandError(str(error)) from error

    def _serve(self, options: dict[str, Any]) -> None:
        if (joined := here.membership()) is not None:
            try:
                program(REMEDY)
                with contextlib.suppress(platform_calls.PlatformAway):  # it may come
                    platform_calls.check(joined)
            except (CaddyMissing, platform_calls.Refused) as error:
                raise CommandError(str(error)) from error
        tiers: dict[str, bool] = {}
        retry_until_database_ready(
            lambda: tiers.update(self._tiers(options["tier"] or [DEFAULT], simulate=options["simulate"])),
            unless=lambda: False,
        )
        try:
            runtime = choose(settings.SPACEPORT_RUNTIME)
        except ValueError as error:
            raise CommandError(str(error)) from error
        for one in tiers:
            try:
                sandboxes.check(getattr(runtime, "client", None), tier(one).sandbox)
            except StartFailed as error:
                raise CommandError(f"The tier {one}: {error}") from error
        name = settings.SPACEPORT_NODE
        os.environ[worker.TIERS_VARIABLE] = json.dumps(tiers)
        queues = [queue for one in tiers for queue in (queue_of(one), f"{queue_of(one)}@{name}")]
        served = ", ".join(one + (" (simulated)" if simulated else "") for one, simulated in tiers.items())
        with self._alone(name, options["wait"]):
            self.stdout.write(f"Node {name} serves {served} with the {runtime.name} runtime.")
            self.stdout.flush()
            celery_worker.run(
                current_app, name=f"hw@{name}", queues=queues, threads=THREADS, log_level=options["loglevel"]
            )

    @staticmethod
    def _tiers(names: list[str], *, simulate: bool) -> dict[str, bool]:
        found = devices.found()
        tiers: dict[str, bool] = {}
        for name in names:
            try:
                wanted: Tier = tier(name)
            except UnknownTier as error:
                raise CommandError(str(error)) from error
            is_there = not wanted.gpu or bool(devices.fitting(wanted, found))
            if not is_there and not simulate:
                there = ", ".join(device.name for device in found) or "none"
                raise CommandError(
                    f"The tier {wanted.name} needs an {wanted.title}; this machine's GPUs: {there}. "
                    "Add --simulate to serve the tier without it."
                )
            tiers[wanted.name] = not is_there
        return tiers

    @staticmethod
    @contextlib.contextmanager
    def _alone(name: str, wait_s: float) -> Iterator[None]:
        """Two agents as one node would fight over its replicas. A worker that ends lets go as soon as its
        agent has ended: its calls may go on beside the next worker, each under its Space's lease."""
        path = settings.SPACEPORT_HOME / f"node-{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + wait_s
        with path.open("w") as lock:
            with handover.waiting(name) if wait_s else contextlib.nullcontext():
                if wait_s:
                    notify(READY)
                while not try_lock(lock):
                    if time.monotonic() > deadline:
                        raise CommandError(
                            f"The node {name} runs already on this machine. Give one command all its tiers, "
                            "or set SPACEPORT_NODE to another name."
                        )
                    time.sleep(CHECK_EVERY_S)

            def release(**_: Any) -> None:  # connected after the agent's own receiver, so called after it
                fcntl.flock(lock, fcntl.LOCK_UN)

            worker_shutting_down.connect(release, weak=False)
            yield
