"""Tools: how each is recorded, and what of their outcomes is an answer, a failure, or neither."""

import asyncio
import json
from datetime import timedelta
from typing import Annotated, Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import ToolErrorMiddleware, ToolRetryMiddleware
from langchain.tools import BaseTool, InjectedState, InjectedToolCallId, tool
from langchain_core.messages import ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import StructuredTool, ToolException
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import ToolNode
from langgraph.types import Command

import perdure
from perdure.errors import TerminalError
from perdure.ext.langchain import (
    DurableMiddleware,
    Step,
    as_step,
    current_context,
    current_object_context,
    durable_model,
    remote_tool,
)
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, Script, ScriptedModel
from perdure.testing.virtual_time import StandsStill


def calling(name: str, **arguments: Any) -> Script:
    """A model that calls one tool once, and repeats what it said."""

    def script(request: ChatRequest) -> Reply:
        return Reply(" ".join(request.results.values())) if request.results else Reply.calling((name, arguments))

    return script


def asking(agent: Any) -> tuple[perdure.Service, Any]:
    """A service whose handler asks the agent."""
    service = perdure.Service("Agent")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        result = await agent.ainvoke({"messages": [{"role": "user", "content": question}]})
        return result["messages"][-1].text

    return service, ask


def names(h: Harness, handler: Any) -> list[str]:
    """What the runs of the only invocation of a handler are called."""
    [seen] = h.invocations(handler)
    return [each.message.name for each in h.envelopes(seen.id) if type(each.message).__name__ == "RunCommandMessage"]


