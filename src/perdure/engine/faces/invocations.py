"""What operators see of invocations, and do to them: the engine's face for `interventions`."""

from collections.abc import Callable
from typing import TypeVar

from perdure.engine.answers import Accepted, Answer, Done
from perdure.engine.events import (
    CancelRequested,
    CommitAwaited,
    Event,
    KillRequested,
    PauseRequested,
    PurgeRequested,
    RestartRequested,
    ResumeRequested,
)
from perdure.engine.faces.ask import Ask
from perdure.engine.faces.views import InvocationView, view_of
from perdure.engine.invocation import Invocation
from perdure.engine.ledger import Ledger
from perdure.engine.reasons import Reasons
from perdure.errors import UnknownInvocation, UsageError
from perdure.protocol import ids
from perdure.protocol.ids import InvocationId
from perdure.times import bounded_ms

Expected = TypeVar("Expected", Done, Accepted)


class Invocations:
    """All invocations of an engine. What is awaited here returns after its commit.

    Every method raises `UnknownInvocation`, `UsageError` for what is no invocation id, and `EngineStopping`.
    """

    def __init__(self, ledger: Ledger, ask: Ask, reasons: Reasons, check_open: Callable[[], None]) -> None:
        self._ledger = ledger
        self._check_open = check_open
        self._ask = ask
        self._reasons = reasons

    def describe(self, invocation_id: str) -> InvocationView:
        """What is known of an invocation, and in a sentence why it waits: for that, its journal is read."""
        invocation = self.committed(invocation_id)
        return view_of(invocation, self._reasons.of(invocation))

    def committed(self, invocation_id: str) -> Invocation:
        """An invocation as it is on disk, with what only memory knows where the two do not differ."""
        self._check_open()
        id = checked_id(invocation_id)
        invocation = self._ledger.find(id)
        if invocation is not None and self._ledger.is_uncommitted(invocation.number):
            invocation = self._ledger.reader.invocation_by_id(id)
        if invocation is None:
            raise UnknownInvocation(invocation_id)
        return invocation

    async def cancel(self, invocation_id: str, *, kill_after_ms: int | None = None) -> Done:
        """Ask an invocation to end: it sees a terminal error 409 at its next await, after the calls that it awaits.

        `done` where it has ended already by this; else its code is told. `kill_after_ms`: kill it then, if it goes on.

        Raises:
            Conflict: it has ended.
        """
        id = checked_id(invocation_id)
        if kill_after_ms is not None and kill_after_ms < 0:
            raise UsageError(f"kill after {kill_after_ms} ms: that is in the past")
        kill_after_ms = None if kill_after_ms is None else bounded_ms(kill_after_ms)
        return await self._do(lambda request: CancelRequested(request, id, kill_after_ms), Done)

    async def kill(self, invocation_id: str) -> None:
        """End an invocation, and the calls that it awaits, at once, unasked. Raises like `cancel`."""
        id = checked_id(invocation_id)
        await self._do(lambda request: KillRequested(request, id), Done)

    async def pause(self, invocation_id: str) -> bool:
        """Make no more attempts at an invocation until it is resumed; False if it was paused already.

        Raises:
            Conflict: it has ended, or not begun.
        """
        id = checked_id(invocation_id)
        return (await self._do(lambda request: PauseRequested(request, id), Done)).done

    async def resume(self, invocation_id: str, *, deployment: str = "keep") -> None:
        """Try a paused, suspended or backing-off invocation now.

        `deployment`: `keep` goes on where it was, `latest` where new ones go, or the id of one.

        Raises:
            Conflict: it runs, or has ended; or the deployment is being drained.
            TooEarly: it has not begun.
            UnknownDeployment, UnknownTarget, UsageError: it cannot go on there.
        """
        id = checked_id(invocation_id)
        await self._do(lambda request: ResumeRequested(request, id, deployment), Done)

    async def restart_as_new(
        self, invocation_id: str, *, from_entry: int = 0, deployment: str = "latest"
    ) -> InvocationId:
        """Run an invocation that has ended again, as a new one; its id.

        `from_entry`: take over the journal up to and with this entry, and go on from there.
        `deployment`: as in `resume`.

        Raises:
            Conflict: it has not ended; or the deployment is being drained.
            TooEarly: it has not begun.
            JournalGone: its input is no longer kept.
            NotRestartable: it is a workflow's.
            UsageError: the entry does not exist, or was not completed.
        """
        id = await self._settled(invocation_id)
        accepted = await self._do(lambda request: RestartRequested(request, id, from_entry, deployment), Accepted)
        return accepted.invocation_id

    async def purge(self, invocation_id: str, *, journal_only: bool = False) -> None:
        """Forget an invocation that has ended, with its result, and the state and promises of a workflow.

        Raises:
            Conflict: it has not ended.
        """
        id = await self._settled(invocation_id)
        await self._do(lambda request: PurgeRequested(request, id, journal_only), Done)

    async def _settled(self, invocation_id: str) -> InvocationId:
        """The id, when all that happened to the invocation is on disk."""
        id = checked_id(invocation_id)
        while (invocation := self._ledger.find(id)) is not None and self._ledger.is_uncommitted(invocation.number):
            await self._ask(CommitAwaited)
        return id

    async def _do(self, event: Callable[[int], Event], expected: type[Expected]) -> Expected:
        answer: Answer = await self._ask(event)
        assert isinstance(answer, expected)
        return answer


def checked_id(invocation_id: str) -> InvocationId:
    """The id itself. Raises `UsageError` where it cannot be one."""
    ids.parse_invocation_id(invocation_id)
    return InvocationId(invocation_id)
