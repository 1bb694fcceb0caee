"""Replay: wherever a journal is cut, the handler goes on as if nothing had happened; whatever order notifications had,
they have it again (R1)."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import TerminalError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import Envelope, MessageType
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.combinators import as_completed, gather, select, wait_completed
from perdure.sdk.context import Context, ObjectContext, WorkflowContext
from perdure.sdk.definition import HandlerDefinition
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow
from tests.unit.sdk.journal_engine import JournalEngine, answer_at_once, answer_nothing, cancel, completion, signal

HOUR = timedelta(hours=1)

service = Service("Test")
thing = VirtualObject("Thing")
flow = Workflow("Flow")


@service.handler()
async def everything(ctx: Context) -> list[Any]:
    async def step(value: int) -> int:
        return value

    seen: list[Any] = [await ctx.run_typed("one", step, RunOptions(), 1)]
    runs = [ctx.run_typed(f"step {n}", step, RunOptions(), n) for n in range(3)]
    seen += [await run for run in await gather(*runs)]
    call = ctx.generic_call("Other", "run", b"called")
    sent = ctx.generic_send("Other", "run", b"sent", send_delay=HOUR)
    await ctx.sleep(HOUR, name="nap")
    seen += [(await call).decode(), await call.invocation_id(), await sent.invocation_id()]
    seen += [str(ctx.uuid()), ctx.random().random()]
    async for future in as_completed(ctx.run_typed("a", step, RunOptions(), 7), ctx.sleep(HOUR)):
        await future
    done, pending = await wait_completed(ctx.sleep(HOUR), ctx.sleep(HOUR))
    seen.append([len(done) + len(pending)])
    seen += [await future for future in pending]

    async def refused() -> None:
        raise TerminalError("no", status_code=403)

    try:
        await ctx.run_typed("refused", refused)
    except TerminalError as error:
        seen.append(error.status_code)
    ctx.resolve_awakeable("sign_1x", "done")
    ctx.cancel_invocation("inv_other")
    seen.append(await ctx.attach_invocation("inv_other", type_hint=str))
    return seen


@thing.handler()
async def stateful(ctx: ObjectContext) -> list[Any]:
    seen: list[Any] = [await ctx.get("a"), await ctx.state_keys()]
    ctx.set("a", 1)
    await ctx.sleep(HOUR)
    seen += [await ctx.get("a"), await ctx.get("b")]
    ctx.clear("a")
    ctx.set("b", 2)
    seen += [await ctx.get("a"), await ctx.state_keys()]
    ctx.clear_all()
    return [*seen, await ctx.get("b"), await ctx.state_keys()]


@flow.main()
async def workflow(ctx: WorkflowContext) -> list[Any]:
    promise = ctx.promise("approval", type_hint=str)
    seen: list[Any] = [await promise.peek()]
    await promise.resolve("yes")
    ctx.set("status", "approved")
    return [*seen, await promise, await ctx.get("status")]


@service.handler()
async def in_tasks(ctx: Context) -> list[Any]:
    """Frameworks do this: tasks of their own, each of which uses the context."""

    async def step(value: str) -> str:
        return value

    async def branch(name: str, naps: int) -> list[str]:
        seen: list[str] = []
        for n in range(naps):
            await ctx.sleep(HOUR, name=f"{name} {n}")
            seen.append(await ctx.run_typed(f"{name} {n}", step, RunOptions(), f"{name}{n}"))
            await asyncio.sleep(0)
        return seen

    first = await asyncio.gather(branch("a", 1), branch("b", 3), branch("c", 2))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(branch(name, 2)) for name in "de"]
    return [first, [task.result() for task in tasks]]


@service.handler()
def in_a_thread(ctx: Context) -> list[Any]:
    seen: list[Any] = [ctx.run_typed("one", lambda: 1).result()]
    call = ctx.generic_call("Other", "run", b"called")
    ctx.sleep(HOUR).result()
    seen += [call.result().decode(), select(call=call, sleep=ctx.sleep(HOUR)).result()[0]]
    seen += [future.result() for future in as_completed(ctx.sleep(HOUR), ctx.sleep(HOUR))]
    return seen


HANDLERS: list[HandlerDefinition] = [
    *service.handlers.values(),
    thing.handlers["stateful"],
    flow.handlers["workflow"],
]


def engine_for(handler: HandlerDefinition, version: int, eager: bool = True) -> JournalEngine:
    return JournalEngine(handler, version=version, key="k", state={b"b": b"0"}, eager=eager)


@pytest.mark.parametrize("half_closed", [False, True], ids=["bidi", "request_response"])
@pytest.mark.parametrize("version", [5, 6, 7])
@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.name)
async def test_a_journal_cut_at_any_entry_is_continued_the_same_way(
    handler: HandlerDefinition, version: int, half_closed: bool
) -> None:
    calm = engine_for(handler, version)
    output = await calm.run()
    for cut in range(1, len(calm.journal) + 1):
        crashed = engine_for(handler, version)
        crashed.half_closed = half_closed
        crashed.journal = calm.journal[:cut]
        for entry in crashed.journal:
            crashed._apply(entry.message)  # pyright: ignore[reportPrivateUsage]
        assert await crashed.run() == output, f"cut at {cut}"
        if handler.name == "in_tasks":  # what runs side by side may be recorded in another order
            assert sorted(map(without_ids, crashed.commands())) == sorted(map(without_ids, calm.commands()))
        else:
            assert crashed.commands() == calm.commands(), f"cut at {cut}"


def without_ids(command: str) -> str:
    return command.split("result_completion_id")[0] + command.split("name:")[-1]


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: handler.name)
async def test_a_complete_journal_is_replayed_with_nothing_new_but_the_end(handler: HandlerDefinition) -> None:
    engine = engine_for(handler, 7, eager=False)
    await engine.run()
    journal = list(engine.journal)
    await engine.run()
    assert [one.type for one in engine.sent] == [MessageType.END]
    assert engine.journal == journal


# ---- the order of notifications ----


@service.handler()
async def races(ctx: Context) -> list[Any]:
    """What it does next depends on what came first, all the way."""
    timers = {n: ctx.sleep(HOUR, name=f"timer {n}") for n in range(4)}
    names = {timer: n for n, timer in timers.items()}
    seen: list[Any] = []
    async for timer in as_completed(*timers.values()):
        seen.append(names[timer])
        await ctx.run_typed(f"saw {names[timer]}", nothing)
    _, approval = ctx.awakeable(type_hint=str)
    try:
        match await select(approval=approval, timeout=ctx.sleep(HOUR), go=ctx.signal("go", type_hint=str)):
            case [name, value]:
                seen += [name, value]
            case other:
                raise AssertionError(other)
    except TerminalError as error:
        seen.append(error.message)
    return seen


async def nothing() -> None:
    return None


RACERS = [
    *(completion(MessageType.SLEEP_COMPLETION, n) for n in (1, 2, 3, 4)),
    signal(17, b'"yes"'),
    signal("go"),
    cancel(),
]


@given(st.permutations(RACERS), st.integers(0, 40), st.sampled_from([5, 6, 7]))
def test_whatever_order_notifications_have_replay_has_it_again(order: list[Envelope], cut: int, version: int) -> None:
    async def check() -> None:
        live = JournalEngine(service.handlers["races"], version=version, answer=timeout_at_once)
        live.begin()
        for notification in order:
            live.notify(notification)
        last = await live.ended()
        assert last.type == MessageType.END
        journal = list(live.journal)
        again = JournalEngine(service.handlers["races"], version=version, answer=timeout_at_once, half_closed=True)
        again.journal = list(journal)
        await again.run()
        assert again.journal == journal

        crashed = JournalEngine(service.handlers["races"], version=version, answer=answer_nothing, half_closed=True)
        crashed.journal = journal[: 1 + cut % len(journal)]
        crashed.begin()  # ends somewhere, but never in a mismatch
        assert (await crashed.ended()).type in (MessageType.END, MessageType.SUSPENSION)
        known = crashed.commands()
        assert known == live.commands()[: len(known)] or cut

    asyncio.run(check())


def timeout_at_once(engine: JournalEngine, type: int, command: Message) -> Iterable[Envelope]:
    if isinstance(command, pb.SleepCommandMessage) and not command.name:
        yield from answer_at_once(engine, type, command)


@service.handler()
async def tasks_race(ctx: Context) -> list[str]:
    seen: list[str] = []

    async def branch(name: str) -> None:
        await ctx.sleep(HOUR, name=f"{name} first")
        for _ in range(ord(name) - ord("a")):  # some take longer to their next command than others
            await asyncio.sleep(0)
        seen.append(name)
        await ctx.run_typed(f"{name} was number {len(seen)}", nothing)
        await ctx.sleep(HOUR, name=f"{name} then")
        seen.append(name.upper())

    await asyncio.gather(*(branch(name) for name in "abcd"))
    await ctx.run_typed("".join(seen), nothing)
    return seen


@service.handler()
async def beside_a_task(ctx: Context) -> list[str]:
    """The task is a while on its way to its first command, when the handler waits already."""
    seen: list[str] = []

    async def helper() -> None:
        for n in range(2):
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
            await ctx.run_typed(f"helper {n}", nothing)
            seen.append("helper")

    task = asyncio.create_task(helper())
    for n in range(2):
        await ctx.sleep(HOUR, name=f"handler {n}")
        seen.append("handler")
    await task
    await ctx.run_typed("".join(seen), nothing)
    return seen


@pytest.mark.parametrize("gap", [0, 1, 5, 60])
async def test_a_task_that_is_still_on_its_way_is_waited_for(gap: int) -> None:
    live = JournalEngine(service.handlers["beside_a_task"], answer=answer_nothing)
    live.begin()
    await turns(gap)
    live.notify(completion(MessageType.SLEEP_COMPLETION, 1))
    await turns(1000)
    timers = [one.message for one in live.journal if isinstance(one.message, pb.SleepCommandMessage)]
    assert len(timers) == 2
    live.notify(completion(MessageType.SLEEP_COMPLETION, timers[1].result_completion_id))
    assert (await live.ended()).type == MessageType.END
    journal = list(live.journal)
    again = JournalEngine(service.handlers["beside_a_task"], answer=answer_nothing, half_closed=True)
    again.journal = list(journal)
    await again.run()
    assert again.journal == journal


@given(st.permutations([1, 2, 3, 4]), st.lists(st.integers(0, 40), min_size=8, max_size=8), st.data())
def test_tasks_of_one_handler_see_notifications_in_the_recorded_order(
    order: list[int], gaps: list[int], data: st.DataObject
) -> None:
    """Live, notifications come with gaps; on replay all are there at once."""

    async def check() -> None:
        live = JournalEngine(service.handlers["tasks_race"], answer=answer_nothing)
        live.begin()
        for id in order:
            live.notify(completion(MessageType.SLEEP_COMPLETION, id))
            await turns(gaps.pop())
        await turns(1000)
        assert len(open_timers(live)) == 4
        for id in data.draw(st.permutations(open_timers(live))):
            live.notify(completion(MessageType.SLEEP_COMPLETION, id))
            await turns(gaps.pop())
        assert (await live.ended()).type == MessageType.END
        journal = list(live.journal)
        again = JournalEngine(service.handlers["tasks_race"], answer=answer_nothing, half_closed=True)
        again.journal = list(journal)
        await again.run()
        assert again.journal == journal

    gaps = list(gaps)
    asyncio.run(check())


def open_timers(engine: JournalEngine) -> list[int]:
    return [
        entry.message.result_completion_id
        for entry in engine.journal
        if isinstance(entry.message, pb.SleepCommandMessage) and entry.message.name.endswith("then")
    ]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# ---- tasks that take many turns to their next command ----


async def chain(ctx: Context, depth: int) -> None:
    """The end of the sleep takes a turn of the loop for each task to be heard of at the top."""
    if depth:
        await asyncio.create_task(chain(ctx, depth - 1))
    else:
        await ctx.sleep(HOUR, name="first")


async def relay(ctx: Context, depth: int) -> None:
    """The same by events, which tasks hand on that neither start nor end."""
    events = [asyncio.Event() for _ in range(depth + 1)]
    over = asyncio.Event()

    async def hand_on(n: int) -> None:
        await events[n].wait()
        events[n + 1].set()
        await over.wait()

    tasks = [asyncio.create_task(hand_on(n)) for n in range(depth)]
    await ctx.sleep(HOUR, name="first")
    events[0].set()
    await events[depth].wait()
    over.set()
    await asyncio.gather(*tasks)


async def nest(ctx: Context, depth: int) -> None:
    if depth:
        async with asyncio.TaskGroup() as group:
            group.create_task(nest(ctx, depth - 1))
    else:
        await asyncio.gather(ctx.sleep(HOUR, name="first"))


WAYS = {way.__name__: way for way in (chain, relay, nest)}


@service.handler()
async def a_long_way(ctx: Context, way: str) -> list[str]:
    seen: list[str] = []

    async def long() -> None:
        await WAYS[way](ctx, 50)
        seen.append("long")
        await ctx.run_typed("long", nothing)

    async def short() -> None:
        await ctx.sleep(HOUR, name="second")
        seen.append("short")
        await ctx.run_typed("short", nothing)

    await asyncio.gather(long(), short())
    return seen


@pytest.mark.parametrize("way", WAYS)
async def test_tasks_that_wake_each_other_are_waited_for_however_many_they_are(way: str) -> None:
    body = f'"{way}"'.encode()
    live = JournalEngine(service.handlers["a_long_way"], body, answer=answer_nothing)
    live.begin()
    await turns(500)
    timers = {
        entry.message.name: entry.message.result_completion_id
        for entry in live.journal
        if isinstance(entry.message, pb.SleepCommandMessage)
    }
    for name in ("first", "second"):
        live.notify(completion(MessageType.SLEEP_COMPLETION, timers[name]))
        await turns(500)
    assert (await live.ended()).type == MessageType.END
    again = JournalEngine(service.handlers["a_long_way"], body, answer=answer_nothing, half_closed=True)
    for cut in range(1, len(live.journal) + 1):
        again.journal = live.journal[:cut]
        again.begin()
        last = await again.ended()
        assert last.type in (MessageType.END, MessageType.SUSPENSION), last.message
    assert last.type == MessageType.END
    assert [one.type for one in again.sent] == [MessageType.END]


async def test_a_task_that_polls_for_ever_does_not_hold_up_the_others() -> None:
    polling = Service("Polling")

    @polling.handler()
    async def polls(ctx: Context) -> str:
        async def nap() -> str:
            await ctx.sleep(HOUR)
            return "slept"

        task = asyncio.create_task(nap())
        while not task.done():  # noqa: ASYNC110  the point of the test
            await asyncio.sleep(0)
        return task.result()

    assert (await JournalEngine(polling.handlers["polls"]).run()).value.content == b'"slept"'
