"""Graphs that are written by hand: their nodes, what runs at the same time, and how they end."""

import asyncio
import operator
import threading
from contextvars import copy_context
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langchain_openai import ChatOpenAI
from langgraph.errors import GraphRecursionError
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, Send
from langsmith._internal._aiter import aio_to_thread

import perdure
from perdure.errors import TerminalError
from perdure.ext.langchain import DurableMiddleware, as_step, current_context, durable_model, durable_node
from perdure.testing import Harness
from perdure.testing.model import Fate, Reply, ScriptedModel
from perdure.testing.virtual_time import StandsStill


class State(TypedDict, total=False):
    """What nodes write down."""

    count: int
    said: Annotated[list[str], operator.add]


def running(graph: Any) -> tuple[perdure.Service, Any]:
    """A service whose handler runs the graph."""
    service = perdure.Service("Graph")

    @service.handler()
    async def run(ctx: perdure.Context, count: int) -> list[str]:
        return (await graph.ainvoke({"count": count}))["said"]

    return service, run


def names(h: Harness, handler: Any) -> list[str]:
    """What the runs of the first invocation of a handler are called."""
    seen = h.invocations(handler)[0]
    return [each.message.name for each in h.envelopes(seen.id) if type(each.message).__name__ == "RunCommandMessage"]


async def test_nodes_and_edges_that_are_plain_functions_are_steps() -> None:
    """Each runs once, and threads change nothing of the order."""

    def first(state: State) -> State:
        return {"said": ["first"]}

    def second(state: State) -> State:
        return {"said": ["second"]}

    def last(state: State) -> State:
        return {"said": ["last"]}

    def enough(state: State) -> str:
        return END if len(state["said"]) > 2 else "last"

    builder = StateGraph(State)
    for node in (first, second, last):
        builder.add_node(node)
    builder.add_edge(START, "first")
    builder.add_edge(START, "second")
    builder.add_edge(["first", "second"], "last")
    builder.add_conditional_edges("last", enough, ["last", END])
    service, run = running(builder.compile())
    async with Harness(service) as h:
        assert await h.call(run, 0) == ["first", "second", "last"]
        assert names(h, run) == ["node first", "node second", "node last", "node enough"]
        await h.crash_at_every_step(run, 0)


async def test_a_graph_outside_of_a_handler_is_as_ever() -> None:
    def node(state: State) -> State:
        return {"said": ["here"]}

    builder = StateGraph(State)
    builder.add_node(node)
    builder.add_edge(START, "node")
    assert (await builder.compile().ainvoke({}))["said"] == ["here"]


async def test_branches_run_at_the_same_time_and_survive_crashes(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply(request.question.upper())
    asked = durable_model(chat)

    async def work(state: State) -> State:
        ctx = current_context()
        await ctx.sleep(timedelta(seconds=10 - state["count"]))
        said = await asked.ainvoke(f"part {state['count']}")
        return {"said": [said.text]}

    def parts(state: State) -> list[Send]:
        return [Send("work", {"count": each}) for each in range(state["count"])]

    async def merge(state: State) -> State:
        return {"said": ["merged"]}

    builder = StateGraph(State)
    builder.add_node(work)
    builder.add_node(merge)
    builder.add_conditional_edges(START, parts, ["work"])
    builder.add_edge("work", "merge")
    service, run = running(builder.compile())
    async with Harness(service) as h:
        began = h.now
        assert await h.call(run, 3) == ["PART 0", "PART 1", "PART 2", "merged"]
        assert h.now - began < timedelta(seconds=11)
        await h.crash_at_every_step(run, 3, model=model)


async def test_a_durable_node_is_a_step_with_options_or_held_to_its_context() -> None:
    tries: list[int] = []

    def stumbling(state: State) -> State:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("down")
        return {"said": ["done"]}

    @as_step
    async def fetching(state: State) -> State:
        await asyncio.sleep(0.001)
        return {"said": ["fetched"]}

    async def calling(state: State) -> State:
        return {"said": [await current_context().run_typed("call", lambda: "called")]}

    builder = StateGraph(State)
    options = perdure.RunOptions[Any](max_attempts=3, initial_retry_interval=timedelta(seconds=1))
    builder.add_node("stumbling", durable_node(stumbling, run_options=options))
    builder.add_node("fetching", durable_node(fetching))
    builder.add_node("calling", durable_node(calling, name="calls"))
    builder.add_edge(START, "stumbling")
    builder.add_edge("stumbling", "fetching")
    builder.add_edge("fetching", "calling")
    service, run = running(builder.compile())
    async with Harness(service) as h:
        assert await h.call(run, 0) == ["done", "fetched", "called"]
        assert names(h, run) == ["node stumbling", "node fetching", "call"]


async def test_a_durable_node_that_awaits_anything_else_is_reported() -> None:
    async def naps(state: State) -> State:
        await asyncio.sleep(0.001)
        return {"said": ["rested"]}

    builder = StateGraph(State)
    builder.add_node("naps", durable_node(naps))
    builder.add_edge(START, "naps")
    service, run = running(builder.compile())
    async with Harness(service, disable_retries=True) as h:
        with pytest.raises(
            StandsStill, match=r"node 'naps' awaits something other than its context \(.*test_graphs.py:"
        ):
            await h.call(run, 0)


async def test_a_graph_that_takes_too_many_steps_ends_for_good() -> None:
    async def again(state: State) -> State:
        return {"said": ["again"]}

    builder = StateGraph(State)
    builder.add_node(again)
    builder.add_edge(START, "again")
    builder.add_edge("again", "again")
    graph = builder.compile()
    service, run = running(graph.with_config({"recursion_limit": 4}))

    @service.handler()
    async def catch(ctx: perdure.Context) -> str:
        try:
            await graph.ainvoke({}, {"recursion_limit": 4})
        except GraphRecursionError:
            return "caught"
        return "not raised"

    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="Recursion limit of 4 reached"):
            await h.call(run, 0)
        assert await h.call(catch) == "caught"


