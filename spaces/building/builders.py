"""The build threads of a worker process. The rows are the orders: a message only makes a thread check at
once. No build waits in a thread that other tasks share."""

from __future__ import annotations

import logging
import os
import secrets
import threading

from django.conf import settings
from django.db import Error, close_old_connections, connection
from redis import RedisError

from spaces.building import leases, results, workers
from spaces.models import Build

logger = logging.getLogger(__name__)

CHECK_EVERY_S = 5.0  # also renews the leases, several times while one lasts


class Builders:
    """As many builds at once as there are `slots`. Their threads outlive the tasks' pool: a process that is
    stopping finishes its builds."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.name = f"{settings.SPACEPORT_NODE}:{os.getpid()}-{secrets.token_hex(3)}"
        self._hinted, self._stopping = threading.Event(), False
        self._building: dict[int, threading.Event] = {}  # build: set once it is another worker's
        self._thread = threading.Thread(target=self._forever, name="builders")

    def start(self) -> None:
        """Begin to take builds."""
        self._thread.start()

    def hint(self) -> None:
        """There may be another build: check now."""
        self._hinted.set()

    def stop(self) -> None:
        """Take no more builds; those under way are finished."""
        self._stopping = True
        self._hinted.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of what was stopped."""
        self._thread.join(timeout_s)

    def _forever(self) -> None:
        # The main thread may end silently, for example with an error.
        while self._building or not (self._stopping or not threading.main_thread().is_alive()):
            try:
                self._check()
            except (Error, RedisError) as error:
                logger.warning("builds: %s", error)
            except Exception:
                logger.exception("builds")
            finally:
                close_old_connections()
            self._hinted.wait(CHECK_EVERY_S)
            self._hinted.clear()

    def _check(self) -> None:
        for build_id in leases.renew(self.name, tuple(self._building)):
            if (lost := self._building.get(build_id)) is not None:
                lost.set()
        if self._stopping:
            return
        workers.announce_builder(self.name)
        while len(self._building) < self.slots and (row := leases.claim(self.name)) is not None:
            lost = self._building[row.pk] = threading.Event()
            threading.Thread(target=self._build, args=(row, lost), name=f"build {row.pk}").start()

    def _build(self, row: Build, lost: threading.Event) -> None:
        try:
            results.build(row, lost.is_set)
        except (Error, RedisError) as error:  # its lease runs out, and it is built again
            logger.warning("build %s has no end: %s", row.pk, error)
        except Exception:
            logger.exception("build %s has no end", row.pk)
        finally:
            del self._building[row.pk]
            connection.close()
            self._hinted.set()
