"""Whether this machine joined a platform as a node; where not, all of this does nothing."""

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import TYPE_CHECKING

from django.conf import settings

from hardware.hop.addresses import CONNECTIONS
from hardware.hop.caddy import CaddyMissing
from hardware.hop.proxy import Proxy
from hardware.trust import platform_calls
from hardware.trust.membership import Files, Membership

if TYPE_CHECKING:
    from collections.abc import Callable

    from hardware.runtimes.base import Runtime

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
#: Whether it is a node still, and its certificate good for long enough.
CHECK_EVERY_S = 10.0
UNKNOWN = 401


@functools.cache
def membership() -> Membership | None:
    """What this machine was given when it joined; None: it never did."""
    return Files(settings.SPACEPORT_HOME).read()


@functools.cache
def proxy() -> Proxy | None:
    """What takes others' connections to the replicas here; None: nothing needs to."""
    there = membership()
    return Proxy(Files(settings.SPACEPORT_HOME), there) if there is not None else None


def published(replica_id: int, local: str) -> str:
    """The address for others of a replica that listens at `local` ("ip:port")."""
    there = proxy()
    return local if there is None else there.offer(replica_id, local)


def dismissed() -> None:
    """The platform knows this node no more: nobody is to reach anything through it."""
    if (there := proxy()) is not None:
        there.stop()


class Keeper:
    """A thread of the node's worker: keeps the proxy running, what it passes on true, and its certificate
    fresh. `removed` is called once the platform no longer knows this node."""

    def __init__(self, runtime: Runtime, removed: Callable[[], None]) -> None:
        self._runtime, self._proxy, self._removed = runtime, proxy(), removed
        self._check_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self) -> None:
        """Begin, where this machine joined."""
        if (there := membership()) is not None:
            CONNECTIONS.here = there.label
            self._thread.start()

    def stop(self) -> None:
        """End; the proxy goes on, as replicas do."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(10)

    def _run(self) -> None:
        there = membership()
        assert there is not None
        assert self._proxy is not None
        while not self._stopping.is_set():
            try:
                self._look(self._proxy)
                self._check(there, self._proxy)
            except (CaddyMissing, platform_calls.PlatformAway) as error:
                logger.warning("%s", error)
            except platform_calls.Refused as error:
                logger.warning("%s", error)
                if error.status == UNKNOWN:
                    self._removed()
                    return
            except Exception:
                logger.exception("the node's proxy")
            self._stopping.wait(LOOK_EVERY_S)

    def _look(self, there: Proxy) -> None:
        there.ensure()
        before = there.offered()
        running = self._runtime.running()
        for replica_id in before.difference(running):
            there.withdraw(replica_id)
        for replica_id in running.keys() - before:
            there.offer(replica_id, running[replica_id].address)

    def _check(self, joined: Membership, there: Proxy) -> None:
        if time.monotonic() < self._check_at:
            return
        self._check_at = time.monotonic() + CHECK_EVERY_S
        from hardware.trust import becoming  # it loads X.509, which a machine that never joined does not need

        platform_calls.check(joined)
        if becoming.renew_when_due(Files(settings.SPACEPORT_HOME), joined):
            there.renew()
