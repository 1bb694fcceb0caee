"""What the libraries draw from the clock, from chance and from threads, made the same on every attempt of a handler.

Checkpoints and messages get their ids in places that LangGraph offers no way into, and the ids of tasks and interrupts
follow from those; with another id on each attempt, what a graph writes would no longer fit the journal. So these few
names are replaced in LangGraph's modules, once, by functions that ask for a handler first. Outside of handlers, and
inside of a run, they do what they did.

Which of several threads is done first differs from attempt to attempt, too. So what the libraries put into a thread is
called where it stands, in a handler: the small functions between the steps of a chain, such as output parsers,
callbacks, and LangSmith's hook around each middleware, which is there also with tracing off.

From Python 3.12 on, LangGraph starts tasks without asking the loop's task factory, by which a handler knows which tasks
are its own. In a handler it is told that there is no such way, as before 3.12. And its own way to wait for a queue is
replaced by asyncio's, which is known to wait for other tasks and for nothing outside.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context as Variables
from hashlib import blake2b
from typing import Any

from perdure.ext.durable_here import in_handler
from perdure.ext.missing import needs

with needs("langgraph", extra="langchain"):
    import langchain_core.output_parsers.base
    import langchain_core.runnables.base
    import langgraph._internal._future  # pyright: ignore[reportMissingTypeStubs]
    import langgraph.graph.message  # pyright: ignore[reportMissingTypeStubs]
    import langgraph.pregel._checkpoint  # pyright: ignore[reportMissingTypeStubs]
    import langgraph.pregel._messages  # pyright: ignore[reportMissingTypeStubs]
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.runnables.config import run_in_executor
    from langgraph._internal._future import EAGER_NOT_SUPPORTED  # pyright: ignore[reportMissingTypeStubs]
    from langgraph._internal._queue import AsyncQueue  # pyright: ignore[reportMissingTypeStubs]
    from langgraph.pregel._checkpoint import uuid6 as random_uuid6  # pyright: ignore[reportMissingTypeStubs]
    from langgraph.pregel._messages import uuid4  # pyright: ignore[reportMissingTypeStubs]
    from langsmith import set_runtime_overrides
    from langsmith._runtime_overrides import get_runtime_overrides  # what a program has set for itself is kept


class Ids:
    """The ids that an attempt gives, once it has read a thread: they follow from the thread, and from nothing else.

    Those of checkpoints are UUIDs of version 6, which sort in the order in which they were made; in the place of the
    time they have a number.
    """

    def __init__(self) -> None:
        self._thread = ""  # none was read yet
        self._last = 0
        self._begun = 0
        self._messages = 0

    def begin(self, thread: str, heads: Iterable[str]) -> None:
        """A thread was read, with its latest checkpoints: further ones come after them."""
        self._thread = thread
        self._begun = self._last = max([self._last, *(_number(uuid.UUID(head)) for head in heads)])

    def checkpoint(self, clock_seq: int | None) -> uuid.UUID | None:
        """The next checkpoint's; None where no thread was read."""
        if not self._thread:
            return None
        self._last += 1
        sequence, node = (clock_seq or 0) & 0x3FFF, _hash(self._thread, self._last) >> 80
        version, variant = 6 << 76, 2 << 62
        number = (self._last >> 12) << 80 | (self._last & 0xFFF) << 64
        return uuid.UUID(int=number | version | variant | sequence << 48 | node)

    def message(self) -> uuid.UUID | None:
        """The next message's; None where no thread was read."""
        if not self._thread:
            return None
        self._messages += 1
        return uuid.UUID(int=_hash(self._thread, self._begun, self._messages), version=4)


def repeat_what_is_drawn() -> None:
    """Puts our functions in the place of those that draw. To be done once."""
    replace(langgraph.pregel._checkpoint, "uuid6", _checkpoint_id)  # pyright: ignore[reportPrivateUsage]
    replace(langgraph.pregel._messages, "uuid4", message_id)  # pyright: ignore[reportPrivateUsage]
    replace(langgraph.graph.message, "uuid", _Uuids())
    replace(langchain_core.runnables.base, "run_in_executor", _call)
    replace(langchain_core.output_parsers.base, "run_in_executor", _call)
    replace(langgraph._internal._future, "EAGER_NOT_SUPPORTED", _NoEagerTasks())  # pyright: ignore[reportPrivateUsage]
    replace(AsyncQueue, "wait", _wait)
    set_runtime_overrides(aio_to_thread=_trace)


def replace(holder: Any, name: str, ours: Any) -> None:
    """Puts something of ours under a name of a library's module or class.

    Raises:
        ImportError: the library is of a version that has no such name.
    """
    with needs("langgraph", extra="langchain"):
        if not hasattr(holder, name):
            raise ImportError(f"{holder.__name__} has no {name}")
    setattr(holder, name, ours)


def inline(handlers: Iterable[BaseCallbackHandler]) -> None:
    """Has callbacks that are plain functions called where they are, and not in a thread."""
    for handler in handlers:
        if not handler.run_inline:
            handler.run_inline = True


def _number(checkpoint: uuid.UUID) -> int:
    return (checkpoint.time_low << 28) | (checkpoint.time_mid << 12) | (checkpoint.time_hi_version & 0x0FFF)


def _hash(*parts: str | int) -> int:
    return int.from_bytes(blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest())


def _checkpoint_id(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    ctx = in_handler()
    made = None if ctx is None else ctx.attached(Ids).checkpoint(clock_seq)
    return made or random_uuid6(node, clock_seq)


def message_id() -> uuid.UUID:
    """The id of a message that has none, in the place of `uuid4`."""
    ctx = in_handler()
    return uuid4() if ctx is None else ctx.attached(Ids).message() or ctx.uuid()


class _Uuids:
    """The module `uuid`, as `add_messages` sees it."""

    uuid4 = staticmethod(message_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(uuid, name)


_kept_override = get_runtime_overrides().aio_to_thread


class _NoEagerTasks:
    """In the place of a constant: whether tasks cannot start eagerly. LangGraph looks before it starts one."""

    def __bool__(self) -> bool:
        return EAGER_NOT_SUPPORTED or in_handler() is not None


_wait_elsewhere: Any = getattr(AsyncQueue, "wait", None)  # `replace` says so where it is missing


async def _wait(self: Any) -> None:
    """Until there is something in the queue, which stays there."""
    if in_handler() is None:
        await _wait_elsewhere(self)
    elif self.empty():
        self._queue.appendleft(await asyncio.Queue[Any].get(self))


async def _call(executor: Any, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if in_handler() is None:
        return await run_in_executor(executor, fn, *args, **kwargs)
    return fn(*args, **kwargs)


async def _trace(
    default: Callable[..., Awaitable[Any]], variables: Variables, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    if in_handler() is not None:
        return variables.run(fn, *args, **kwargs)
    if _kept_override is not None:
        return await _kept_override(default, variables, fn, *args, **kwargs)
    return await default(variables, fn, *args, **kwargs)
