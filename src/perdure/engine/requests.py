"""Those outside who wait for the outcomes of invocations."""

from collections.abc import Iterator

from perdure.engine.answers import Failure, Outcome
from perdure.engine.effects import Respond
from perdure.engine.invocation import Invocation, Status


class Requests:
    """Requests by the numbers that the cycle gave them; each waits for one invocation. Lost with the process."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[int]] = {}  # by the invocation's number
        self._awaited: dict[int, int] = {}

    def wait(self, invocation: Invocation, request: int) -> Iterator[Respond]:
        """Somebody waits for the outcome: told at once if it is there, else when `answer` is asked."""
        if invocation.status is Status.COMPLETED:
            yield Respond(request, outcome_of(invocation))
        else:
            self._waiting.setdefault(invocation.number, set()).add(request)
            self._awaited[request] = invocation.number

    def answer(self, invocation: Invocation) -> Iterator[Respond]:
        """What is told to all who wait for an invocation that has ended."""
        waiting = self._waiting.pop(invocation.number, None)
        if waiting:
            outcome = outcome_of(invocation)
            yield from (Respond(request, outcome) for request in waiting)

    def forget(self, request: int) -> None:
        """Whoever waited has the outcome, or has gone away."""
        number = self._awaited.pop(request, None)
        if number is not None and (waiting := self._waiting.get(number)) is not None:
            waiting.discard(request)
            if not waiting:
                del self._waiting[number]


def outcome_of(invocation: Invocation) -> Outcome:
    """What a completed invocation came to."""
    output = invocation.output
    assert output is not None, f"{invocation.id} is completed without an output"
    kept_until_ms = (invocation.completed_at_ms or 0) + invocation.retention_ms if invocation.retention_ms else None
    if output.HasField("failure"):
        metadata = {entry.key: entry.value for entry in output.failure.metadata} or None
        failure = Failure(output.failure.code, output.failure.message, metadata)
        return Outcome(invocation.id, failure=failure, kept_until_ms=kept_until_ms)
    return Outcome(invocation.id, value=output.value.content, kept_until_ms=kept_until_ms)
