"""Fanout: one invocation calls a hundred others at once and adds up what they say."""

from types import ModuleType
from typing import Any


def services(sdk: ModuleType) -> list[Any]:
    """A service that calls a hundred leaves and gathers them."""
    fanout = sdk.Service("Fanout")
    leaves = sdk.Service("Leaf")

    @leaves.handler()
    async def leaf(ctx: sdk.Context, number: int) -> int:
        return number

    @fanout.handler()
    async def hundred(ctx: sdk.Context, message: str) -> int:
        calls = [ctx.service_call(leaf, arg=number) for number in range(100)]
        await sdk.gather(*calls)
        return sum([await call for call in calls])

    return [fanout, leaves]
