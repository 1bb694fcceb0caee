"""What the libraries draw from the clock, from chance and from threads, made the same on every attempt of a handler.

Checkpoints and messages get their ids in places that LangGraph offers no way into, and the ids of tasks and interrupts
follow from those; with another id on each attempt, what a graph writes would no longer fit the journal. So these few
names are replaced in LangGraph's modules, once, by functions that ask for a handler first. Outside of handlers, and
inside of a run, they do what they did.

LangSmith's hook that keeps each middleware call for a trace goes through a thread, also with tracing off. In a handler
it is called where it stands: which of several threads is done first would differ from attempt to attempt.
"""

import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context as Variables
from datetime import UTC, datetime
from typing import Any, Final

from perdure.ext.missing import needs
from perdure.sdk.context import Context, context_var
from perdure.sdk.progress import run_key_var

with needs("langgraph", extra="langchain"):
    import langgraph.graph.message  # pyright: ignore[reportMissingTypeStubs]
    import langgraph.pregel._checkpoint  # pyright: ignore[reportMissingTypeStubs]
    import langgraph.pregel._messages  # pyright: ignore[reportMissingTypeStubs]
    from langchain_core.callbacks import BaseCallbackHandler
    from langsmith import set_runtime_overrides
    from langsmith._runtime_overrides import get_runtime_overrides  # what a program has set for itself is kept

_UUID_EPOCH: Final = datetime(1582, 10, 15, tzinfo=UTC)


class CheckpointIds:
    """The ids of the checkpoints that an attempt makes: UUIDs of version 6, which sort by when they were made."""

    def __init__(self) -> None:
        self._last: int | None = None  # None: no thread of a `DurableCheckpointer` was loaded

    def begin(self, now_s: float, heads: Iterable[str]) -> None:
        """A thread was loaded: from here on, ids are later than `now_s`, as recorded, and later than these."""
        since_epoch = datetime.fromtimestamp(now_s, UTC) - _UUID_EPOCH
        now = (since_epoch.days * 86_400 + since_epoch.seconds) * 10_000_000 + since_epoch.microseconds * 10
        self._last = max(self._last or 0, now, *(_ticks(uuid.UUID(head)) for head in heads))

    def next(self, ctx: Context, clock_seq: int | None) -> uuid.UUID | None:
        """The next id; None where there is no durable thread that it could be for."""
        if self._last is None:
            return None
        self._last += 1
        node = ctx.random().getrandbits(48)
        sequence = (clock_seq or 0) & 0x3FFF
        version, variant = 6 << 76, 2 << 62
        ticks = (self._last >> 12) << 80 | (self._last & 0xFFF) << 64
        return uuid.UUID(int=ticks | version | variant | sequence << 48 | node)


def inline(handlers: Iterable[BaseCallbackHandler]) -> None:
    """Has callbacks that are plain functions called where they are, and not in a thread."""
    for handler in handlers:
        if not handler.run_inline:
            handler.run_inline = True


def _handler() -> Context | None:
    return context_var.get() if run_key_var.get() is None else None


def _ticks(id: uuid.UUID) -> int:
    return (id.time_low << 28) | (id.time_mid << 12) | (id.time_hi_version & 0x0FFF)


_random_uuid6 = langgraph.pregel._checkpoint.uuid6  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]


def _checkpoint_id(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    ctx = _handler()
    made = None if ctx is None else ctx.attached(CheckpointIds).next(ctx, clock_seq)
    return made or _random_uuid6(node, clock_seq)


def _message_id() -> uuid.UUID:
    ctx = _handler()
    return uuid.uuid4() if ctx is None else ctx.uuid()


class _Uuids:
    """The module `uuid`, as `add_messages` sees it."""

    uuid4 = staticmethod(_message_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(uuid, name)


_kept_override = get_runtime_overrides().aio_to_thread


async def _where_it_stands(
    default: Callable[..., Awaitable[Any]], variables: Variables, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    if context_var.get() is not None:
        return variables.run(fn, *args, **kwargs)
    if _kept_override is not None:
        return await _kept_override(default, variables, fn, *args, **kwargs)
    return await default(variables, fn, *args, **kwargs)


langgraph.pregel._checkpoint.uuid6 = _checkpoint_id  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
langgraph.pregel._messages.uuid4 = _message_id  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
langgraph.graph.message.uuid = _Uuids()  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
set_runtime_overrides(aio_to_thread=_where_it_stands)
