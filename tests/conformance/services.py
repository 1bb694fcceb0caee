"""Services that use all of the SDK, once; the same text runs on ours and on the official one.

`CONFORMANCE_SDK` names the module. What a handler proves is in its name; the tests say what must come out.
"""

import asyncio
import os
import time
from collections import Counter, defaultdict
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

sdk: Any = import_module(os.environ.get("CONFORMANCE_SDK", "perdure"))

tried: Counter[str] = Counter()  # how often something was begun in this process, by what the caller named it

# What the official SDK does not name at its top.
RetryableError: Any = getattr(sdk, "RetryableError", None) or import_module("restate.exceptions").RetryableError
BytesSerde: Any = getattr(sdk, "BytesSerde", None) or import_module("restate.serde").BytesSerde

met = defaultdict[str, asyncio.Event](asyncio.Event)

plain = sdk.Service("Plain")
ledger = sdk.VirtualObject("Ledger")
lazy_ledger = sdk.VirtualObject("LazyLedger", enable_lazy_state=True)
mailbox = sdk.VirtualObject("Mailbox")
approval = sdk.Workflow("Approval")


# ---- values ----


@plain.handler()
async def echo(ctx: Any, text: str) -> str:
    return text


@plain.handler()
async def nothing(ctx: Any) -> None:
    return None


@plain.handler()
async def headers(ctx: Any) -> dict[str, str]:
    return {name: value for name, value in ctx.request().headers.items() if name.startswith("x-test-")}


@plain.handler()
async def fails(ctx: Any, code: int) -> None:
    raise sdk.TerminalError("no, and that is final", status_code=code)


@plain.handler(
    accept="application/octet-stream",
    content_type="application/octet-stream",
    input_serde=BytesSerde(),
    output_serde=BytesSerde(),
)
async def echo_bytes(ctx: Any, data: bytes) -> bytes:
    return data


@plain.handler()
async def own_id(ctx: Any) -> str:
    return ctx.request().id


# ---- runs and retries ----


@plain.handler()
async def steps(ctx: Any, count: int) -> list[int]:
    return [await ctx.run_typed(f"step {n}", lambda n=n: n * n) for n in range(count)]


async def all_have_begun(name: str, count: int) -> None:
    """Counts one that has begun, and waits for the others: for ever, if they do not run at the same time."""
    tried[name] += 1
    if tried[name] == count:
        met[name].set()
    await met[name].wait()


@plain.handler()
async def steps_together(ctx: Any, count: int) -> list[int]:
    async def squared(n: int) -> int:
        await all_have_begun(ctx.request().id, count)
        return n * n

    futures = [ctx.run_typed(f"step {n}", partial(squared, n)) for n in range(count)]
    return [await future for future in await sdk.gather(*futures)]


@plain.handler()
async def big_step(ctx: Any, size: int) -> int:
    return len(await ctx.run_typed("big", lambda: "x" * size))


@plain.handler()
async def step_fails_for_good(ctx: Any, text: str) -> str:
    def refuse() -> str:
        raise sdk.TerminalError(text, status_code=418)

    try:
        return await ctx.run_typed("refuse", refuse)
    except sdk.TerminalError as error:
        return f"{error.status_code} {error.message}"


@plain.handler()
async def step_fails_twice(ctx: Any, name: str) -> int:
    def flaky() -> int:
        tried[name] += 1
        if tried[name] < 3:
            raise ValueError("not yet")
        return tried[name]

    return await ctx.run_typed("flaky", flaky, sdk.RunOptions(initial_retry_interval=timedelta(milliseconds=50)))


@plain.handler()
async def step_gives_up(ctx: Any, name: str) -> str:
    def broken() -> None:
        tried[name] += 1
        raise ValueError("never")

    options = sdk.RunOptions(max_attempts=2, initial_retry_interval=timedelta(milliseconds=50))
    try:
        await ctx.run_typed("broken", broken, options)
    except sdk.TerminalError:
        return f"gave up after {tried[name]}"
    return "did not give up"


@plain.handler()
async def step_runs_out_of_time(ctx: Any, name: str) -> str:
    def broken() -> None:
        tried[name] += 1
        raise ValueError("never")

    interval, limit = timedelta(milliseconds=50), timedelta(milliseconds=300)
    try:
        await ctx.run_typed("broken", broken, sdk.RunOptions(max_duration=limit, initial_retry_interval=interval))
    except sdk.TerminalError:
        return "gave up"
    return "did not give up"


@plain.handler()
async def handler_fails_once(ctx: Any, name: str) -> int:
    done = await ctx.run_typed("count", lambda: tried.update([f"{name} step"]) or tried[f"{name} step"])
    tried[name] += 1
    if tried[name] < 2:
        raise ValueError("the first attempt fails")
    return done


