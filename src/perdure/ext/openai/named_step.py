"""Steps of which people read a kind and a name, and no more: the verdict of a guardrail, what is done to a session."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.ext.codecs import PLAIN, Codec
from perdure.ext.durable_here import durable_here
from perdure.ext.steps import Entry, step

T = TypeVar("T")


async def named_step(kind: str, name: str, body: Callable[[], Awaitable[T]], codec: Codec[T] = PLAIN) -> T:
    """The result of the body, which is executed until that is recorded."""
    entry: Entry[T] = Entry(kind, lambda _: {"name": name}, "result", codec)
    return await step(durable_here(name), name, body, entry)
