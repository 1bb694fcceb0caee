"""State of ADK that sessions share, that of a user and that of an app: values by name.

They are in the state of the object, or for handlers without state in memory, until the invocation ends.

Each value has a state key, and their names have one: a change writes what it changes, and reading costs what there is,
however often it was changed. None is a value like any other, as it is for ADK.
"""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

from perdure.sdk.capabilities.state import WritesState
from perdure.sdk.context import ObjectSharedContext


class SharedState(Protocol):
    """JSON values by name."""

    async def values(self) -> dict[str, Any]:
        """All of them."""
        ...

    async def update(self, changes: Mapping[str, Any]) -> None:
        """Sets some."""
        ...


class KeptState:
    """Values that are there until the object's state is gone. In a shared handler they can be read only."""

    def __init__(self, ctx: ObjectSharedContext, name: str) -> None:
        self._ctx = ctx
        self._name = name

    async def values(self) -> dict[str, Any]:
        reads = [(name, self._ctx.get(self._key(name))) for name in await self._names()]
        return {name: await value for name, value in reads}

    async def update(self, changes: Mapping[str, Any]) -> None:
        ctx = self._ctx
        assert isinstance(ctx, WritesState)  # `Logs.check_writes` was asked
        names = await self._names()
        new = [name for name in changes if name not in names]
        for name, value in changes.items():
            ctx.set(self._key(name), value)
        if new:
            ctx.set(self._name, [*names, *new])

    async def _names(self) -> list[str]:
        return await self._ctx.get(self._name, type_hint=list[str]) or []

    def _key(self, name: str) -> str:
        return f"{self._name}/{quote(name, safe='')}"


class PassingState:
    """Values that are there until the invocation ends, and are made again on replay."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    async def values(self) -> dict[str, Any]:
        return self._values.copy()

    async def update(self, changes: Mapping[str, Any]) -> None:
        self._values |= changes
