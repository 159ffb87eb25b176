"""What grows, with its bound as the code has it now."""

from __future__ import annotations

from datetime import timedelta

from accounts import people, views
from hardware import load, log_lines, usage
from hardware.runtimes import build_caches, docker, process, venvs
from hardware.runtimes.images import code
from hardware.tiers import metering
from hardware.trust import tokens
from queueing.dispatch import ends
from queueing.stats import memory_ends, rollup
from queueing.store import constants, queue
from queueing.tuning import applied, runs
from spaceport.up import rotation
from spaceport.web import assets
from spaces import creation, housekeeping, starting
from spaces.building import results
from spaces.lfs import collection
from spaces.scaling import scaler
from spaces.signin import publishers
from spaces.webhooks import deliveries, events, hooks
from tests.reference.tables import table

HEAD = ("what", "bound", "set in")


def _time(length: timedelta | float) -> str:
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    for name, unit in (("day", 24 * 3600), ("hour", 3600), ("minute", 60)):
        if seconds >= unit:
            count = seconds / unit
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    return f"{seconds:g} s"


def _constant(module: object, name: str) -> str:
    assert hasattr(module, name)
    return f"`{module.__name__}.{name}`"  # type: ignore[attr-defined]


def _setting(name: str) -> str:
    return f"[`{name}`](environment.md)"


