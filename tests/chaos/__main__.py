"""`make chaos ARGS="--minutes 10 --seed 3"`: load and random faults together, and the figures at the end."""

from __future__ import annotations

import argparse
import sys

from tests.chaos.run import chaos


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--every", type=float, default=4.0, help="seconds between faults")
    chosen = parser.parse_args()
    report = chaos(
        seed=chosen.seed, seconds=chosen.minutes * 60, clients=chosen.clients, every_s=chosen.every
    )
    print(report)
    sys.exit(bool(report.lost or report.doubled or report.concurrency_exceeded or report.size_exceeded))


main()
