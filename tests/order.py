"""A pytest plugin: the order of the tests. Long files come first, so that parallel workers end together
(`--no-loadscope-reorder` keeps this order); `--shuffle SEED` shuffles files of about the same length, and the
tests of each. Within a file those that use a browser come last: while Playwright is open, which is until the
file's end, its event loop runs, and an asyncio test could not run its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

#: Files of more than a minute, beside others on two cores.
LONG = {
    "browser/test_private_spaces.py", "browser/test_reload.py",
    "census/test_census.py", "census/test_docker_census.py",
    "compat/test_pages.py", "compat/test_python_clients.py",
    "contracts/test_runtimes.py",
    "hardware/test_agent.py",
    "invariants/test_each_defence_is_needed.py", "invariants/test_killed_build_worker.py",
    "invariants/test_many_pushes.py", "invariants/test_process_faults.py",
    "invariants/test_rolling_restart.py", "invariants/test_thousand_sockets.py",
    "invariants/test_visitors_who_leave.py",
    "journeys/test_hot_reload.py", "journeys/test_kinds_and_failures.py",
    "journeys/test_nodes_that_go.py", "journeys/test_pruned_artifacts.py", "journeys/test_restored.py",
    "security/test_builds_are_bounded.py", "security/test_where_spaces_connect.py",
    "spaces/test_openapi.py",
}  # fmt: skip
#: Folders whose other files take seconds.
QUICK = {"accounts", "lint", "queueing", "reference", "spaceport", "spaces"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run the tests in an order of this seed")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    if (seed := config.getoption("shuffle")) is not None:
        items[:] = _shuffled(items, random.Random(seed))  # noqa: S311
    yield  # pytest puts those together that use the same variant of a fixture
    items[:] = sorted(_browsers_last(items), key=_length, reverse=True)


def _browsers_last(items: list[pytest.Item]) -> list[pytest.Item]:
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    return [test for tests in files.values() for test in sorted(tests, key=_uses_a_browser)]


def _uses_a_browser(item: pytest.Item) -> bool:
    return "playwright" in getattr(item, "fixturenames", ())


def _shuffled(items: list[pytest.Item], by: random.Random) -> list[pytest.Item]:
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    by.shuffle(files)
    for tests in files:
        by.shuffle(tests)
    return [test for tests in files for test in tests]


def _length(item: pytest.Item) -> int:
    folder = item.path.parent.name
    if f"{folder}/{item.path.name}" in LONG:
        return 2
    return 0 if folder in QUICK else 1
