"""The commands know the statuses that there are, which they cannot import: they are clients of an engine."""

from perdure.cli.invocations import STATUSES
from perdure.engine.invocation import Status


def test_all_statuses_can_be_asked_for() -> None:
    assert tuple(Status) == STATUSES
