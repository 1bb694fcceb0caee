"""Time limits on a real engine: who waits is suspended, wakes in time, and whoever is given up is cancelled."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import perdure

SOON = timedelta(milliseconds=30)
HOUR = timedelta(hours=1)

service = perdure.Service("Limits")
workflow = perdure.Workflow("Flow")
told: dict[str, asyncio.Event] = {}


@service.handler()
async def stuck(ctx: perdure.Context) -> str:
    try:
        return await ctx.awakeable(type_hint=str)[1]
    except perdure.TerminalError as error:
        told["cancelled"].set()
        raise error


@service.handler()
async def quick(ctx: perdure.Context, value: int) -> int:
    return value


@service.handler()
async def broken(ctx: perdure.Context) -> int:
    raise perdure.TerminalError("broken", status_code=418)


@service.handler()
async def gives_up(ctx: perdure.Context) -> str:
    try:
        return await ctx.service_call(stuck, None, timeout=SOON)
    except perdure.TimedOut as error:
        return error.message


@service.handler()
async def slow_run(ctx: perdure.Context) -> str:
    async def forever() -> None:
        await asyncio.Event().wait()

    await ctx.run_typed("forever", forever, perdure.RunOptions(timeout=SOON))
    return "done"


@service.handler()
async def signal_or_not(ctx: perdure.Context) -> str:
    return await ctx.signal("go", type_hint=str, timeout=SOON)


@service.handler()
async def all_in_time(ctx: perdure.Context) -> str:
    """The timer of the first must wake the whole, though the second goes on waiting."""
    try:
        await perdure.all_succeeded(ctx.awakeable(timeout=SOON)[1], ctx.sleep(HOUR))
    except perdure.TimedOut as error:
        return error.message
    return "done"


@service.handler()
async def any_in_time(ctx: perdure.Context) -> int:
    bad, late, good = ctx.service_call(broken, None), ctx.awakeable(type_hint=int, timeout=SOON)[1], ctx.sleep(2 * SOON)
    await perdure.first_succeeded(bad, late, good)
    settled = await perdure.all_settled(bad, late, ctx.service_call(quick, 7))
    match settled:
        case (perdure.Failed(first), perdure.Failed(perdure.TimedOut()), perdure.Succeeded(value)):
            return first.status_code + value
        case _:
            raise perdure.TerminalError(f"{settled}")


@workflow.main()
async def run(ctx: perdure.WorkflowContext) -> str:
    return await ctx.promise("approval", type_hint=str).value(timeout=SOON)


@pytest.fixture(params=[60_000, 1], ids=["running", "suspended"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[perdure.Engine]:
    """Handlers that wait are asked to suspend after a minute, or at once."""
    config = perdure.EngineConfig(handler_defaults=perdure.HandlerDefaults(inactivity_timeout_ms=request.param))
    async with perdure.Engine([service, workflow], data_dir=None, config=config) as engine:
        yield engine


async def test_a_call_is_given_up_and_its_callee_told(engine: perdure.Engine) -> None:
    told["cancelled"] = asyncio.Event()
    assert await engine.call(gives_up) == "Limits/stuck gave no result within 0.03 s"
    await asyncio.wait_for(told["cancelled"].wait(), 60)


async def test_runs_signals_and_promises_fail_with_408(engine: perdure.Engine) -> None:
    for handler, said in ((slow_run, "run 'forever' was not done"), (signal_or_not, "signal 'go' did not come")):
        with pytest.raises(perdure.TerminalError, match=said) as failed:
            await engine.call(handler)
        assert failed.value.status_code == 408
    with pytest.raises(perdure.TerminalError, match=r"promise 'approval' was not completed within 0\.03 s"):
        await engine.call(run, key="w")


async def test_limits_hold_within_combinators(engine: perdure.Engine) -> None:
    assert await engine.call(all_in_time) == "an awakeable was not completed within 0.03 s"
    assert await engine.call(any_in_time) == 418 + 7