@plain.handler()
async def fails_until_later(ctx: Any, name: str) -> int:
    """Names the time of its next attempt; gives the milliseconds that went by until then."""
    tried[name] += 1
    if tried[name] == 1:
        tried[f"{name} at"] = time.monotonic_ns()
        raise RetryableError("not now", retry_after=timedelta(milliseconds=400))
    return (time.monotonic_ns() - tried[f"{name} at"]) // 1_000_000


@plain.handler()
async def never_succeeds(ctx: Any, why: str) -> None:
    """Has done one step each time that it fails, so that it is tried again, and again."""
    await ctx.run_typed("the step before", lambda: 1)
    raise ValueError(why)


@plain.handler()
async def random_values(ctx: Any) -> list[Any]:
    """What must be the same on each attempt: the sleep makes a second one over HTTP/1.1."""
    before = [str(ctx.uuid()), ctx.random().random(), await ctx.time()]
    tried[before[0]] += 1
    await ctx.sleep(timedelta(milliseconds=10))
    return [*before, tried[before[0]]]


# ---- time, calls, combinators ----


@plain.handler()
async def nap(ctx: Any, ms: int) -> str:
    await ctx.sleep(timedelta(milliseconds=ms))
    return f"slept {ms}"


@plain.handler()
async def calls(ctx: Any, text: str) -> list[str]:
    typed = await ctx.service_call(echo, arg=text)
    generic = await ctx.generic_call("Plain", "echo", f'"{text}"'.encode(), headers={"x-test-by": "calls"})
    return [typed, generic.decode()]


@plain.handler()
async def headers_of_callee(ctx: Any) -> dict[str, str]:
    return await ctx.service_call(headers, arg=None, headers={"x-test-by": "a handler"})


@plain.handler()
async def calls_workflow(ctx: Any, name: str) -> list[str]:
    ctx.workflow_send(run, key=name, arg="claim")
    noted = await ctx.workflow_call(decide, key=name, arg="yes")
    late = await ctx.workflow_call(decide, key=name, arg="no")
    return [noted, late]


@plain.handler()
async def calls_what_fails(ctx: Any, code: int) -> str:
    try:
        await ctx.service_call(fails, arg=code)
    except sdk.TerminalError as error:
        return f"{error.status_code} {error.message}"
    return "did not fail"


@plain.handler()
async def gathers(ctx: Any, naps_ms: list[int]) -> list[str]:
    futures = [ctx.service_call(nap, arg=ms) for ms in naps_ms]
    return [await future for future in await sdk.gather(*futures)]


@plain.handler()
async def meets(ctx: Any, name_and_count: list[Any]) -> str:
    name, count = name_and_count
    await all_have_begun(name, count)
    return "met"


@plain.handler()
async def gathers_at_once(ctx: Any, count: int) -> list[str]:
    futures = [ctx.service_call(meets, arg=[ctx.request().id, count]) for _ in range(count)]
    return [await future for future in await sdk.gather(*futures)]


@plain.handler()
async def selects(ctx: Any) -> list[str]:
    slow = ctx.sleep(timedelta(minutes=10))
    winner, value = await sdk.select(slow=slow, quick=ctx.service_call(nap, arg=20))
    return [winner, value]


@plain.handler()
async def as_they_complete(ctx: Any, count: int) -> list[int]:
    """Completes one after the other, the last first, each when the one before has come."""
    ids, letters = zip(*(ctx.awakeable(type_hint=int) for _ in range(count)), strict=True)
    came: list[int] = []
    ctx.resolve_awakeable(ids[-1], count - 1)
    async for letter in sdk.as_completed(*letters):
        came.append(n := await letter)
        if n > 0:
            ctx.resolve_awakeable(ids[n - 1], n - 1)
    return came


@plain.handler()
async def waits_for_some(ctx: Any) -> list[int]:
    quick, slow = ctx.service_call(nap, arg=5), ctx.sleep(timedelta(minutes=10))
    done, pending = await sdk.wait_completed(quick, slow)
    return [len(done), len(pending)]


@plain.handler()
async def times_out(ctx: Any) -> str:
    _, answer = ctx.awakeable(type_hint=str)
    winner, _ = await sdk.select(answer=answer, timeout=ctx.sleep(timedelta(milliseconds=50)))
    return winner


@plain.handler()
async def nap_then(ctx: Any, ms_and_code: list[int]) -> str:
    """Fails after its nap, unless the code is 200."""
    ms, code = ms_and_code
    await ctx.sleep(timedelta(milliseconds=ms))
    if code != 200:
        raise sdk.TerminalError("no", status_code=code)
    return f"slept {ms}"


