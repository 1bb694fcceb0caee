"""The contexts: what each kind of handler is given, as lists of capabilities; and how to find the current one."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from perdure.errors import NotInHandler
from perdure.protocol.scopes import check_scope
from perdure.sdk.capabilities.awakeables import Awakeables
from perdure.sdk.capabilities.calls import Calls
from perdure.sdk.capabilities.capability import checked
from perdure.sdk.capabilities.promises import Promises
from perdure.sdk.capabilities.runs import Runs
from perdure.sdk.capabilities.signals import Signals
from perdure.sdk.capabilities.sleeps import Sleeps
from perdure.sdk.capabilities.state import ReadsState, WritesState
from perdure.sdk.progress import Progress

A = TypeVar("A")


class AttemptFinishedEvent:
    """Says when the attempt is over, in whatever way: for runs that should stop what they do then."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def set(self) -> None:
        self._event.set()


@dataclass(frozen=True, slots=True)
class Request:
    """What the handler was called with."""

    id: str
    """The invocation's id."""
    headers: dict[str, str]
    """Those that the caller sent."""
    attempt_headers: Mapping[str, str]
    """Those of the connection that this attempt came by; they differ from attempt to attempt."""
    body: bytes
    attempt_finished_event: AttemptFinishedEvent
    scope: str | None
    limit_key: str | None
    idempotency_key: str | None


class ScopedContext(Calls):
    """Calls within a scope: see `Context.scope`."""

    __slots__ = ("_scope",)

    def __init__(self, progress: Progress, scope: str) -> None:
        super().__init__(progress)
        self._scope = scope


class Context(Runs, Calls, Sleeps, Awakeables, Signals):
    """What the handler of a plain service can do, and all others can too."""

    __slots__ = ("_attached", "_attempt_headers", "_finished", "_random", "target")

    def __init__(self, progress: Progress, attempt_headers: Mapping[str, str], target: str) -> None:
        super().__init__(progress)
        self.target = target
        """The handler that runs: `Service/handler`."""
        self._attempt_headers = attempt_headers
        self._finished: AttemptFinishedEvent | None = None
        self._random: random.Random | None = None
        self._attached: dict[type[Any], Any] = {}

    def attached(self, kind: type[A]) -> A:
        """An object of this class, made when first asked for, that lives as long as the attempt: for extensions."""
        if kind not in self._attached:
            self._attached[kind] = kind()
        return self._attached[kind]

    def check_here(self, what: str) -> None:
        """Checks that `what` may use this context from where it is called.

        Raises:
            UsageError: it is called inside a run, or in another event loop or thread than the handler's.
        """
        self._progress.check_here(what)

    async def alone(self, what: str, body: Callable[[], Awaitable[A]]) -> A:
        """Awaits a body that may await nothing but this context: where it does, the attempt fails and says where.

        Raises:
            SdkInternalException: it did.
        """
        return (await self.watched(what, body))[0]

    async def watched(self, what: str, body: Callable[[], Awaitable[A]]) -> tuple[A, bool]:
        """`alone`, which also says whether the body used this context, or gave other tasks a turn by awaiting them."""
        before = self._use()
        watch = self._progress.watch(what)
        result = await watch.over(body)
        return result, watch.awaited or self._use() != before

    def _use(self) -> Any:
        chance = None if self._random is None else self._random.getstate()
        return self._progress.machine.used, chance

    def runs_next(self, name: str) -> bool:
        """Whether the journal goes on with the run of this name, which an earlier attempt began."""
        return self._progress.machine.journal.runs_next(name)

    @property
    def invocation_id(self) -> str:
        return self._progress.machine.intake.start.debug_id

    @property
    def is_replaying(self) -> bool:
        """Whether the handler still repeats what an earlier attempt recorded."""
        return self._progress.machine.journal.replaying

    def request(self) -> Request:
        """What the handler was called with, and how."""
        machine = self._progress.machine
        start = machine.intake.start
        return Request(
            id=self.invocation_id,
            headers={header.key: header.value for header in machine.intake.input.headers},
            attempt_headers=self._attempt_headers,
            body=machine.intake.input.value.content,
            attempt_finished_event=self.attempt_finished_event(),
            scope=start.scope if start.HasField("scope") else None,
            limit_key=start.limit_key if start.HasField("limit_key") else None,
            idempotency_key=start.idempotency_key if start.HasField("idempotency_key") else None,
        )

    def attempt_finished_event(self) -> AttemptFinishedEvent:
        """See `Request.attempt_finished_event`."""
        if self._finished is None:
            self._finished = AttemptFinishedEvent()
            if self._progress.ended is not None:
                self._finished.set()
        return self._finished

    def attempt_finished(self) -> None:
        """Told by the attempt when it is over."""
        if self._finished is not None:
            self._finished.set()

    def random(self) -> random.Random:
        """Random numbers that are the same on every attempt. Not for secrets."""
        if self._random is None:
            self._random = random.Random(self._progress.machine.intake.random_seed)
        return self._random

    def uuid(self) -> UUID:
        """A UUID that is the same on every attempt. Not for secrets."""
        return UUID(int=self.random().getrandbits(128), version=4)

    def scope(self, scope: str) -> ScopedContext:
        """Calls within a scope: a part of the target's identity, in which limits count. Needs protocol version 7.

        Raises:
            UsageError: it is no scope, which is 1 to 36 letters, digits, `_`, `.` and `-`.
        """
        check_scope(checked("a scope", scope), None)
        return ScopedContext(self._progress, scope)


class ObjectSharedContext(Context, ReadsState):
    """What a shared handler of a virtual object can do: read its state."""

    __slots__ = ()


class ObjectContext(ObjectSharedContext, WritesState):
    """What an exclusive handler of a virtual object can do: read and write its state."""

    __slots__ = ()


class WorkflowSharedContext(ObjectSharedContext, Promises):
    """What a shared handler of a workflow can do: read its state, complete its promises."""

    __slots__ = ()


class WorkflowContext(ObjectContext, Promises):
    """What a workflow's main handler can do."""

    __slots__ = ()


context_var: ContextVar[Context | None] = ContextVar("perdure_context", default=None)


def current_context() -> Context:
    """The context of the handler that this code runs in, however deep.

    Raises:
        NotInHandler: it runs in none.
    """
    context = context_var.get()
    if context is None:
        raise NotInHandler("there is no context here: this code does not run inside a handler")
    return context


def current_object_context() -> ObjectContext:
    """The context of the virtual object's exclusive handler, or workflow's main handler, that this code runs in.

    Raises:
        NotInHandler: it runs in none, or in a handler of another kind.
    """
    context = current_context()
    if not isinstance(context, ObjectContext):
        raise NotInHandler(
            "this code needs the state of a virtual object or workflow, and runs in a handler that has a "
            f"{type(context).__name__}"
        )
    return context
