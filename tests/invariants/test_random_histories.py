"""Random histories of the queue against the plain model of it (`machine`, `model`).

`SPACEPORT_TEST_EXAMPLES=20000` runs more of them, `SPACEPORT_TEST_SEED=7` others; both are printed."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

import queueing.store.queue
from tests.invariants.machine import QueueMachine, TwoReplicas

EXAMPLES = int(os.environ.get("SPACEPORT_TEST_EXAMPLES", "48"))
SEED = int(os.environ.get("SPACEPORT_TEST_SEED", "1"))
STEPS = 40
EACH = 6  # histories from one seed


def run_histories(examples: int, *, explain: bool = True, machine: type[QueueMachine] = QueueMachine) -> None:
    """So many histories of this machine from the seed; the first that breaks a promise is told, in its
    shortest form where it is to `explain`."""
    for number in range(0, examples, EACH):
        # Hypothesis varies what it tried before: many short runs from different seeds see more.
        run_state_machine_as_test(
            seed(SEED * 1_000_003 + number)(machine),
            settings=settings(
                max_examples=EACH, stateful_step_count=STEPS, deadline=None, database=None,
                phases=tuple(Phase) if explain else (Phase.generate,),
                suppress_health_check=list(HealthCheck), print_blob=True,
            ),
        )  # fmt: skip


@pytest.mark.timeout(0 if EXAMPLES > 100 else 240)
def test_no_history_breaks_a_promise_of_the_queue() -> None:
    print(f"seed {SEED}, {EXAMPLES} histories of up to {STEPS} steps")

    run_histories(EXAMPLES)


@pytest.mark.timeout(0 if EXAMPLES > 100 else 240)
def test_nor_one_on_two_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whom an event is left to depends on the clock.
    monkeypatch.setattr(queueing.store.queue, "LEAVE_S", 0)

    run_histories(EXAMPLES, machine=TwoReplicas)