async def test_a_plain_function_is_a_step_and_runs_once(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = calling("buy", what="lamp")

    class World:
        @staticmethod
        def buy(what: str) -> str:
            return f"bought {what}"

    def buy(what: str) -> str:
        """Buys something."""
        return World.buy(what)

    service, ask = asking(create_agent(chat, [buy], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        World.buy = h.spy(lambda what: f"bought {what}")  # type: ignore[method-assign]
        assert await h.call(ask, "go") == "bought lamp"
        assert names(h, ask)[1] == "tool buy"
        await h.crash_at_every_step(ask, "go", model=model)


async def test_an_async_function_that_is_marked_is_a_step(chat: ChatOpenAI, model: ScriptedModel) -> None:
    @tool
    @as_step
    async def fetch(what: str) -> dict[str, Any]:
        """Fetches something."""
        await asyncio.sleep(0.001)  # anything but the context
        return {"what": what, "parts": [1, 2]}

    model.script = calling("fetch", what="lamp")
    service, ask = asking(create_agent(chat, [fetch], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        assert json.loads(await h.call(ask, "go")) == {"what": "lamp", "parts": [1, 2]}
        await h.crash_at_every_step(ask, "go", model=model)


async def test_an_async_function_that_awaits_nothing_runs_once(chat: ChatOpenAI, model: ScriptedModel) -> None:
    """It blocks, as people write it: what it did must not be done again when the handler is replayed."""
    charged: list[int] = []

    async def charge(amount: int) -> str:
        """Charges a card."""
        charged.append(amount)
        if amount > 100:
            raise ToolException("too dear")
        return f"receipt {len(charged)}"

    amounts = {"small": 7, "dear": 101, "large": 99}
    tools = [StructuredTool.from_function(coroutine=charge, name=each, handle_tool_error=True) for each in amounts]
    model.script = lambda request: (
        Reply(" ".join(request.results.values()))
        if request.results
        else Reply.calling(*((name, {"amount": amount}) for name, amount in amounts.items()))
    )
    service, ask = asking(create_agent(chat, tools, middleware=[DurableMiddleware()]))
    async with Harness(service, always_replay=True) as h:
        assert await h.call(ask, "go") == "receipt 1 too dear receipt 3"
        assert charged == [7, 101, 99]
        assert names(h, ask)[1:4] == [f"tool {each}, call 1" for each in amounts]


async def test_an_async_function_may_return_anything(chat: ChatOpenAI, model: ScriptedModel) -> None:
    """What it gives reaches the model as LangChain tells it, recorded or not."""

    class Price:
        def __str__(self) -> str:
            return "7 EUR"

    async def price() -> Any:
        """A price."""
        return Price()

    async def parts() -> Any:
        """The parts."""
        return {"parts": ["shade"]}

    model.script = lambda request: (
        Reply(" ".join(request.results.values())) if request.results else Reply.calling(("price", {}), ("parts", {}))
    )
    service, ask = asking(create_agent(chat, [price, parts], middleware=[DurableMiddleware()]))
    async with Harness(service, always_replay=True) as h:
        assert await h.call(ask, "go") == '7 EUR {"parts": ["shade"]}'


class Search(BaseTool):
    """A tool as libraries have them: a class."""

    name: str = "search"
    description: str = "Searches."

    def _run(self, what: str) -> str:
        raise AssertionError("the agent is async")

    async def _arun(self, what: str) -> str:
        await asyncio.sleep(0.001)
        return f"found {what}"


async def test_a_tool_of_a_library_is_a_step(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = calling("search", what="lamp")
    service, ask = asking(create_agent(chat, [Search()], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "found lamp"
        await h.crash_at_every_step(ask, "go", model=model)


async def test_the_middleware_may_say_how_a_tool_is_recorded(chat: ChatOpenAI, model: ScriptedModel) -> None:
    async def fetch(what: str) -> str:
        """Fetches something; not ours to mark."""
        await asyncio.sleep(0.001)
        return what

    model.script = calling("fetch", what="lamp")
    recorded = {"fetch": Step(perdure.RunOptions(max_attempts=7))}
    service, ask = asking(create_agent(chat, [fetch], middleware=[DurableMiddleware(recorded=recorded)]))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "lamp"
        assert "tool fetch" in names(h, ask)


async def test_a_tool_with_the_context_that_awaits_anything_else_is_reported(
    chat: ChatOpenAI, model: ScriptedModel
) -> None:
    async def nap(what: str) -> str:
        """Awaits the clock."""
        await asyncio.sleep(0.001)
        return what

    model.script = calling("nap", what="lamp")
    service, ask = asking(create_agent(chat, [nap], middleware=[DurableMiddleware()]))
    async with Harness(service, disable_retries=True) as h:
        with pytest.raises(StandsStill, match=r"tool 'nap' awaits something other than its context \(.*test_tools.py:"):
            await h.call(ask, "go")


async def test_a_tool_with_the_context_may_use_chains_of_durable_models(chat: ChatOpenAI, model: ScriptedModel) -> None:
    """LangChain runs the small functions in a chain, such as parsers, in threads; in a handler it does not."""
    chain = ChatPromptTemplate.from_template("Translate: {text}") | durable_model(chat) | StrOutputParser() | str.upper

    async def translate(text: str) -> str:
        """Translates."""
        return await chain.ainvoke({"text": text})

    def script(request: ChatRequest) -> Reply:
        return (
            Reply("bonjour") if request.question.startswith("Translate") else calling("translate", text="hi")(request)
        )

    model.script = script
    service, ask = asking(create_agent(chat, [translate], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "BONJOUR"
        await h.crash_at_every_step(ask, "go", model=model)


async def test_a_handler_elsewhere_is_a_tool(chat: ChatOpenAI, model: ScriptedModel) -> None:
    shop = perdure.Service("Shop")

    @shop.handler()
    async def price(ctx: perdure.Context, what: str) -> int:
        """Says what something costs."""
        return 35

    model.script = calling("price", what="lamp")
    service, ask = asking(create_agent(chat, [remote_tool(price)], middleware=[DurableMiddleware()]))
    async with Harness(service, shop) as h:
        assert await h.call(ask, "go") == "35"
        assert [each.target for each in h.invocations(price)] == ["Shop/price"]
        await h.crash_at_every_step(ask, "go", model=model)


async def test_tools_reach_the_state_of_the_object(chat: ChatOpenAI, model: ScriptedModel) -> None:
    async def remember(what: str) -> str:
        """Remembers."""
        current_object_context().set("what", what)
        return "remembered"

    model.script = calling("remember", what="lamp")
    agent = create_agent(chat, [remember], middleware=[DurableMiddleware()])
    notes = perdure.VirtualObject("Notes")

    @notes.handler()
    async def ask(ctx: perdure.ObjectContext, question: str) -> str:
        return (await agent.ainvoke({"messages": [("user", question)]}))["messages"][-1].text

    async with Harness(notes) as h:
        assert await h.call(ask, "go", key="k") == "remembered"
        assert h.state("Notes", "k") == {"what": "lamp"}


# ---- outcomes ----


class Basket(AgentState[Any]):
    """State of an agent's own."""

    basket: list[str]


async def test_a_step_may_return_a_command(chat: ChatOpenAI, model: ScriptedModel) -> None:
    def put(
        what: str, basket: Annotated[list[str], InjectedState("basket")], id: Annotated[str, InjectedToolCallId]
    ) -> Any:
        """Puts something into the basket."""
        return Command(update={"basket": [*basket, what], "messages": [ToolMessage(f"put {what}", tool_call_id=id)]})

    model.script = calling("put", what="lamp")
    agent = create_agent(chat, [put], middleware=[DurableMiddleware()], state_schema=Basket)
    service = perdure.Service("Shop")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> list[str]:
        result = await agent.ainvoke({"messages": [("user", question)], "basket": ["chair"]})
        return [*result["basket"], result["messages"][-1].text]

    async with Harness(service) as h:
        assert await h.call(ask, "go") == ["chair", "lamp", "put lamp"]
        await h.crash_at_every_step(ask, "go", model=model)


@pytest.mark.parametrize("handled", [True, False])
async def test_a_tool_exception_is_an_answer_and_is_not_tried_again(
    handled: bool, chat: ChatOpenAI, model: ScriptedModel
) -> None:
    tries: list[str] = []

    def refuse(what: str) -> str:
        """Refuses."""
        tries.append(what)
        raise ToolException("not today")

    refusing = tool(refuse)
    refusing.handle_tool_error = handled
    answers = [] if handled else [ToolErrorMiddleware(lambda error, _: f"{type(error).__name__}: {error}")]
    model.script = calling("refuse", what="lamp")
    service, ask = asking(create_agent(chat, [refusing], middleware=[*answers, DurableMiddleware()]))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == ("not today" if handled else "ToolException: not today")
        assert tries == ["lamp"]
        await h.crash_at_every_step(ask, "go")


async def test_wrong_arguments_are_told_to_the_model(chat: ChatOpenAI, model: ScriptedModel) -> None:
    def add(x: int) -> int:
        """Adds one."""
        return x + 1

    model.script = calling("add", x="many")
    service, ask = asking(create_agent(chat, [add], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        assert "Please fix the error" in await h.call(ask, "go")


async def test_an_error_that_stays_ends_the_handler_after_three_tries(chat: ChatOpenAI, model: ScriptedModel) -> None:
    tries: list[str] = []

    def down(what: str) -> str:
        """Is down."""
        tries.append(what)
        raise ConnectionError("the shop is down")

    model.script = calling("down", what="lamp")
    service, ask = asking(create_agent(chat, [down], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="the shop is down"):
            await h.call(ask, "go")
    assert len(tries) == 3


@pytest.mark.parametrize("kind", ["step", "context"])
async def test_a_terminal_error_of_a_tool_ends_the_handler(kind: str, chat: ChatOpenAI, model: ScriptedModel) -> None:
    def closed(what: str) -> str:
        """Is closed."""
        raise TerminalError("closed for good", 410)

    async def closed_too(what: str) -> str:
        """Is closed."""
        raise TerminalError("closed for good", 410)

    model.script = calling("closed" if kind == "step" else "closed_too", what="lamp")
    service, ask = asking(create_agent(chat, [closed, closed_too], middleware=[DurableMiddleware()]))
    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="closed for good") as raised:
            await h.call(ask, "go")
    assert raised.value.status_code == 410


class OrderFailed(Exception):
    """What a tool says in the place of why it failed."""


@pytest.mark.parametrize("kind", ["step", "context", "exception_of_its_own", "refusal"])
async def test_a_cancel_is_no_error_that_anybody_answers(kind: str, chat: ChatOpenAI, model: ScriptedModel) -> None:
    """Neither error handlers nor retries, further out or further in, make anything else of it."""
    begun = asyncio.Event()

    async def in_step(what: str) -> str:
        """Takes for ever."""
        begun.set()
        await asyncio.Event().wait()
        return what

    async def in_context(what: str) -> str:
        """Takes for ever."""
        begun.set()
        await current_context().sleep(timedelta(days=1000))
        return what

    async def in_exception_of_its_own(what: str) -> str:
        """Wraps the cancel, as it would any error of a call."""
        try:
            return await in_context(what)
        except TerminalError as error:
            raise OrderFailed("the order did not come through") from error

    async def in_refusal(what: str) -> str:
        """Tells the model that it failed, or so it thinks."""
        try:
            return await in_context(what)
        except TerminalError:
            raise ToolException("the order did not come through")  # noqa: B904  its context says so, too

    def answer(error: Exception, _: Any) -> str:
        return f"answered: {error}"

    class Inner(ToolErrorMiddleware):
        """Each middleware has a name of its own."""

    others = [ToolErrorMiddleware(answer), ToolRetryMiddleware(max_retries=2, on_failure="continue")]
    middleware = [*others, DurableMiddleware(recorded={"in_step": Step()}), Inner(answer)]
    model.script = calling(f"in_{kind}", what="lamp")
    tools = [in_step, in_context, in_exception_of_its_own, in_refusal]
    service, ask = asking(create_agent(chat, tools, middleware=middleware))

    @service.handler()
    async def stop(ctx: perdure.Context, invocation_id: str) -> None:
        ctx.cancel_invocation(invocation_id)

    async with Harness(service) as h:
        sent = await h.send(ask, "go")
        await begun.wait()
        await h.call(stop, sent.invocation_id)
        with pytest.raises(TerminalError, match="cancelled") as raised:
            await h.attach(ask, sent)
    assert raised.value.status_code == 409


async def test_a_tool_node_in_a_graph_of_ones_own_takes_the_middlewares_hook(
    chat: ChatOpenAI, model: ScriptedModel
) -> None:
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import tools_condition

    def look(x: int) -> str:
        """Looks."""
        return f"seen {x}"

    async def wait(x: int) -> str:
        """Waits."""
        await current_context().sleep(timedelta(seconds=x))
        return f"waited {x}"

    asked = durable_model(chat).bind_tools([look, wait])

    async def think(state: MessagesState) -> Any:
        return {"messages": [await asked.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node(think)
    builder.add_node("tools", ToolNode([look, wait], awrap_tool_call=DurableMiddleware().awrap_tool_call))
    builder.add_edge(START, "think")
    builder.add_conditional_edges("think", tools_condition)
    builder.add_edge("tools", "think")
    graph = builder.compile()
    model.script = lambda request: (
        Reply(" ".join(request.results.values()))
        if request.results
        else Reply.calling(("wait", {"x": 2}), ("look", {"x": 1}))
    )
    service, ask = asking(graph)
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "waited 2 seen 1"
        await h.crash_at_every_step(ask, "go", model=model)
