"""Django's requests share a few connections to PostgreSQL, which outlive them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import sync_to_async

from spaceport.web.request_threads import KEPT, MOST, in_kept_threads
from tests.hub_server import Hub
from tests.spaceport.conftest import SPACE
from tests.waiting import eventually, wait_until

AT_ONCE = 4 * KEPT
OTHERS = 2  # of the gateway, and of checks of health


def asked(web: Hub) -> int:
    return web.call("GET", f"/api/spaces/{SPACE}").status_code


def backends(web: Hub) -> set[int]:
    """PostgreSQL's processes for this web process."""
    found = web.sql(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    return {pid for (pid,) in found}


def test_one_request_after_the_other_needs_no_new_one(web: Hub) -> None:
    assert asked(web) == 200
    before = backends(web)
    assert before
    assert {asked(web) for _ in range(20)} == {200}
    after = backends(web)
    assert before <= after
    assert len(after) <= len(before) + 1, "a request may come before the last one's thread is free"


def test_after_many_at_once_few_are_left(web: Hub) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(lambda _: asked(web), range(4 * AT_ONCE))) == {200}
    wait_until(lambda: len(backends(web)) <= KEPT + OTHERS, "the others are closed")


def test_those_that_broke_are_noticed_before_their_use(web: Hub) -> None:
    assert asked(web) == 200
    for pid in backends(web):
        web.sql("select pg_terminate_backend(%s, 5000)", pid)
    assert {asked(web) for _ in range(20)} == {200}


HTTP = {"type": "http"}


async def nothing(*_: Any) -> Any: ...


async def no_body() -> Any:
    return {"type": "http.request", "body": b""}


async def test_many_requests_at_once_share_a_bounded_number_of_threads() -> None:
    ends, used, begun = threading.Event(), set[int](), []

    def view() -> None:
        begun.append(1)
        used.add(threading.get_ident())
        ends.wait(30)

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        await sync_to_async(view)()

    served = in_kept_threads(app)
    requests = [asyncio.ensure_future(served(HTTP, no_body, nothing)) for _ in range(3 * MOST)]
    await eventually(lambda: len(begun) == MOST, "as many as may run do")
    requests[0].cancel()  # its view goes on, so its thread is not free
    await asyncio.sleep(0)
    assert len(begun) == MOST
    ends.set()
    await asyncio.gather(*requests, return_exceptions=True)
    assert len(begun) == 3 * MOST
    assert len(used) == MOST


async def test_streams_that_last_leave_their_threads_to_others() -> None:
    ends, begun, checked = asyncio.Event(), [], []

    async def stream(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await sync_to_async(threading.get_ident)()
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        begun.append(1)
        await ends.wait()
        checked.append(await sync_to_async(threading.get_ident)())  # as streams check rights meanwhile

    served = in_kept_threads(stream)
    streams = [asyncio.ensure_future(served(HTTP, no_body, nothing)) for _ in range(3 * MOST)]
    await eventually(lambda: len(begun) == len(streams), "all streams have begun")
    ends.set()
    await asyncio.gather(*streams)
    assert len(checked) == 3 * MOST
    assert len(set(checked)) <= MOST


async def test_senders_of_slow_bodies_have_no_thread_yet() -> None:
    rest, began, done = asyncio.Event(), [], []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive()).get("more_body"):
            began.append(1)
        done.append(await sync_to_async(threading.get_ident)())

    def slow() -> Any:
        messages = iter([{"type": "http.request", "body": b"x", "more_body": True}])

        async def receive() -> Any:
            if (first := next(messages, None)) is None:
                await rest.wait()
            return first or await no_body()

        return receive

    served = in_kept_threads(app)
    senders = [asyncio.ensure_future(served(HTTP, slow(), nothing)) for _ in range(2 * MOST)]
    await eventually(lambda: len(began) == 2 * MOST, "all of them send")
    await asyncio.wait_for(served(HTTP, no_body, nothing), 20)
    assert len(done) == 1
    rest.set()
    await asyncio.gather(*senders)
    assert len(done) == 2 * MOST + 1
