"""What is known of invocations whose attempts fail while they wait for the next: a few numbers each.

All else of such an invocation is in its row, so that any number of them may wait for a provider that is down. These
numbers are lost with the process: the next one tries at once, and counts anew.
"""

from collections.abc import Iterator

from msgspec import Struct

from perdure.engine.invocation import Invocation, Status


class Backoff(Struct, frozen=True, gc=False):
    """`retry_at_ms` is None once the next attempt is due, and waits for a slot."""

    failures: int
    attempt: int
    retry_at_ms: int | None
    stored_at_ms: int
    deployment_id: str | None


class Backoffs:
    """By the invocations' numbers. What is here of an invocation that is in memory is out of date."""

    def __init__(self) -> None:
        self._of: dict[int, Backoff] = {}

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[tuple[int, Backoff]]:
        yield from self._of.items()

    def leave(self, invocation: Invocation) -> None:
        """The invocation leaves memory: keep what its row does not have, if it is to be tried again."""
        status = invocation.status
        if status is Status.BACKING_OFF or (status is Status.READY and invocation.failures):
            self._of[invocation.number] = Backoff(
                invocation.failures,
                invocation.attempt,
                invocation.retry_at_ms,
                invocation.stored_at_ms,
                invocation.deployment_id,
            )
        elif self._of:
            self.drop(invocation.number)

    def drop(self, number: int) -> None:
        self._of.pop(number, None)

    def complement(self, invocation: Invocation) -> None:
        """The invocation was read from its row: add what that does not have."""
        backoff = self._of.get(invocation.number)
        if backoff is None:
            return
        if backoff.retry_at_ms is not None:
            invocation.status = Status.BACKING_OFF
        invocation.failures = backoff.failures
        invocation.attempt = backoff.attempt
        invocation.retry_at_ms = backoff.retry_at_ms
        invocation.stored_at_ms = backoff.stored_at_ms
