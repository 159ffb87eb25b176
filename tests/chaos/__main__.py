"""`make chaos ARGS="--minutes 10 --seed 3"`: load and random faults together, and the figures at the end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.chaos.nemesis import FAULTS
from tests.chaos.run import Plan, chaos


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=Plan.clients)
    parser.add_argument("--spaces", type=int, default=Plan.spaces)
    parser.add_argument("--every", type=float, default=Plan.every_s, help="seconds between faults")
    parser.add_argument("--only", nargs="+", choices=FAULTS, metavar="FAULT", help="these, by name")
    parser.add_argument("--keep", type=Path, help="a folder for the ledgers and the platform's logs")
    chosen = parser.parse_args()
    found = chaos(
        Plan(
            seed=chosen.seed, seconds=chosen.minutes * 60, clients=chosen.clients, spaces=chosen.spaces,
            every_s=chosen.every, keep=chosen.keep,
            weights={name: weight for name, weight in FAULTS.items() if name in (chosen.only or FAULTS)},
        )
    )  # fmt: skip
    print(found)
    sys.exit(bool(found.broken))


main()