if hasattr(sdk, "all_settled"):  # the official SDK has no combinators that look at success

    @plain.handler()
    async def first_to_succeed(ctx: Any, naps: list[list[int]]) -> str:
        return await sdk.first_succeeded(*[ctx.service_call(nap_then, arg=nap) for nap in naps])

    @plain.handler()
    async def all_or_first_to_fail(ctx: Any, naps: list[list[int]]) -> list[str]:
        try:
            return list(await sdk.all_succeeded(*[ctx.service_call(nap_then, arg=nap) for nap in naps]))
        except sdk.TerminalError as error:
            return [f"{error.status_code}"]

    @plain.handler()
    async def all_outcomes(ctx: Any, naps: list[list[int]]) -> list[str]:
        outcomes = await sdk.all_settled(*[ctx.service_call(nap_then, arg=nap) for nap in naps])
        return [o.value if isinstance(o, sdk.Succeeded) else f"{o.error.status_code}" for o in outcomes]


# ---- sends ----


@plain.handler()
async def sends(ctx: Any, name: str) -> str:
    handle = ctx.object_send(add, key=name, arg=5, headers={"x-test-by": "sends"})
    return await handle.invocation_id()


@plain.handler()
async def sends_by_name(ctx: Any, name: str) -> str:
    handle = ctx.generic_send("Ledger", "add", b"6", key=name, send_delay=timedelta(milliseconds=10))
    return await handle.invocation_id()


@plain.handler()
async def sends_later(ctx: Any, name: str) -> str:
    handle = ctx.object_send(add, key=name, arg=7, send_delay=timedelta(milliseconds=300))
    return await handle.invocation_id()


@plain.handler()
async def calls_with_idempotency_key(ctx: Any, name: str) -> list[int]:
    first = await ctx.object_call(add, key=name, arg=1, idempotency_key="once")
    second = await ctx.object_call(add, key=name, arg=1, idempotency_key="once")
    return [first, second]


@plain.handler()
async def attaches(ctx: Any, ms: int) -> str:
    handle = ctx.service_send(nap, arg=ms)
    return await ctx.attach_invocation(await handle.invocation_id(), type_hint=str)


# ---- cancellation ----


@plain.handler()
async def cancels(ctx: Any) -> str:
    handle = ctx.service_send(nap, arg=600_000)
    invocation_id = await handle.invocation_id()
    ctx.cancel_invocation(invocation_id)
    try:
        return await ctx.attach_invocation(invocation_id, type_hint=str)
    except sdk.TerminalError as error:
        return f"{error.status_code}"


@plain.handler()
async def cancels_its_call(ctx: Any) -> str:
    call = ctx.service_call(nap, arg=600_000)
    await call.cancel_invocation()
    try:
        return await call
    except sdk.TerminalError as error:
        return f"{error.status_code}"


@plain.handler()
async def makes_good(ctx: Any, name: str) -> str:
    """Goes on after a cancel: steps, sleeps and calls are as before."""
    ctx.object_send(put, key=name, arg="started")
    try:
        await ctx.sleep(timedelta(minutes=10))
    except sdk.TerminalError as error:
        undone = await ctx.run_typed("undo", lambda: "undone")
        await ctx.sleep(timedelta(milliseconds=10))
        return await ctx.service_call(echo, arg=f"{undone} after {error.status_code}")
    return "was not cancelled"


@plain.handler()
async def tells_when_cancelled(ctx: Any, name: str) -> str:
    """Calls a handler that waits for ever; a cancel from outside reaches that one first."""
    ctx.object_send(put, key=name, arg="started")
    try:
        return await ctx.service_call(waits_until_cancelled, arg=name)
    except sdk.TerminalError as error:
        return f"caller {error.status_code}"


@plain.handler()
async def waits_until_cancelled(ctx: Any, name: str) -> str:
    try:
        await ctx.sleep(timedelta(minutes=10))
    except sdk.TerminalError as error:
        ctx.object_send(put, key=f"{name} child", arg=f"child {error.status_code}")
        raise
    return "was not cancelled"


# ---- awakeables and signals ----


@plain.handler()
async def waits_for_awakeable(ctx: Any, name: str) -> str:
    awakeable_id, future = ctx.awakeable(type_hint=str)
    ctx.object_send(put, key=name, arg=awakeable_id)
    try:
        return f"got {await future}"
    except sdk.TerminalError as error:
        return f"{error.status_code} {error.message}"


@plain.handler()
async def awakeable_by_handler(ctx: Any, how: str) -> str:
    awakeable_id, future = ctx.awakeable(type_hint=str)
    ctx.service_send(completes_awakeable, arg=[how, awakeable_id])
    try:
        return f"got {await future}"
    except sdk.TerminalError as error:
        return f"{error.status_code} {error.message}"


@plain.handler()
async def completes_awakeable(ctx: Any, how_and_id: list[str]) -> None:
    how, awakeable_id = how_and_id
    if how == "resolve":
        ctx.resolve_awakeable(awakeable_id, "a letter")
    else:
        ctx.reject_awakeable(awakeable_id, "lost in the post", failure_code=410)


