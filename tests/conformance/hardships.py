"""Services that are made to wait, to fail and to change: what an engine does then is up to their options."""

from datetime import timedelta
from typing import Any

from tests.conformance.services import add, echo, nap, put, sdk, total, tried

QUICKLY = timedelta(milliseconds=20)


def three_attempts(then: str) -> Any:
    return sdk.InvocationRetryPolicy(initial_interval=QUICKLY, max_attempts=3, on_max_attempts=then)


patient = sdk.Service("Patient", inactivity_timeout=timedelta(milliseconds=100))
doomed = sdk.Service("Doomed", invocation_retry_policy=three_attempts("kill"))
stubborn = sdk.Service("Stubborn", invocation_retry_policy=three_attempts("pause"))
fickle = sdk.Service("Fickle", invocation_retry_policy=sdk.InvocationRetryPolicy(initial_interval=QUICKLY))


# ---- attempts that stand still are ended, and made again when there is something to do ----


@patient.handler()
async def waits(ctx: Any, name: str) -> int:
    """How many attempts it took until its awakeable was completed."""
    tried[name] += 1
    awakeable_id, letter = ctx.awakeable(type_hint=str)
    ctx.object_send(put, key=name, arg=awakeable_id)
    await letter
    return tried[name]


@patient.handler()
async def waits_for_both(ctx: Any, name: str) -> list[str]:
    ids, letters = zip(*[ctx.awakeable(type_hint=str) for _ in range(2)], strict=True)
    ctx.object_send(put, key=name, arg=" ".join(ids))
    return [await letter for letter in await sdk.gather(*letters)]


@patient.handler()
async def naps(ctx: Any, ms_and_name: list[Any]) -> list[Any]:
    """Sleeps, calls and attaches, each for longer than an attempt may stand still; says in which attempt each ended."""
    ms, name = ms_and_name
    tried[name] += 1
    await ctx.sleep(timedelta(milliseconds=ms))
    slept_in = await ctx.run_typed("slept in", lambda: tried[name])
    called = await ctx.service_call(nap, arg=ms)
    called_in = await ctx.run_typed("called in", lambda: tried[name])
    handle = ctx.service_send(nap, arg=ms)
    attached = await ctx.attach_invocation(await handle.invocation_id(), type_hint=str)
    return [called, attached, slept_in, called_in, tried[name]]


# ---- attempts that fail are numbered ----


@doomed.handler()
async def fails_each_time(ctx: Any, name: str) -> None:
    tried[name] += 1
    raise ValueError("there is no hope")


@doomed.handler()
async def attempts(ctx: Any, name: str) -> int:
    return tried[name]


@doomed.handler()
async def fails_with_metadata(ctx: Any) -> None:
    """Version 5 of the protocol cannot say this: an SDK may fail the attempt, which is then made again."""
    raise sdk.TerminalError("no", status_code=422, metadata={"field": "amount"})


@doomed.handler()
async def metadata_of_failure(ctx: Any) -> dict[str, str] | None:
    try:
        await ctx.service_call(fails_with_metadata, arg=None)
    except sdk.TerminalError as error:
        return error.metadata
    return None


@doomed.handler()
async def adds_in_scope(ctx: Any, name: str) -> list[int | None]:
    """The same key inside and outside of a scope is two objects. An engine without scopes fails the attempt."""
    inside = await ctx.scope("blue").object_call(add, key=name, arg=5, limit_key="tenant")
    return [inside, await ctx.object_call(total, key=name, arg=None)]


@stubborn.handler()
async def succeeds_at_last(ctx: Any, name: str) -> int:
    tried[name] += 1
    if tried[name] < 4:
        raise ValueError("not yet")
    return tried[name]


# ---- code that changes between attempts ----


@fickle.handler()
async def changes(ctx: Any, how_and_name: list[str]) -> str:
    """Its second attempt does not do what the first one did."""
    how, name = how_and_name
    tried[name] += 1
    if tried[name] == 1:
        await ctx.service_call(echo, arg="this")
        raise ValueError("once more")
    if how == "another command":
        await ctx.sleep(timedelta(milliseconds=1))
    elif how == "another target":
        await ctx.service_call(nap, arg=1)
    elif how == "another argument":
        await ctx.service_call(echo, arg="that")
    return "nobody noticed"


services = [patient, doomed, stubborn, fickle]
