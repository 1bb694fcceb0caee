"""A virtual object may be called like a service: it is the one whose key is empty, and has state like any other."""

import perdure
from perdure.errors import UsageError
from perdure.testing import Harness

counter = perdure.VirtualObject("Counter")
once = perdure.Workflow("Once")
caller = perdure.Service("Caller")


@counter.handler()
async def add(ctx: perdure.ObjectContext, amount: int) -> str:
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return f"{ctx.key()!r} has {total}"


@once.main()
async def run(ctx: perdure.WorkflowContext, amount: int) -> int:
    return amount


@caller.handler()
async def twice(ctx: perdure.Context, amount: int) -> str:
    ctx.service_send(add, amount)
    await ctx.object_call(add, "another", amount)
    return await ctx.service_call(add, amount)


@caller.handler()
async def workflow(ctx: perdure.Context) -> str:
    try:
        await ctx.service_call(run, 1)
    except UsageError as error:
        return str(error)
    return "called"


async def test_service_call_of_a_virtual_object_has_the_empty_key() -> None:
    async with Harness([caller, counter]) as h:
        assert await h.call(twice, 3) == "'' has 6"


async def test_a_workflow_is_not_called_without_a_key() -> None:
    async with Harness([caller, once]) as h:
        assert "call it with workflow_call or workflow_send, and a key" in await h.call(workflow)


async def test_the_call_is_replayed_like_any_other() -> None:
    async with Harness([caller, counter]) as h:
        await h.crash_at_every_step(twice, 1)
