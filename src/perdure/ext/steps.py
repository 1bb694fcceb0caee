"""One step of an agent: a run of the journal, which is given up when nobody waits for it any more."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import msgspec

from perdure.errors import Cancelled, TerminalError, UsageError
from perdure.ext.codecs import Codec
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.context import Context
from perdure.sdk.failures import describe_exception
from perdure.sdk.futures import DurableFuture
from perdure.sdk.serde import Serde

T = TypeVar("T")

_NOT_AWAITED: Final = (
    "{!r} was given up: the task that waited for it was cancelled. Where `asyncio.wait_for` or `asyncio.timeout` did "
    "that, give RunOptions(timeout=...) instead: they go by the clock, so that a replay takes another way"
)


@dataclass(frozen=True)  # generic: `Entry[int](...)` sets an attribute of its own
class Entry(Generic[T]):
    """How a step's result is written: `{kind: its description, part: the result as the framework has it}`."""

    kind: str
    describe: Callable[[T], Mapping[str, Any]]
    """Makes the description of a result, for people to read. Where it fails, the result is recorded without."""
    part: str
    codec: Codec[T]


async def step(
    ctx: Context, name: str, action: Callable[[], Awaitable[T]], entry: Entry[T], options: RunOptions[Any] | None = None
) -> T:
    """Executes an action until its result is recorded. What it gives is what the codec reads back, also the first time.

    Without options, the invocation's policy says how often it is tried; those of them that say how a result is written
    are for other runs.

    If the invocation is cancelled, or the task that waits here, the action is cancelled too, and that is recorded as
    its result: no later attempt begins it again. The record tells the two apart.
    """
    options = options or RunOptions()
    if not isinstance(options, RunOptions):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
        raise UsageError(f"{name!r}: its options are RunOptions(...), not {options!r}")
    if options.serde is not None or options.type_hint is not None:
        raise UsageError(f"{name!r}: its result is written as its library has it; RunOptions may say how it is tried")
    acting: asyncio.Future[T] | None = None
    given_up: TerminalError | None = None

    async def act() -> tuple[T, int]:
        nonlocal acting
        if given_up is not None:
            raise given_up
        loop = asyncio.get_running_loop()
        began = loop.time()
        acting = asyncio.ensure_future(action())
        try:
            return await acting, round((loop.time() - began) * 1000)
        except asyncio.CancelledError:
            if given_up is not None:
                raise given_up from None
            raise

    written: Serde[Any] = _EntrySerde(name, entry)
    result: DurableFuture[Any] = ctx.run_typed(name, act, replace(options, serde=written))
    try:
        return await result
    except (Cancelled, asyncio.CancelledError) as error:
        given_up = Cancelled() if isinstance(error, Cancelled) else TerminalError(_NOT_AWAITED.format(name))
        if acting is not None:
            acting.cancel()
        raise


class _EntrySerde(Serde[Any]):
    """Written is what the action gave, with the milliseconds that it took; read is what the framework is given."""

    def __init__(self, name: str, entry: Entry[Any]) -> None:
        self._name = name
        self._entry = entry

    def serialize(self, obj: Any) -> bytes:
        value, latency_ms = obj
        entry = self._entry
        try:
            told = msgspec.json.encode({**entry.describe(value), "latency_ms": latency_ms}, enc_hook=repr)
        except Exception as error:  # noqa: BLE001  the result may have cost money: it is recorded all the same
            told = msgspec.json.encode({"not_described": describe_exception(error), "latency_ms": latency_ms})
        try:
            given = msgspec.json.encode(entry.codec.to_json(value))
        except Exception as error:  # final: another try would do again what was done, and give the same
            raise TerminalError(
                f"{self._name!r} was done, and what it gave cannot be recorded as JSON: {error}. A tool returns None, "
                "texts, numbers, lists, dicts, dataclasses or pydantic models, and is annotated with its return type"
            ) from error
        return b'{"%b":%b,"%b":%b}' % (entry.kind.encode(), told, entry.part.encode(), given)

    def deserialize(self, buf: bytes) -> Any:
        return self._entry.codec.from_json(msgspec.json.decode(buf)[self._entry.part])
