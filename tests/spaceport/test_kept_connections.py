"""Django's requests share a few connections to PostgreSQL, which outlive them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from spaceport.web.request_threads import KEPT
from tests.hub_server import Hub
from tests.spaceport.conftest import SPACE
from tests.waiting import wait_until

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
