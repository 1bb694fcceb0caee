"""Runs: side effects, executed until their result is recorded, and never again after that."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, TypeAlias, TypeVar, overload

from perdure.errors import NotInHandler, RetryableError, TerminalError, UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import MessageType
from perdure.protocol.versions import FAILURE_METADATA
from perdure.sdk.capabilities.capability import Capability, as_value, checked, chosen
from perdure.sdk.capabilities.deadline import Deadline
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.failures import INTERNAL_ERROR, clamp_delay_ms, decisive, describe_exception, error_message, failure
from perdure.sdk.futures import DurableFuture
from perdure.sdk.limits import time_limit
from perdure.sdk.machine import Machine
from perdure.sdk.progress import run_key_var
from perdure.sdk.proposals import Result
from perdure.sdk.serde import Serde
from perdure.sdk.signature import result_type
from perdure.sdk.threads import in_run_thread

P = ParamSpec("P")
T = TypeVar("T")

RunAction: TypeAlias = Callable[P, Coroutine[Any, Any, T]] | Callable[P, T]
"""What a run executes: a coroutine function, or a plain function, which gets a thread."""


def run_key() -> str:
    """Inside a run: a key of this step, the same on every attempt, and unlike any other's.

    Hand it to outside systems as their idempotency key, so that a step that was executed twice has one effect.

    Raises:
        NotInHandler: no run is being executed here.
    """
    key = run_key_var.get()
    if key is None:
        raise NotInHandler("run_key() is for the inside of a run: call it in the function that ctx.run executes")
    return key


_DEFAULT: RunOptions[Any] = RunOptions()


class Runs(Capability):
    """Executes what is not deterministic, or has effects outside: requests, random numbers, the clock."""

    __slots__ = ()

    @overload
    def run_typed(
        self,
        name: str,
        action: Callable[P, Coroutine[Any, Any, T]],
        options: RunOptions[T] = ...,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> DurableFuture[T]: ...
    @overload
    def run_typed(
        self, name: str, action: Callable[P, T], options: RunOptions[T] = ..., /, *args: P.args, **kwargs: P.kwargs
    ) -> DurableFuture[T]: ...
    def run_typed(
        self,
        name: str,
        action: Callable[..., Any],
        options: RunOptions[Any] = _DEFAULT,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> DurableFuture[Any]:
        """Executes `action(*args, **kwargs)` once, until its result is recorded. Await the result.

        It starts at once, and several may run at the same time. A TerminalError in it is recorded as its result; any
        other exception is retried. It must not use the context.
        """
        if not isinstance(options, RunOptions):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
            raise UsageError(
                f"run {name!r}: the third argument is its options, not {options!r}. What the action takes comes after "
                f"them, or by name: ctx.run_typed({name!r}, action, RunOptions(), value)"
            )
        serde = chosen(options.serde, options.type_hint or result_type(action))
        call = partial(action, *args, **kwargs) if args or kwargs else action
        handle = self._progress.do(self._begin, name, _Run(name, call, serde, options))
        return DurableFuture(self._progress, handle, as_value(serde))

    @overload
    def run(
        self,
        name: str,
        action: Callable[..., Coroutine[Any, Any, T]],
        serde: Serde[T] | None = ...,
        max_attempts: int | None = ...,
        max_retry_duration: timedelta | None = ...,
        type_hint: type[T] | None = ...,
        args: tuple[Any, ...] | None = ...,
        *,
        timeout: timedelta | None = ...,
    ) -> DurableFuture[T]: ...
    @overload
    def run(
        self,
        name: str,
        action: Callable[..., T],
        serde: Serde[T] | None = ...,
        max_attempts: int | None = ...,
        max_retry_duration: timedelta | None = ...,
        type_hint: type[T] | None = ...,
        args: tuple[Any, ...] | None = ...,
        *,
        timeout: timedelta | None = ...,
    ) -> DurableFuture[T]: ...
    def run(
        self,
        name: str,
        action: Callable[..., Any],
        serde: Serde[Any] | None = None,
        max_attempts: int | None = None,
        max_retry_duration: timedelta | None = None,
        type_hint: type[Any] | None = None,
        args: tuple[Any, ...] | None = None,
        *,
        timeout: timedelta | None = None,
    ) -> DurableFuture[Any]:
        """The older form of `run_typed`."""
        options = RunOptions[Any](serde, type_hint, max_attempts, max_retry_duration, timeout=timeout)
        return self.run_typed(name, action, options, *(args or ()))

    def time(self) -> DurableFuture[float]:
        """The time, as `time.time()`, recorded: the same on every attempt. Await it."""

        async def now() -> float:
            return self._progress.clock()

        return self.run_typed("timestamp", now)

    def _begin(self, name: str, run: "_Run") -> int:
        """In the loop's thread: issues the command, and executes it unless its result has been recorded."""
        machine = self._progress.machine
        limit = time_limit(run.options.timeout, f"run {name!r}", "was not done")
        first = not machine.has_added
        handle = machine.commands.issue_completable(pb.RunCommandMessage(name=checked("the name of a run", name)))
        index = machine.journal.index
        deadline = None if limit is None else Deadline(self._progress, handle, limit)
        if not machine.notifications.has_come(handle):
            self._progress.executions.launch(handle, lambda: run.execute(machine, handle, index, first, deadline))
        return handle


