"""`make census`: each app by itself and as a Space, and which are the same.

`make census ARGS="--only chat_plain render --runtime docker"`
"""

from __future__ import annotations

import argparse
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from tests.census.compare import Verdict, judge
from tests.census.records import Side
from tests.census.script import App, apps
from tests.census.sides import alone, as_space
from tests.chromium import ARGS, browser_path
from tests.platform_server import Platform, lent_home, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_own = threading.local()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make census ARGS=")
    parser.add_argument("--only", nargs="+", metavar="APP", help="these apps, by name")
    parser.add_argument("--runtime", default="process", choices=["auto", "docker", "process"])
    parser.add_argument("--at-once", type=int, default=2, help="apps under examination at a time")
    parser.add_argument(
        "--twice", action="store_true", help="by itself both times: what the census cannot see"
    )
    options = parser.parse_args()
    chosen = [app for name, app in apps().items() if not options.only or name in options.only]
    if options.twice:
        return _examine(chosen, alone, options.at_once)
    with lent_home() as home, running(Platform(options.runtime, home)) as platform:
        return _examine(chosen, partial(as_space, platform, platform.token("census")), options.at_once)


def _examine(chosen: list[App], space: Side, at_once: int) -> int:
    def examine(app: App) -> Verdict:
        try:
            verdict = judge(app, space, _browser())
        except Exception as error:
            verdict = Verdict(app.name, [f"could not be examined: {error!r}"])
        _print(verdict)
        return verdict

    with ThreadPoolExecutor(at_once) as pool:
        return _sum_up(list(pool.map(examine, chosen)))


def _browser() -> Browser:
    """One for each thread: Playwright's objects are for the thread that made them."""
    if not hasattr(_own, "browser"):
        from playwright.sync_api import sync_playwright

        playwright = sync_playwright().start()
        _own.browser = playwright.chromium.launch(executable_path=browser_path(), args=list(ARGS))
    browser: Browser = _own.browser
    return browser


def _print(verdict: Verdict) -> None:
    print(f"{'same     ' if verdict.same else 'DIFFERENT'}  {verdict.name}", flush=True)
    for line in verdict.differences:
        print(f"             {line}", flush=True)


def _sum_up(verdicts: list[Verdict]) -> int:
    judged = [verdict for verdict in verdicts if verdict.starts_alone]
    same = sum(verdict.same for verdict in judged)
    different = [verdict.name for verdict in judged if not verdict.same]
    silent = [verdict.name for verdict in verdicts if not verdict.starts_alone]
    print(f"\n{same} of {len(judged)} apps are the same ({100 * same / max(len(judged), 1):.1f} %)")
    if different:
        print(f"different: {', '.join(different)}")
    if silent:
        print(f"not judged, for they do not start alone here: {', '.join(silent)}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
