"""What the queue is told of a Space that does not run yet: the time of earlier starts, or nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from infra.redis_clients import sync_redis
from queueing.store.keys import SpaceKeys
from spaces import starting
from spaces.models import Space, Stage

_ids = itertools.count(7_000_000)


@pytest.fixture
def space() -> Iterator[Space]:
    space = Space(pk=next(_ids))
    yield space
    k = SpaceKeys(space.pk)
    sync_redis().delete(k.cfg, k.starts)


def publish(space: Space, stage: Stage, before: str, *, serving: bool = False) -> dict[str, str]:
    """As `publishing.publish` does: what was told is written where the next telling reads it."""
    space.stage = stage
    told = starting.start_estimate(space, before, serving=serving)
    sync_redis().hset(SpaceKeys(space.pk).cfg, mapping=told)
    return told


def started_in(space: Space, seconds: float) -> None:
    """One start that took so long."""
    publish(space, Stage.APP_STARTING, Stage.SLEEPING)
    sync_redis().hset(SpaceKeys(space.pk).cfg, "start_since", time.time() - seconds)
    publish(space, Stage.RUNNING, Stage.APP_STARTING, serving=True)


def test_a_first_start_promises_nothing(space: Space) -> None:
    told = publish(space, Stage.APP_STARTING, Stage.BUILDING)
    assert (told["serving"], told["start_likely"]) == ("0", "")


def test_the_next_start_is_promised_from_those_before(space: Space) -> None:
    for seconds in (10, 12, 30):
        started_in(space, seconds)
    told = publish(space, Stage.APP_STARTING, Stage.SLEEPING)
    assert float(told["start_likely"]) == pytest.approx(12, abs=0.5)
    assert float(told["start_at_most"]) == pytest.approx(30 * 1.25, abs=0.5)
    assert float(told["start_since"]) == pytest.approx(time.time(), abs=2)


def test_news_while_it_starts_do_not_begin_its_time_anew(space: Space) -> None:
    started_in(space, 10)
    first = publish(space, Stage.APP_STARTING, Stage.SLEEPING)["start_since"]
    sync_redis().hset(SpaceKeys(space.pk).cfg, "start_since", float(first) - 5)
    assert publish(space, Stage.APP_STARTING, Stage.APP_STARTING)["start_since"] == str(float(first) - 5)


def test_one_that_sleeps_counts_from_whenever_it_is_woken(space: Space) -> None:
    started_in(space, 10)
    told = publish(space, Stage.SLEEPING, Stage.RUNNING)
    assert float(told["start_likely"]) == pytest.approx(10, abs=0.5)
    assert told["start_since"] == ""


@pytest.mark.parametrize("stage", [Stage.PAUSED, Stage.RUNTIME_ERROR])
def test_one_that_will_not_start_by_itself_promises_nothing(space: Space, stage: Stage) -> None:
    started_in(space, 10)
    assert publish(space, stage, Stage.RUNNING)["start_likely"] == ""


def test_only_the_latest_starts_count(space: Space) -> None:
    for seconds in (500, 10, 10, 10, 10, 10):
        started_in(space, seconds)
    assert float(publish(space, Stage.SLEEPING, Stage.RUNNING)["start_at_most"]) < 20