ROWS = [
    (
        "ended replicas",
        f"{_time(housekeeping.REPLICAS_KEPT)} after their end",
        _constant(housekeeping, "REPLICAS_KEPT"),
    ),
    (
        "builds, with their logs",
        f"the {housekeeping.BUILDS_KEPT} newest of a Space, and those that run or can be gone back to",
        _constant(housekeeping, "BUILDS_KEPT"),
    ),
    ("a build's log", f"{results.LOG_KEPT:,} characters, the last", _constant(results, "LOG_KEPT")),
    ("statistics by the minute", _time(rollup.KEPT), _constant(rollup, "KEPT")),
    ("queue settings applied with a forecast", f"{applied.KEPT} of a Space", _constant(applied, "KEPT")),
    ("measurements of a Space", f"{runs.KEPT} of it", _constant(runs, "KEPT")),
    (
        "changes of a number of replicas by its range",
        f"{scaler.STEPS_KEPT} of a Space",
        _constant(scaler, "STEPS_KEPT"),
    ),
    (
        "hours on hardware",
        f"{_time(metering.KEPT)}; a row for each month",
        _constant(metering, "KEPT"),
    ),
    ("sessions, logins of programs", "until they expire", _constant(housekeeping, "forget_old_rows")),
    (
        "access tokens",
        f"{views.MOST_TOKENS} of a user made on the page; "
        f"{_time(housekeeping.EXPIRED_SHOWN)} after they expired",
        _constant(housekeeping, "EXPIRED_SHOWN"),
    ),
    ("join tokens", f"{_time(tokens.SHOWN)} after they expired", _constant(tokens, "SHOWN")),
    ("webhooks", f"{hooks.MOST} of a user", _constant(hooks, "MOST")),
    ("deliveries that wait", f"{events.MOST_WAITING:,} of a webhook", _constant(events, "MOST_WAITING")),
    ("deliveries that ended", f"{deliveries.KEPT} of a webhook", _constant(deliveries, "KEPT")),
    ("trusted publishers", f"{publishers.MOST} of a Space", _constant(publishers, "MOST")),
    ("former names", f"{creation.MOST_FORMER_NAMES} of a Space", _constant(creation, "MOST_FORMER_NAMES")),
    ("organizations", f"{people.MOST_LED} led by a user", _constant(people, "MOST_LED")),
    ("named volumes", "of an owner", _setting("SPACEPORT_VOLUMES_PER_OWNER")),
    (
        "the console's log of changes",
        _time(housekeeping.ADMIN_LOG_KEPT),
        _constant(housekeeping, "ADMIN_LOG_KEPT"),
    ),
    (
        "notes of deleted Spaces, nodes that are gone",
        _time(housekeeping.GONE_AFTER),
        _constant(housekeeping, "GONE_AFTER"),
    ),
]
REDIS = [
    (
        "events that wait",
        f"{_time(queue.PENDING_TTL_S)}; `max_size` of a Space",
        _constant(queue, "PENDING_TTL_S"),
    ),
    ("results and messages of ended events", _time(queue.FINAL_TTL_S), _constant(queue, "FINAL_TTL_S")),
    (
        "messages of one call",
        f"{ends.KEPT_MESSAGES:,}, and in bytes",
        _setting("SPACEPORT_EVENT_LIMIT_BYTES"),
    ),
    ("inputs, messages and answers", "in bytes, of a Space", _setting("SPACEPORT_SPACE_LIMIT_BYTES")),
    (
        "live logs",
        f"{log_lines.MAX_LINES:,} lines of "
        f"{log_lines.MAX_LINE_CHARS:,} characters; {_time(log_lines.KEPT_S)} after the last",
        _constant(log_lines, "MAX_LINES"),
    ),
    ("use of memory and processor", _time(usage.KEPT_S), _constant(usage, "KEPT_S")),
    ("load of a node, by the minute", _time(load.KEPT_S), _constant(load, "KEPT_S")),
    (
        "where calls ran out of memory",
        f"the last {memory_ends.KEPT} of a Space; {_time(memory_ends.KEPT_S)} after the last",
        _constant(memory_ends, "KEPT"),
    ),
    ("counters by the day", f"at most {_time(constants.MONTH_S)}", _constant(constants, "MONTH_S")),
    ("how long starts took", f"the last {starting.LAST} of a Space", _constant(starting, "LAST")),
    (
        "routes, settings, totals, descriptions",
        "one of each Space, as long as the Space",
        "`spaces.publishing.withdraw`",
    ),
]
DISK = [
    ("repositories", "in bytes, of a Space", _setting("SPACEPORT_REPOSITORY_LIMIT_BYTES")),
    (
        "large files",
        "in bytes, of a Space; what nothing points at goes within a day",
        _setting("SPACEPORT_LFS_SPACE_LIMIT_BYTES"),
    ),
    (
        "large files on their way",
        f"in bytes, of all; {_time(collection.GRACE_S)} after the last byte",
        _setting("SPACEPORT_LFS_SPOOL_LIMIT_BYTES"),
    ),
    ("free disk beside large files", "in bytes", _setting("SPACEPORT_LFS_FREE_BYTES")),
    (
        "images, or code, of versions",
        f"{housekeeping.ARTIFACTS_KEPT} of a Space, and those that run",
        _constant(housekeeping, "ARTIFACTS_KEPT"),
    ),
    (
        "images of dependencies",
        f"{_time(code.KEPT)} after their making while no Space's image stands on them",
        _constant(code, "KEPT"),
    ),
    (
        "environments of plain processes",
        f"{_time(venvs.KEPT_S)} after the last build or start with them",
        _constant(venvs, "KEPT_S"),
    ),
    ("build caches", _time(build_caches.KEPT), _constant(build_caches, "KEPT")),
    ("one build", "in bytes", _setting("SPACEPORT_BUILD_DISK_GB")),
    (
        "folders of builds whose worker was killed",
        f"{_time(housekeeping.LEFT_BUILDS_KEPT_S)} and the time limit of a build",
        _constant(housekeeping, "LEFT_BUILDS_KEPT_S"),
    ),
    ("ended containers", _time(docker.KEEP_ENDED_S), _constant(docker, "KEEP_ENDED_S")),
    ("folders and logs of ended processes", _time(process.KEEP_ENDED_S), _constant(process, "KEEP_ENDED_S")),
    (
        "a plain process's log",
        f"{process.LOG_LIMIT_BYTES // 1024**2} MiB, and one older",
        _constant(process, "LOG_LIMIT_BYTES"),
    ),
    ("a container's own files", "in bytes", _setting("SPACEPORT_DISK_GB")),
    ("`/data`", "in bytes, of a Space", _setting("SPACEPORT_DATA_GB")),
    ("a named volume", "in bytes", _setting("SPACEPORT_VOLUME_GB")),
    ("a Gradio Space's cache", "in bytes; the least recently used go", _setting("SPACEPORT_CACHE_GB")),
    ("containers or processes in standby", "of a node", _setting("SPACEPORT_STANDBY")),
    (
        "logs of `make up`",
        f"{rotation.LIMIT_BYTES // 1024**2} MiB, and {rotation.KEPT} older",
        _constant(rotation, "LIMIT_BYTES"),
    ),
    ("static files of earlier versions", _time(assets.KEPT_S), _constant(assets, "KEPT_S")),
]


def rows() -> str:
    """In PostgreSQL."""
    return table(HEAD, ROWS)


def redis() -> str:
    """In Redis; every key: redis-keys.md."""
    return table(HEAD, REDIS)


def disk() -> str:
    """On disk."""
    return table(HEAD, DISK)
