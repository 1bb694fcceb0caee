"""Router: two invocations, two steps, one call: a router agent that asks one specialist."""

from types import ModuleType
from typing import Any


def services(sdk: ModuleType) -> list[Any]:
    """A router that chooses in a step, and a specialist that works in a step."""
    router = sdk.Service("Router")
    specialist = sdk.Service("Specialist")

    async def choose() -> str:
        return "billing"

    async def work() -> str:
        return "refunded"

    @specialist.handler()
    async def run(ctx: sdk.Context, message: str) -> str:
        return await ctx.run_typed("work", work)

    @router.handler()
    async def answer(ctx: sdk.Context, message: str) -> str:
        agent = await ctx.run_typed("choose agent", choose)
        outcome = await ctx.service_call(run, arg=message)
        return f"{agent}: {outcome}"

    return [router, specialist]
