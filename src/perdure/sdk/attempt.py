"""The shell: one handler, one connection, one machine."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from threading import get_ident
from typing import Any

from perdure.errors import (
    RemoteProtocolError,
    SdkInternalException,
    TerminalError,
)
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.failure_codes import PROTOCOL_VIOLATION
from perdure.protocol.messages import Envelope
from perdure.protocol.versions import FAILURE_METADATA
from perdure.sdk.context import (
    Context,
    ObjectContext,
    ObjectSharedContext,
    WorkflowContext,
    WorkflowSharedContext,
    context_var,
)
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.failures import decisive, error_message, failure
from perdure.sdk.intake import Phase
from perdure.sdk.machine import Machine
from perdure.sdk.progress import Clock, Progress, run_key_var
from perdure.sdk.proposals import Result
from perdure.sdk.threads import in_handler_thread
from perdure.transport.connection import InvokeRequest, Sender

_CONTEXTS: dict[tuple[str, str | None], type[Context]] = {
    ("SERVICE", None): Context,
    ("VIRTUAL_OBJECT", "EXCLUSIVE"): ObjectContext,
    ("VIRTUAL_OBJECT", "SHARED"): ObjectSharedContext,
    ("WORKFLOW", "WORKFLOW"): WorkflowContext,
    ("WORKFLOW", "SHARED"): WorkflowSharedContext,
}
"""What a handler is given, by the kind of its service and its own kind."""

_NO_HEADERS: Mapping[str, str] = {}


class Attempt:
    """Runs a handler along its journal, and past it. It is the `Receiver` of the engine's messages.

    It is made in the loop that the handler is to run in. The handler starts when all known entries have come. Commands
    go out as they are issued; a terminal message is the last, and then the sender is closed.
    """

    __slots__ = ("_attempt_headers", "_context", "_handler", "_loop", "_machine", "_progress", "_sender", "_task")

    def __init__(
        self,
        handler: HandlerDefinition,
        request: InvokeRequest,
        sender: Sender,
        *,
        attempt_headers: Mapping[str, str] = _NO_HEADERS,
        clock: Clock = time.time,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._handler = handler
        self._sender = sender
        self._attempt_headers = attempt_headers
        self._machine = Machine(request.version, sender.send, request.key)
        self._progress = Progress(self._machine, self._loop, self._ended, clock)
        self._context: Context | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The handler's task, once it has begun. After the terminal message it may still unwind for a while."""
        return self._task

    def executes(self) -> bool:
        """Whether one of its runs is under way."""
        return self._progress.executions.under_way

    def thread_waits(self) -> bool:
        """Whether the handler has a thread, which waits for the journal."""
        return self._progress.thread_waits()

    # What the engine says

    def message(self, envelope: Envelope) -> None:
        """Takes in the engine's next message."""
        machine = self._machine
        if machine.closed:
            return
        try:
            machine.intake.receive(envelope)
        except RemoteProtocolError as error:
            self.violated(error)
            return
        if self._task is not None:
            self._progress.notice()
        elif machine.intake.phase is Phase.RUNNING:
            self._begin()

    def closed(self, error: Exception | None) -> None:
        """The engine sends nothing more: the attempt goes on as far as it can. With an error, it is dropped."""
        if error is not None:
            self.abort()
            return
        if self._machine.closed:
            return
        try:
            self._machine.intake.close()
        except RemoteProtocolError as violation:
            self.violated(violation)
            return
        self._progress.notice()

    def violated(self, error: RemoteProtocolError) -> None:
        """The engine broke the protocol, here or in a frame that could not be read: the attempt fails."""
        self._progress.fail(pb.ErrorMessage(code=PROTOCOL_VIOLATION, message=str(error)))

    def shutdown(self) -> None:
        """The process is about to end: as if the engine had closed its side, so that the handler is suspended."""
        self._machine.intake.closed = True
        self._progress.notice()

    def abort(self) -> None:
        """Drops the attempt: the handler is unwound, nothing is sent."""
        if not self._machine.closed:
            self._machine.close()
            self._progress.end(SdkInternalException)
            self._forget()

    # The handler

    def _begin(self) -> None:
        self._task = self._progress.tasks.start_main(self._loop, self._run())

    async def _run(self) -> None:
        handler = self._handler
        kind = _CONTEXTS[handler.service.kind, handler.kind]
        context = self._context = kind(self._progress, self._attempt_headers, handler.target)
        context_var.set(context)
        run_key_var.set(None)  # an embedded engine may have started this from inside another's run
        try:
            if handler.invocation_context_managers:
                async with AsyncExitStack() as stack:
                    for manager in handler.invocation_context_managers:
                        await stack.enter_async_context(manager())
                    result = await self._call(context)
            else:
                result = await self._call(context)
            self._finish(result)
        except asyncio.CancelledError as error:
            if self._progress.ended is None:
                self._failed(error)
                raise
        except BaseException as error:  # the edge to user code: a SystemExit must not end the loop
            if self._loop.is_closed():
                raise  # the task is destroyed: there is nobody to tell
            self._failed(error)
        finally:
            if self._progress.ended is None and not self._loop.is_closed():
                # Nothing could be said, which is a bug here; the engine must hear of the end all the same.
                self._sender.abort()
                self.abort()

    async def _call(self, context: Context) -> bytes:
        handler = self._handler
        arguments = handler.arguments(self._machine.intake.input.value.content)
        if handler.is_async:
            value = await handler.fn(context, *arguments)
        else:
            value = await in_handler_thread(partial(self._call_in_thread, context, arguments))
        return handler.output_serde.serialize(value)

    def _call_in_thread(self, context: Context, arguments: tuple[Any, ...]) -> Any:
        self._progress.thread = get_ident()
        try:
            return self._handler.fn(context, *arguments)
        finally:
            self._progress.thread = None  # it is another handler's from now on

    def _failed(self, error: BaseException) -> None:
        """Ends the attempt by what the handler raised, unless it has ended."""
        if self._progress.ended is not None:
            return
        decider = decisive(error)
        if isinstance(decider, TerminalError):
            metadata = decider.metadata if self._machine.version >= FAILURE_METADATA else None
            self._progress.finish(failure(decider.message, decider.status_code, metadata))
        else:
            self._progress.fail(error_message(decider or error))

    def _finish(self, result: Result) -> None:
        if self._progress.ended is None:
            self._progress.finish(result)

    def _ended(self) -> None:
        """The terminal message is out."""
        self._sender.close()
        self._forget()

    def _forget(self) -> None:
        if self._context is not None:
            self._context.attempt_finished()
