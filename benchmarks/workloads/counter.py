"""Counter: one virtual object, one key, every call wants it: what holding a key in order costs."""

from types import ModuleType
from typing import Any


def services(sdk: ModuleType) -> list[Any]:
    """An object that reads, adds and writes one number."""
    counter = sdk.VirtualObject("Counter")

    @counter.handler()
    async def add(ctx: sdk.ObjectContext, amount: int) -> int:
        total = (await ctx.get("total", type_hint=int) or 0) + amount
        ctx.set("total", total)
        return total

    return [counter]