async def test_a_graph_inside_of_a_run_is_tried_as_often_as_the_run() -> None:
    """Nothing of it is recorded, so that another try may end otherwise; and what blocks in it goes into a thread."""
    tries: list[bool] = []

    async def again(state: State) -> State:
        return {"said": ["again"]}

    builder = StateGraph(State)
    builder.add_node(again)
    builder.add_edge(START, "again")
    builder.add_conditional_edges("again", lambda state: "again" if len(tries) < 2 else END, ["again", END])
    graph = builder.compile()
    service = perdure.Service("Graph")

    async def inner() -> str:
        tries.append(True)
        await graph.ainvoke({}, {"recursion_limit": 4})
        here = await aio_to_thread(copy_context(), threading.current_thread)
        return "in the loop" if here is threading.main_thread() else "in a thread"

    @service.handler()
    async def run(ctx: perdure.Context) -> str:
        options = perdure.RunOptions[str](max_attempts=3, initial_retry_interval=timedelta(seconds=1))
        return await ctx.run_typed("graph", inner, options)

    async with Harness(service) as h:
        assert await h.call(run) == "in a thread"
        assert len(tries) == 2


async def test_an_agent_over_its_limit_ends_for_good(chat: ChatOpenAI, model: ScriptedModel) -> None:
    def look(x: int) -> str:
        """Looks."""
        return "more"

    model.script = lambda request: Reply.calling(("look", {"x": 1}))
    limit = ModelCallLimitMiddleware(run_limit=2, exit_behavior="error")
    agent = create_agent(chat, [look], middleware=[limit, DurableMiddleware()])
    service = perdure.Service("Agent")

    @service.handler()
    async def ask(ctx: perdure.Context) -> str:
        return str(await agent.ainvoke({"messages": [("user", "go")]}))

    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="ModelCallLimitExceededError"):
            await h.call(ask)


class Gone(Exception):
    """What a node says in the place of why it failed."""


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("made", [durable_node, lambda node: node], ids=["durable_node", "plain"])
async def test_a_nodes_retries_and_error_handlers_make_nothing_of_a_cancel(made: Any, wrapped: bool) -> None:
    begun = asyncio.Event()
    tries: list[int] = []

    async def waits(state: State) -> State:
        tries.append(1)
        begun.set()
        try:
            await current_context().sleep(timedelta(days=1000 if len(tries) == 1 else 0))
        except TerminalError as error:
            if wrapped:
                raise Gone from error
            raise
        return {"said": ["rested"]}

    async def excuse(state: State) -> State:
        return {"said": ["never mind"]}

    builder = StateGraph(State)
    retries = RetryPolicy(retry_on=Exception, initial_interval=0.001)
    builder.add_node("waits", made(waits), retry_policy=retries, error_handler=excuse)
    builder.add_edge(START, "waits")
    service, run = running(builder.compile())

    @service.handler()
    async def stop(ctx: perdure.Context, invocation_id: str) -> None:
        ctx.cancel_invocation(invocation_id)

    async with Harness(service) as h:
        sent = await h.send(run, 0)
        await begun.wait()
        await h.call(stop, sent.invocation_id)
        with pytest.raises(TerminalError, match="cancelled"):
            await h.attach(run, sent)
    assert len(tries) == 1


async def fails(state: State) -> State:
    await current_context().sleep(timedelta(seconds=1))
    raise TerminalError("no way", 422)


def undoing(*nodes: Any) -> tuple[perdure.Service, Any]:
    """A service that runs these nodes at the same time, and tidies up when one fails for good."""
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node)
        builder.add_edge(START, node.__name__)
    graph = builder.compile()
    service = perdure.Service("Saga")

    @service.handler()
    async def run(ctx: perdure.Context) -> str:
        try:
            await graph.ainvoke({})
        except TerminalError as error:
            why = error.message
            return await ctx.run_typed("undo", lambda: f"undone: {why}")
        return "not raised"

    return service, run


async def test_a_branch_that_fails_for_good_gives_up_the_others() -> None:
    async def sleeps(state: State) -> State:
        await current_context().sleep(timedelta(days=1000))
        return {"said": ["rested"]}

    service, run = undoing(sleeps, fails)
    async with Harness(service) as h:
        began = h.now
        assert await h.call(run) == "undone: no way"
        assert h.now - began < timedelta(seconds=2)
        await h.crash_at_every_step(run)


async def test_a_model_call_of_a_branch_that_is_given_up_is_dropped(
    chat: ChatOpenAI, model: ScriptedModel, wait_until: Any
) -> None:
    async def never(request: Any) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    model.script = never
    asked = durable_model(chat)

    async def asks(state: State) -> State:
        return {"said": [(await asked.ainvoke("anybody there?")).text]}

    service, run = undoing(asks, fails)
    async with Harness(service) as h:
        assert await h.call(run) == "undone: no way"
        await wait_until(lambda: model.log.calls[-1].fate is Fate.ABANDONED, "the request was dropped")
