"""What is left on a deployment: the invocations pinned to it that have not ended, on disk and on their way there."""

from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from perdure.engine.invocation import STORED_AS, Invocation, Status
from perdure.engine.ledger import Ledger
from perdure.engine.store.pinned import PinnedReader

COUNTED_MAX = 10_000
"""Statuses are counted so far: each is a row that is read in the engine's loop, and 10,000 take it some 10 ms."""


class Leftover(Struct, frozen=True):
    """One invocation that is left: why it waits is said where more is known than its status."""

    id: str
    target: str
    status: Status
    waiting_reason: str | None = None


class Leftovers:
    """`reason` says why an invocation waits."""

    def __init__(self, ledger: Ledger, reader: PinnedReader, reason: Callable[[Invocation], str | None]) -> None:
        self._ledger = ledger
        self._reader = reader
        self._reason = reason

    def any(self, deployment_id: str) -> bool:
        """Whether anything is left on a deployment. Exact: what is not committed yet counts as it is."""
        uncommitted = self._ledger.uncommitted()
        if any(_is_left(invocation, deployment_id) for invocation in uncommitted.values()):
            return True
        numbers = self._reader.numbers(deployment_id, len(uncommitted) + 1)
        return any(number not in uncommitted for number in numbers)

    def count(self, deployment_id: str) -> int:
        """How many are left, as of the last commit."""
        return self._reader.count(deployment_id)

    def by_status(self, deployment_id: str) -> dict[Status, int]:
        """The same, by status; of so many that counting them would take long, the first `COUNTED_MAX`."""
        counts = Counter(self._reader.by_status(deployment_id, COUNTED_MAX))
        now = [each.status for each in self._ledger.invocations_in_memory() if each.deployment_id == deployment_id]
        now += [Status.BACKING_OFF for _, each in self._ledger.backing_off() if each.deployment_id == deployment_id]
        for status in now:
            stored_as = STORED_AS.get(status)
            if stored_as is not None and counts[stored_as]:
                counts[stored_as] -= 1
                counts[status] += 1
        return {status: count for status, count in counts.items() if count}

    def first(self, deployment_id: str, limit: int) -> list[Leftover]:
        """The first that are left, in order of arrival."""
        found = (self._ledger.find_number(number) for number in self._reader.numbers(deployment_id, limit))
        return [
            Leftover(invocation.id, str(invocation.target), invocation.status, self._reason(invocation))
            for invocation in found
            if invocation is not None
        ]

    def of_handler(self, deployment_id: str | None, service: str, handler: str) -> int:
        """How many of a handler are left on a deployment; with None, that no deployment has yet."""
        return self._reader.count_handler(deployment_id, service, handler)


def _is_left(invocation: Invocation, deployment_id: str) -> bool:
    return invocation.deployment_id == deployment_id and invocation.status is not Status.COMPLETED
