"""Signals: messages from one invocation to another that runs, by name; a cancel is one of them."""

from datetime import timedelta
from typing import Any, TypeVar

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import Handle
from perdure.sdk.capabilities.capability import Capability, as_value_of, checked, checked_id, chosen
from perdure.sdk.failures import failure
from perdure.sdk.futures import DurableFuture, cancel
from perdure.sdk.limits import time_limit
from perdure.sdk.serde import Serde

T = TypeVar("T")


class Signals(Capability):
    """Waits for named signals; sends them, and cancels, to other invocations."""

    __slots__ = ()

    def signal(
        self,
        name: str,
        serde: Serde[T] | None = None,
        type_hint: type[T] | None = None,
        *,
        timeout: timedelta | None = None,
    ) -> DurableFuture[T]:
        """The next signal of this name that is sent to this invocation. Await it.

        After `timeout`, it fails with `TimedOut`; a signal that comes later is for whoever asks for its name next.
        """
        checked("the name of a signal", name)  # no command carries it, but what the attempt waits for at its end
        progress = self._progress
        handle: Handle = name
        limit = time_limit(timeout, f"signal {name!r}", "did not come")
        if limit is not None:
            handle = progress.do(progress.machine.limit_signal, name, limit, progress.due_ms(limit.timeout))
        return DurableFuture(progress, handle, as_value_of(f"the value of signal {name!r}", chosen(serde, type_hint)))

    def resolve_signal(self, invocation_id: str, name: str, value: T, serde: Serde[T] | None = None) -> None:
        """Sends a signal with a value."""
        content = pb.Value(content=chosen(serde, Any).serialize(value))
        self._signal(pb.SendSignalCommandMessage(value=content), invocation_id, name)

    def reject_signal(self, invocation_id: str, name: str, failure_message: str, failure_code: int = 500) -> None:
        """Sends a signal that is a failure: who awaits it gets a TerminalError."""
        rejection = failure(failure_message, failure_code)
        self._signal(pb.SendSignalCommandMessage(failure=rejection), invocation_id, name)

    def cancel_invocation(self, invocation_id: str) -> None:
        """Cancels another invocation: it gets a TerminalError (409) where it awaits next."""
        cancel(self._progress, checked_id(invocation_id))

    def _signal(self, command: pb.SendSignalCommandMessage, invocation_id: str, name: str) -> None:
        command.target_invocation_id = checked_id(invocation_id)
        command.name = checked("the name of a signal", name)
        self._progress.do(self._progress.machine.commands.issue, command)