@plain.handler()
async def signalled(ctx: Any, how: str) -> str:
    """Starts a handler that waits for a named signal, gives it, and says what came of it."""
    handle = ctx.service_send(waits_for_signal, arg="go")
    invocation_id = await handle.invocation_id()
    if how == "resolve":
        ctx.resolve_signal(invocation_id, "go", "on")
    else:
        ctx.reject_signal(invocation_id, "go", "stay", failure_code=403)
    return await ctx.attach_invocation(invocation_id, type_hint=str)


@plain.handler()
async def waits_for_signal(ctx: Any, name: str) -> str:
    try:
        return f"go {await ctx.signal(name, type_hint=str)}"
    except sdk.TerminalError as error:
        return f"{error.status_code} {error.message}"


# ---- state ----


@ledger.handler()
async def add(ctx: Any, amount: int) -> int:
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return total


@ledger.handler(kind="shared")
async def total(ctx: Any) -> int | None:
    return await ctx.get("total", type_hint=int)


@ledger.handler()
async def add_slowly(ctx: Any, amount: int) -> int:
    """Loses updates if two of one key ever run together."""
    before = await ctx.get("total", type_hint=int) or 0
    await ctx.sleep(timedelta(milliseconds=20))
    ctx.set("total", before + amount)
    return before + amount


@ledger.handler()
async def holds(ctx: Any, ms: int) -> str:
    """Has its key for so long."""
    await ctx.sleep(timedelta(milliseconds=ms))
    return f"held {ms}"


@ledger.handler()
async def holds_until_told(ctx: Any, name: str) -> str:
    """Has its key until its awakeable is completed."""
    awakeable_id, future = ctx.awakeable(type_hint=str)
    ctx.object_send(put, key=name, arg=awakeable_id)
    return f"held until {await future}"


@ledger.handler()
async def adds_and_fails_once(ctx: Any, name: str) -> int:
    """Its first attempt fails after it has set the state."""
    total = (await ctx.get("total", type_hint=int) or 0) + 1
    ctx.set("total", total)
    await ctx.run_typed("the set is recorded", lambda: None)
    tried[name] += 1
    if tried[name] == 1:
        raise ValueError("the first attempt fails")
    return total


@ledger.handler()
async def keeps(ctx: Any, text: str) -> None:
    ctx.set("text", text)


@ledger.handler(kind="shared")
async def size_of_kept(ctx: Any) -> int:
    return len(await ctx.get("text", type_hint=str))


async def _tour_of_state(ctx: Any) -> list[Any]:
    seen: list[Any] = [await ctx.get("a", type_hint=str), sorted(await ctx.state_keys())]
    ctx.set("a", "1")
    ctx.set("b", "")
    seen += [await ctx.get("a", type_hint=str), await ctx.get("b", type_hint=str), sorted(await ctx.state_keys())]
    ctx.clear("a")
    seen.append(await ctx.get("a", type_hint=str))  # no keys here: the official SDK still names "a", read eagerly
    ctx.clear_all()
    seen.append(sorted(await ctx.state_keys()))
    ctx.set("left", "over")
    return [ctx.key(), *seen]


@ledger.handler()
async def tour(ctx: Any) -> list[Any]:
    return await _tour_of_state(ctx)


@lazy_ledger.handler("tour")
async def lazy_tour(ctx: Any) -> list[Any]:
    return await _tour_of_state(ctx)


@lazy_ledger.handler("add")
async def lazy_add(ctx: Any, amount: int) -> int:
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return total


@mailbox.handler()
async def put(ctx: Any, letter: str) -> None:
    ctx.set("letter", letter)


@mailbox.handler(kind="shared")
async def peek(ctx: Any) -> str | None:
    return await ctx.get("letter", type_hint=str)


# ---- workflow ----


@approval.main()
async def run(ctx: Any, claim: str) -> str:
    ctx.set("claim", claim)
    try:
        return f"{claim}: {await ctx.promise('decision', type_hint=str)}"
    except sdk.TerminalError as error:
        return f"{claim}: {error.status_code} {error.message}"


@approval.handler()
async def decide(ctx: Any, decision: str) -> str:
    """Gives the decision; says what a second one meets."""
    promise = ctx.promise("decision", type_hint=str)
    try:
        if decision == "refuse":
            await promise.reject("refused", 402)
        else:
            await promise.resolve(decision)
    except sdk.TerminalError as error:
        return f"too late: {error.status_code}"
    return "noted"


@approval.handler()
async def state_of(ctx: Any) -> list[str | None]:
    return [await ctx.get("claim", type_hint=str), await ctx.promise("decision", type_hint=str).peek()]


services = [plain, ledger, lazy_ledger, mailbox, approval]