@dataclass(slots=True)
class _Run:
    """One execution of an action, in one attempt."""

    name: str
    action: Callable[[], Any]
    serde: Serde[Any]
    options: RunOptions[Any]

    async def execute(
        self, machine: Machine, handle: int, index: int, first: bool, deadline: Deadline | None
    ) -> Result | pb.ErrorMessage:
        """Gives the result to record, or the error to fail the attempt with.

        `first`: nothing new was journaled before it in this attempt, so the attempts that Start counts were its own.
        """
        run_key_var.set(f"{machine.intake.start.debug_id}-{handle}")
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return self._written(await (self._call() if deadline is None else deadline.keep(self._call)))
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            problem = decisive(error) or error  # a CancelledError, too: else nobody would ever answer for this run
        if isinstance(problem, TerminalError):
            return failure(problem.message, problem.status_code, _metadata(problem, machine))
        count = machine.intake.start.retry_count_since_last_stored_entry if first else 0
        elapsed_s = loop.time() - started
        if count:
            elapsed_s += machine.intake.start.duration_since_last_stored_entry / 1000
        code = problem.status_code if isinstance(problem, RetryableError) else INTERNAL_ERROR
        if self.options.exhausted(count + 1, elapsed_s):
            return failure(describe_exception(problem), code)
        error = error_message(problem)
        error.related_command_index = index
        error.related_command_name = self.name
        error.related_command_type = MessageType.RUN
        if not error.HasField("next_retry_delay"):
            delay_ms = self.options.next_delay_ms(count + 1)
            if delay_ms is not None:
                error.next_retry_delay = delay_ms
        if deadline is not None:  # whoever waits is told when it is over, and not at the next try after that
            error.next_retry_delay = min(error.next_retry_delay, clamp_delay_ms(deadline.left_s() * 1000))
        return error

    def _written(self, value: Any) -> bytes:
        content = self.serde.serialize(value)
        if not isinstance(content, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  serdes are user code
            raise UsageError(f"{type(self.serde).__name__}.serialize gave a {type(content).__name__}, not bytes")
        return content

    async def _call(self) -> Any:
        if inspect.iscoroutinefunction(self.action):
            return await self.action()
        value = await in_run_thread(self.action)
        return await value if inspect.isawaitable(value) else value


def _metadata(error: TerminalError, machine: Machine) -> dict[str, str] | None:
    return error.metadata if machine.version >= FAILURE_METADATA else None
