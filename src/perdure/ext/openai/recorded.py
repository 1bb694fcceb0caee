"""A step that is neither a model's call nor a tool's: a guardrail, a server's list of tools, a session elsewhere."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.ext.codecs import PLAIN, Codec
from perdure.ext.durable_here import durable_here
from perdure.ext.steps import Entry, step

T = TypeVar("T")


async def recorded(kind: str, name: str, body: Callable[[], Awaitable[T]], codec: Codec[T] = PLAIN) -> T:
    """What the body gives, executed until it is recorded; `kind` is what people read that it is."""
    entry = Entry[T](kind, lambda _: {"name": name}, "result", codec)
    return await step(durable_here(name), name, body, entry)
