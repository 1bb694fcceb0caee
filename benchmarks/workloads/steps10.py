"""Steps10: one invocation with ten steps, one after the other: what a step costs."""

from types import ModuleType
from typing import Any


def services(sdk: ModuleType) -> list[Any]:
    """A service that adds up the results of ten steps."""
    service = sdk.Service("Steps")

    @service.handler()
    async def ten(ctx: sdk.Context, message: str) -> int:
        total = 0
        for number in range(10):

            async def step(value: int = number) -> int:
                return value

            total += await ctx.run_typed(f"step {number}", step)
        return total

    return [service]
