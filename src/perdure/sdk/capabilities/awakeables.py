"""Awakeables: futures that the outside world, or another handler, completes by their id."""

from datetime import timedelta
from typing import Any, TypeVar

from perdure.protocol import wire_pb2 as pb
from perdure.sdk.awaiting import Handle
from perdure.sdk.capabilities.capability import Capability, as_value_of, checked, chosen
from perdure.sdk.failures import failure
from perdure.sdk.futures import DurableFuture
from perdure.sdk.limits import TimeLimit, time_limit
from perdure.sdk.serde import Serde

T = TypeVar("T")


class Awakeables(Capability):
    """Waits for people and systems outside; completes what others wait for."""

    __slots__ = ()

    def awakeable(
        self, serde: Serde[T] | None = None, type_hint: type[T] | None = None, *, timeout: timedelta | None = None
    ) -> tuple[str, DurableFuture[T]]:
        """A new awakeable: the id to hand out, and the future to await; it fails with `TimedOut` after `timeout`."""
        progress = self._progress
        limit = time_limit(timeout, "an awakeable", "was not completed")
        awakeable_id, handle = progress.do(self._begin_awakeable, limit)
        read = as_value_of(f"the value of awakeable {awakeable_id}", chosen(serde, type_hint))
        return awakeable_id, DurableFuture(progress, handle, read)

    def _begin_awakeable(self, limit: TimeLimit | None) -> tuple[str, Handle]:
        awakeable_id, handle = self._progress.machine.awakeable()
        self._progress.limit(handle, limit)
        return awakeable_id, handle

    def resolve_awakeable(self, name: str, value: T, serde: Serde[T] | None = None) -> None:
        """Completes an awakeable, by its id, with a value."""
        content = chosen(serde, Any).serialize(value)
        self._complete(name, pb.CompleteAwakeableCommandMessage(value=pb.Value(content=content)))

    def reject_awakeable(self, name: str, failure_message: str, failure_code: int = 500) -> None:
        """Completes an awakeable, by its id, with a failure: who awaits it gets a TerminalError."""
        rejection = failure(failure_message, failure_code)
        self._complete(name, pb.CompleteAwakeableCommandMessage(failure=rejection))

    def _complete(self, name: str, command: pb.CompleteAwakeableCommandMessage) -> None:
        command.awakeable_id = checked("an awakeable id", name)
        self._progress.do(self._progress.machine.commands.issue, command)
