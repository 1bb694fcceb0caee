"""A list in the state of a virtual object, a state key an item: for the messages of a session.

Adding to it writes only what is new. Reading it journals its outline, which is small, and not its items: they never
change, and come with each attempt. So a session costs what is said in it, once.

`name` holds the outline, `name/000017` an item. What is taken off keeps its key until another invocation has its turn,
since this one may be replayed, and then reads it again.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from perdure.sdk.capabilities.state import WritesState
from perdure.sdk.context import ObjectContext, ObjectSharedContext


class Outline(msgspec.Struct, omit_defaults=True):
    """Which items there are. Numbers are given once, in order; a span holds its first and the one past its last."""

    spans: list[tuple[int, int]] = []
    next: int = 0
    dropped: list[tuple[int, int]] = []
    """Taken off, and their keys not cleared yet."""
    dropped_by: str = ""
    """The invocation that took them off."""

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
        self.dropped.append((end - 1, end))
        return end - 1


class StateLog:
    """One list of JSON values, changed by one task at a time. In a shared handler it can be read only."""

    def __init__(self, ctx: ObjectContext | ObjectSharedContext, name: str) -> None:
        self._ctx = ctx
        self._name = name

    async def items(self, last: int | None = None) -> list[Any]:
        """All values in order, or so many of the last."""
        numbers = (await self._outline()).numbers()
        chosen = numbers if last is None else numbers[max(0, len(numbers) - last) :]
        # A shared handler runs beside the one that writes: what it reads must be in its journal.
        read = self._ctx.recall if isinstance(self._ctx, WritesState) else self._ctx.get
        return [await each for each in [read(self._key(number)) for number in chosen]]

    async def append(self, values: Iterable[Any]) -> None:
        """Adds values at the end."""
        outline = await self._to_change()
        for value in values:
            self._writer.set(self._key(outline.add()), value)
        self._writer.set(self._name, outline)

    async def pop(self) -> Any:
        """Takes the last value off and gives it; None if there is none."""
        outline = await self._to_change()
        if not outline.spans:
            return None
        value = await self._ctx.recall(self._key(outline.drop_last()))
        outline.dropped_by = self._ctx.invocation_id
        self._writer.set(self._name, outline)
        return value

    async def clear(self) -> None:
        """Takes all values off."""
        outline = await self._to_change()
        outline.dropped += outline.spans
        outline.spans, outline.dropped_by = [], self._ctx.invocation_id
        self._writer.set(self._name, outline)

    @property
    def _writer(self) -> WritesState:
        assert isinstance(self._ctx, WritesState), "a shared handler cannot write"
        return self._ctx

    async def _outline(self) -> Outline:
        return await self._ctx.get(self._name, type_hint=Outline) or Outline()

    async def _to_change(self) -> Outline:
        """The outline, once what earlier invocations took off is cleared: they are over, and read nothing again."""
        outline = await self._outline()
        if outline.dropped_by != self._ctx.invocation_id:
            for first, end in outline.dropped:
                for number in range(first, end):
                    self._writer.clear(self._key(number))
            outline.dropped, outline.dropped_by = [], ""
        return outline

    def _key(self, number: int) -> str:
        return f"{self._name}/{number:06d}"
