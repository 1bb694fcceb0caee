"""A list in the state of a virtual object, a state key an item: for the messages of a session.

Adding to it writes only what is new. Reading it journals its outline, which is small, and not its items: they never
change, and come with each attempt. So a session costs what is said in it, once.

`name` holds the outline, `name/000017` an item. An item that is taken off is cleared at once, unless this invocation
has read it: when it is replayed, it reads it again. Then the next that writes any list of the object clears it.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from perdure.errors import UsageError
from perdure.sdk.capabilities.state import WritesState
from perdure.sdk.context import Context, ObjectSharedContext

_LEFT: Final = "taken off"
"""The state key that names the keys of items of the object's lists that were taken off and are still there."""


class Outline(msgspec.Struct, omit_defaults=True):
    """Which items there are. Numbers rise along the list; a span holds its first and the one past its last."""

    spans: list[tuple[int, int]] = []
    next: int = 0

    def numbers(self) -> list[int]:
        """Those of all items, in order."""
        return [number for first, end in self.spans for number in range(first, end)]

    def add(self) -> int:
        """A new item's number."""
        number, self.next = self.next, self.next + 1
        if self.spans and self.spans[-1][1] == number:
            self.spans[-1] = (self.spans[-1][0], self.next)
        else:
            self.spans.append((number, self.next))
        return number

    def drop_last(self) -> int:
        """Takes the last item off; there must be one."""
        first, end = self.spans.pop()
        if first < end - 1:
            self.spans.append((first, end - 1))
        return end - 1


class _Use:
    """What this attempt has done with one list. The same on every attempt, as its journal is."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.read: set[int] = set()
        self.first_own: int | None = None
        """The first number that was given in this invocation; its own items may change, as replay writes them again."""


class _Uses:
    """Those of an object's lists, by name."""

    def __init__(self) -> None:
        self.of: dict[str, _Use] = {}
        self.lock = asyncio.Lock()
        self.left: list[str] | None = None
        """Keys of items that this invocation took off and has read; None before the first change."""


class StateLog:
    """One list of JSON values. In a shared handler it can be read only."""

    def __init__(self, ctx: Context, name: str) -> None:
        """Raises `UsageError` where the handler has no state."""
        if not isinstance(ctx, ObjectSharedContext):
            raise UsageError(
                f"{name!r} is kept in the state of a virtual object or workflow, and {ctx.target} is a handler of a "
                "plain service, which has none: make it a VirtualObject, with a key for each session"
            )
        self.ctx: Final = ctx  # of which it is known by now that it has state
        self._name = name
        self._uses = ctx.attached(_Uses)
        self._use = self._uses.of.setdefault(name, _Use())

    async def items(self, last: int | None = None) -> list[Any]:
        """All values in order, or so many of the last."""
        async with self._use.lock:
            numbers = (await self._outline()).numbers()
            chosen = numbers if last is None else numbers[max(0, len(numbers) - last) :]
            return [await each for each in [self._read(number) for number in chosen]]

    async def append(self, values: Iterable[Any]) -> None:
        """Adds values at the end."""
        async with self._use.lock:
            outline = await self._to_change()
            for value in values:
                self._writer.set(self._key(outline.add()), value)
            self._writer.set(self._name, outline)

    async def pop(self) -> Any:
        """Takes the last value off and gives it; None if there is none."""
        async with self._use.lock:
            outline = await self._to_change()
            if not outline.spans:
                return None
            number = outline.drop_last()
            value = await self._read(number)
            self._drop(outline, [number])
            return value

    async def clear(self) -> None:
        """Takes all values off."""
        async with self._use.lock:
            outline = await self._to_change()
            numbers = outline.numbers()
            outline.spans = []
            self._drop(outline, reversed(numbers))

    @property
    def _writer(self) -> WritesState:
        if not isinstance(self.ctx, WritesState):
            raise UsageError(f"{self.ctx.target} is a shared handler: it may read {self._name!r}, and not change it")
        return self.ctx

    def _read(self, number: int) -> Any:
        # A shared handler runs beside the one that writes: what it reads must be in its journal.
        if not isinstance(self.ctx, WritesState):
            return self.ctx.get(self._key(number))
        self._use.read.add(number)
        return self.ctx.recall(self._key(number))

    def _drop(self, outline: Outline, numbers: Iterable[int]) -> None:
        """Clears items that are no longer in the outline, the last first.

        Those that this invocation has read stay, for its replay: they are noted, and cleared by the next that writes.
        """
        own = self._use.first_own
        kept: list[str] = []
        for number in numbers:
            if own is not None and number >= own and number == outline.next - 1:
                outline.next = number
            if number in self._use.read and (own is None or number < own):
                kept.append(self._key(number))
            else:
                self._writer.clear(self._key(number))
        if kept:
            self._uses.left = [*(self._uses.left or ()), *kept]
            self._writer.set(_LEFT, self._uses.left)
        self._writer.set(self._name, outline)

    async def _outline(self) -> Outline:
        return await self.ctx.get(self._name, type_hint=Outline) or Outline()

    async def _to_change(self) -> Outline:
        writer = self._writer
        async with self._uses.lock:
            if self._uses.left is None:  # the first change: what earlier invocations have left, nobody reads again
                left = await self.ctx.get(_LEFT, type_hint=list[str])
                self._uses.left = []
                if left is not None:
                    for key in left:
                        writer.clear(key)
                    writer.clear(_LEFT)
        outline = await self._outline()
        if self._use.first_own is None:
            self._use.first_own = outline.next
        return outline

    def _key(self, number: int) -> str:
        return f"{self._name}/{number:06d}"
