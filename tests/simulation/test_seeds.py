"""1,000 seeds, each its own programs, faults, crash points and operator; what comes of each is what comes without.

One seed again, by itself: PERDURE_SEED=123 pytest tests/simulation
"""

import os
from collections import Counter

import pytest

from tests.simulation.operators import OPERATIONS
from tests.simulation.world import world_of

SEEDS = int(os.environ.get("PERDURE_SEEDS", "1000"))
CHUNK = 50
ONE_SEED = os.environ.get("PERDURE_SEED")


def run_seed(seed: int) -> Counter[str]:
    """What an operator did in it."""
    try:
        with world_of(seed) as world:
            world.run()
            return world.operator.done
    except BaseException as error:
        error.add_note(f"this seed again: PERDURE_SEED={seed} pytest tests/simulation")
        raise


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", [int(ONE_SEED)] if ONE_SEED else range(0, SEEDS, CHUNK))
def test_faults_change_nothing(first: int) -> None:
    seeds = range(first, first + (1 if ONE_SEED else CHUNK))
    done = sum(map(run_seed, seeds), Counter[str]())
    assert ONE_SEED or done.keys() == OPERATIONS, "the operator did not do all that can be done"
