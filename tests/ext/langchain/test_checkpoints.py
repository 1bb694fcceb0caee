"""Threads in the state of a virtual object: what a turn leaves to the next, and what it costs."""

import asyncio
import operator
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import RemoveMessage
from langchain_openai import ChatOpenAI
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import _messages_delta_reducer
from langgraph.types import Command, Send, interrupt

import perdure
from perdure.errors import NotInHandler, UsageError
from perdure.ext.langchain import DurableCheckpointer, DurableMiddleware, current_context, durable_model
from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel
from perdure.testing.virtual_time import StandsStill


def thread(ctx: perdure.ObjectSharedContext) -> Any:
    return {"configurable": {"thread_id": ctx.key()}}


def bytes_of(h: Harness, handler: Any) -> list[int]:
    """How large the journals of a handler's invocations are, in their order."""
    return [sum(each.message.ByteSize() for each in h.envelopes(seen.id)) for seen in h.invocations(handler)]


def state_bytes(h: Harness) -> int:
    return sum(len(str(value)) for value in h.all_state().values())


# ---- conversations ----


async def test_a_hundred_turns_cost_what_is_said_in_them(chat: ChatOpenAI, model: ScriptedModel) -> None:
    """Journal and state of the last turn are as large as those of the tenth, though the model is sent all of it."""
    talker = perdure.VirtualObject("Talker")
    agent = create_agent(chat, middleware=[DurableMiddleware()], checkpointer=DurableCheckpointer())
    model.script = lambda request: Reply("a" * 300)

    @talker.handler()
    async def say(ctx: perdure.ObjectContext, text: str) -> int:
        result = await agent.ainvoke({"messages": [{"role": "user", "content": text}]}, thread(ctx))
        return len(result["messages"])

    async with Harness(talker) as h:
        sizes: list[int] = []
        for turn in range(100):
            assert await h.call(say, "q" * 300, key="k") == 2 * turn + 2
            sizes.append(state_bytes(h))
        journals = bytes_of(h, say)
    assert len(model.log.calls[-1].messages) == 199
    assert journals[99] < journals[9] + 100
    assert sizes[99] - sizes[98] < sizes[10] - sizes[9] + 100


async def test_a_turn_survives_a_crash_at_every_step(chat: ChatOpenAI, model: ScriptedModel) -> None:
    talker = perdure.VirtualObject("Talker")

    def look(x: int) -> str:
        """Looks."""
        return f"seen {x}"

    agent = create_agent(chat, [look], middleware=[DurableMiddleware()], checkpointer=DurableCheckpointer())
    model.script = lambda request: Reply("done") if request.results else Reply.calling(("look", {"x": 3}))

    @talker.handler()
    async def say(ctx: perdure.ObjectContext, text: str) -> list[str]:
        result = await agent.ainvoke({"messages": [{"role": "user", "content": text}]}, thread(ctx))
        return [each.text for each in result["messages"]]

    async def before(h: Harness) -> None:
        await h.call(say, "first", key="k")

    async with Harness(talker) as h:
        await h.crash_at_every_step(say, "second", key="k", before=before, model=model)


class Log(TypedDict, total=False):
    """What nodes write down."""

    said: Annotated[list[str], operator.add]


def logging(checkpointer: DurableCheckpointer) -> Any:
    async def note(log: Log) -> Log:
        return {"said": [f"noted {len(log['said'])}"]}

    builder = StateGraph(Log)
    builder.add_node(note)
    builder.add_edge(START, "note")
    return builder.compile(checkpointer=checkpointer)


async def test_a_thread_is_read_in_shared_handlers_and_listed_copied_and_deleted() -> None:
    checkpointer = DurableCheckpointer()
    graph = logging(checkpointer)
    notes = perdure.VirtualObject("Notes")

    @notes.handler()
    async def add(ctx: perdure.ObjectContext, text: str) -> list[str]:
        return (await graph.ainvoke({"said": [text]}, thread(ctx)))["said"]

    @notes.handler(kind="shared")
    async def read(ctx: perdure.ObjectSharedContext) -> list[str]:
        return (await graph.aget_state(thread(ctx))).values.get("said", [])

    @notes.handler(kind="shared")
    async def steps(ctx: perdure.ObjectSharedContext) -> list[int]:
        return [each.metadata["step"] async for each in graph.aget_state_history(thread(ctx))]

    @notes.handler()
    async def copy(ctx: perdure.ObjectContext) -> list[str]:
        await checkpointer.acopy_thread(ctx.key(), "other")
        return (await graph.aget_state({"configurable": {"thread_id": "other"}})).values["said"]

    @notes.handler()
    async def forget(ctx: perdure.ObjectContext) -> list[str]:
        await checkpointer.adelete_thread(ctx.key())
        return (await graph.aget_state(thread(ctx))).values.get("said", [])

    @notes.handler(kind="shared")
    async def filtered(ctx: perdure.ObjectSharedContext) -> list[int]:
        found = [each async for each in checkpointer.alist(thread(ctx), filter={"source": "input"}, limit=1)]
        earlier = [each async for each in checkpointer.alist(thread(ctx), before=found[0].config)]
        return [len(found), len(earlier)]

    async with Harness(notes) as h:
        assert await h.call(read, key="k") == []
        await h.call(add, "a", key="k")
        await h.call(add, "b", key="k")
        assert await h.call(read, key="k") == ["a", "noted 1", "b", "noted 3"]
        assert await h.call(steps, key="k") == [4, 3, 2, 1, 0, -1]
        assert await h.call(filtered, key="k") == [1, 3]
        assert await h.call(copy, key="k") == ["a", "noted 1", "b", "noted 3"]
        assert await h.call(forget, key="k") == []
        assert await h.call(read, key="k") == []
        assert await h.call(add, "c", key="k") == ["c", "noted 1"]
        await h.crash_at_every_step(forget, key="k")


@pytest.mark.parametrize("earlier", [[], ["a"]], ids=["new", "with_a_past"])
async def test_a_chat_that_begins_with_forgetting_the_one_before_is_replayed(earlier: list[str]) -> None:
    """Nothing has read the thread yet; checkpoints have the same ids on every attempt all the same."""
    checkpointer = DurableCheckpointer()
    graph = logging(checkpointer)
    notes = perdure.VirtualObject("Notes")

    @notes.handler()
    async def add(ctx: perdure.ObjectContext, text: str) -> list[str]:
        return (await graph.ainvoke({"said": [text]}, thread(ctx)))["said"]

    @notes.handler()
    async def anew(ctx: perdure.ObjectContext, text: str) -> list[str]:
        await checkpointer.adelete_thread(ctx.key())
        await checkpointer.adelete_thread(ctx.key())
        said = (await graph.ainvoke({"said": [text]}, thread(ctx)))["said"]
        await checkpointer.acopy_thread(ctx.key(), 7)  # LangGraph takes ids of any kind, and makes texts of them
        copied = (await graph.aget_state({"configurable": {"thread_id": 7}})).values["said"]
        await ctx.sleep(timedelta(seconds=1))
        return [*said, *copied]

    async def before(h: Harness) -> None:
        for text in earlier:
            await h.call(add, text, key="k")

    async with Harness(notes, always_replay=True, disable_retries=True) as h:
        await before(h)
        assert await h.call(anew, "b", key="k") == ["b", "noted 1"] * 2
    async with Harness(notes) as h:
        await h.crash_at_every_step(anew, "b", key="k", before=before)


async def test_lists_that_change_elsewhere_than_at_their_end_are_kept() -> None:
    async def forget_first(state: MessagesState) -> Any:
        return {"messages": [RemoveMessage(id=state["messages"][0].id or "")]} if len(state["messages"]) > 3 else {}

    builder = StateGraph(MessagesState)
    builder.add_node(forget_first)
    builder.add_edge(START, "forget_first")
    graph = builder.compile(checkpointer=DurableCheckpointer())
    notes = perdure.VirtualObject("Window")

    @notes.handler()
    async def add(ctx: perdure.ObjectContext, text: str) -> list[str]:
        result = await graph.ainvoke({"messages": [("user", text)]}, thread(ctx))
        state = await graph.aget_state(thread(ctx))
        assert state.values == result
        return [each.text for each in result["messages"]]

    async with Harness(notes) as h:
        for text in "abcde":
            last = await h.call(add, text, key="k")
        assert last == ["c", "d", "e"]


async def test_delta_channels_are_rebuilt_from_what_was_written_to_them() -> None:
    def extend(value: list[str], writes: Sequence[list[str]]) -> list[str]:
        return [*value, *(each for write in writes for each in write)]

    class Deltas(TypedDict, total=False):
        said: Annotated[list[str], DeltaChannel(extend, snapshot_frequency=4)]

    async def note(state: Deltas) -> Any:
        return {"said": ["noted"]}

    builder = StateGraph(Deltas)
    builder.add_node(note)
    builder.add_edge(START, "note")
    graph = builder.compile(checkpointer=DurableCheckpointer())
    notes = perdure.VirtualObject("Deltas")

    @notes.handler()
    async def add(ctx: perdure.ObjectContext, text: str) -> list[str]:
        return (await graph.ainvoke({"said": [text]}, thread(ctx)))["said"]

    async with Harness(notes) as h:
        for turn in range(1, 8):
            assert await h.call(add, "said", key="k") == ["said", "noted"] * turn
        await h.crash_at_every_step(add, "said", key="k")


async def test_messages_in_delta_channels_have_ids_that_last() -> None:
    class Deltas(TypedDict, total=False):
        messages: Annotated[list[Any], DeltaChannel(_messages_delta_reducer)]

    async def answer(state: Deltas) -> Any:
        return {"messages": [("ai", "noted")]}

    builder = StateGraph(Deltas)
    builder.add_node(answer)
    builder.add_edge(START, "answer")
    graph = builder.compile(checkpointer=DurableCheckpointer())
    notes = perdure.VirtualObject("Deltas")

    @notes.handler()
    async def add(ctx: perdure.ObjectContext, text: str) -> int:
        result = await graph.ainvoke({"messages": [("user", text)]}, thread(ctx))
        await ctx.sleep(timedelta(seconds=1))
        ids = {each.id for each in result["messages"]}
        assert None not in ids
        return len(ids)

    async with Harness(notes) as h:
        assert await h.call(add, "said", key="k") == 2
        assert await h.call(add, "said", key="k") == 4
        await h.crash_at_every_step(add, "said", key="k")


async def test_checkpoints_at_the_end_only_are_enough() -> None:
    """`durability="exit"` is LangGraph's way to write one checkpoint a run."""
    graph = logging(DurableCheckpointer())
    notes = perdure.VirtualObject("Exit")

    @notes.handler()
    async def add(ctx: perdure.ObjectContext, text: str) -> list[str]:
        return (await graph.ainvoke({"said": [text]}, thread(ctx), durability="exit"))["said"]

    async with Harness(notes) as h:
        await h.call(add, "a", key="k")
        assert await h.call(add, "b", key="k") == ["a", "noted 1", "b", "noted 3"]
        assert len([each for each in h.state("Exit", "k") if "/" in each]) == 2


# ---- people ----


class Claim(TypedDict, total=False):
    """A claim on its way."""

    amount: int
    approved: bool
    steps: Annotated[list[str], operator.add]


def reviewing() -> Any:
    """Two nodes at the same time, of which one asks a person; the other's work is not to be done again."""

    async def check(claim: Claim) -> Claim:
        ctx = current_context()
        await ctx.sleep(timedelta(seconds=1))  # so that it is the last of the two in every pass
        return {"steps": [await ctx.run_typed("check", lambda: "checked")]}

    def review(claim: Claim) -> Claim:
        answer = interrupt({"amount": claim["amount"]})
        return {"approved": answer == "yes", "steps": ["reviewed"]}

    async def pay(claim: Claim) -> Claim:
        return {"steps": ["paid" if claim["approved"] else "refused"]}

    builder = StateGraph(Claim)
    builder.add_node(check)
    builder.add_node(review)
    builder.add_node(pay)
    builder.add_edge(START, "check")
    builder.add_edge(START, "review")
    builder.add_edge(["check", "review"], "pay")
    return builder.compile(checkpointer=DurableCheckpointer())


async def test_an_interrupt_waits_for_its_answer_across_invocations() -> None:
    graph = reviewing()
    claims = perdure.VirtualObject("Claims")

    @claims.handler()
    async def start(ctx: perdure.ObjectContext, amount: int) -> Any:
        result = await graph.ainvoke({"amount": amount}, thread(ctx))
        [asked] = result["__interrupt__"]
        return asked.value

    @claims.handler()
    async def answer(ctx: perdure.ObjectContext, answer: str) -> list[str]:
        return (await graph.ainvoke(Command(resume=answer), thread(ctx)))["steps"]

    async def before(h: Harness) -> None:
        assert await h.call(start, 5, key="k") == {"amount": 5}

    async with Harness(claims) as h:
        await h.crash_at_every_step(start, 5, key="k")
        await before(h)
        assert await h.call(answer, "yes", key="k") == ["checked", "reviewed", "paid"]
        [answered] = h.invocations(answer)
        assert "check" not in [getattr(each.message, "name", "") for each in h.envelopes(answered.id)]
        await h.crash_at_every_step(answer, "yes", key="k", before=before)


async def test_an_interrupt_is_answered_in_the_same_invocation_too() -> None:
    graph = reviewing()
    claims = perdure.VirtualObject("Claims")
    people = perdure.Service("People")

    @people.handler()
    async def ask(ctx: perdure.Context, id: str) -> None:
        ctx.resolve_awakeable(id, "yes")

    @claims.handler()
    async def decide(ctx: perdure.ObjectContext, amount: int) -> list[str]:
        result = await graph.ainvoke({"amount": amount}, thread(ctx))
        while "__interrupt__" in result:
            id, answer = ctx.awakeable(type_hint=str)
            ctx.service_send(ask, id)
            result = await graph.ainvoke(Command(resume=await answer), thread(ctx))
        return result["steps"]

    async with Harness(claims, people) as h:
        assert await h.call(decide, 5, key="k") == ["checked", "reviewed", "paid"]
        await h.crash_at_every_step(decide, 5, key="k")


async def test_a_tool_that_is_a_step_may_ask_a_person_twice(chat: ChatOpenAI, model: ScriptedModel) -> None:
    """What the answers do to the graph is done again where the step's recorded result is read instead."""

    def order(what: str) -> str:
        """Orders something."""
        size = interrupt(f"which size of {what}?")
        colour = interrupt(f"which colour of {what}?")
        return f"{size} {colour} {what}"

    model.script = lambda request: (
        Reply(str(request.results)) if request.results else Reply.calling(("order", {"what": "lamp"}))
    )
    agent = create_agent(chat, [order], middleware=[DurableMiddleware()], checkpointer=DurableCheckpointer())
    shop = perdure.VirtualObject("Shop")

    @shop.handler()
    async def buy(ctx: perdure.ObjectContext, text: str) -> list[str]:
        asked: list[str] = []
        result = await agent.ainvoke({"messages": [("user", text)]}, thread(ctx))
        for answer in ("small", "red"):
            [question] = result["__interrupt__"]
            asked.append(question.value)
            await ctx.run_typed("wait", lambda: None)
            result = await agent.ainvoke(Command(resume=answer), thread(ctx))
        return [*asked, result["messages"][-1].text]

    async with Harness(shop) as h:
        expected = ["which size of lamp?", "which colour of lamp?", "{'order': 'small red lamp'}"]
        assert await h.call(buy, "a lamp", key="k") == expected
        await h.crash_at_every_step(buy, "a lamp", key="k", model=model)


async def test_several_people_are_asked_at_the_same_time() -> None:
    class Poll(TypedDict, total=False):
        who: str
        votes: Annotated[list[str], operator.add]

    async def vote(poll: Poll) -> Poll:
        return {"votes": [f"{poll['who']}: {interrupt(poll['who'])}"]}

    def everybody(poll: Poll) -> list[Send]:
        return [Send("vote", {"who": each}) for each in ("ada", "bob", "cyd")]

    builder = StateGraph(Poll)
    builder.add_node(vote)
    builder.add_conditional_edges(START, everybody, ["vote"])
    graph = builder.compile(checkpointer=DurableCheckpointer())
    polls = perdure.VirtualObject("Polls")

    @polls.handler()
    async def start(ctx: perdure.ObjectContext) -> list[str]:
        result = await graph.ainvoke({}, thread(ctx))
        ctx.set("asked", {each.value: each.id for each in result["__interrupt__"]})  # compared on replay
        return [each.value for each in result["__interrupt__"]]

    @polls.handler()
    async def answer(ctx: perdure.ObjectContext, answers: dict[str, str]) -> list[str]:
        ids = await ctx.get("asked", type_hint=dict[str, str]) or {}
        result = await graph.ainvoke(Command(resume={ids[who]: vote for who, vote in answers.items()}), thread(ctx))
        return [f"open: {each.value}" for each in result.get("__interrupt__", ())] or result["votes"]

    async with Harness(polls) as h:
        assert await h.call(start, key="k") == ["ada", "bob", "cyd"]
        assert await h.call(answer, {"bob": "no"}, key="k") == ["open: ada", "open: cyd"]
        assert await h.call(answer, {"ada": "yes", "cyd": "no"}, key="k") == ["ada: yes", "bob: no", "cyd: no"]
        await h.crash_at_every_step(start, key="other")


async def test_a_person_approves_tools_by_langchains_own_middleware(chat: ChatOpenAI, model: ScriptedModel) -> None:
    def buy(what: str) -> str:
        """Buys something."""
        return f"bought {what}"

    asks = HumanInTheLoopMiddleware(interrupt_on={"buy": True})
    model.script = lambda request: (
        Reply(" ".join(request.results.values())) if request.results else Reply.calling(("buy", {"what": "lamp"}))
    )
    agent = create_agent(chat, [buy], middleware=[asks, DurableMiddleware()], checkpointer=DurableCheckpointer())
    shop = perdure.VirtualObject("Shop")

    @shop.handler()
    async def start(ctx: perdure.ObjectContext, text: str) -> Any:
        result = await agent.ainvoke({"messages": [("user", text)]}, thread(ctx))
        return [each["args"] for each in result["__interrupt__"][0].value["action_requests"]]

    @shop.handler()
    async def decide(ctx: perdure.ObjectContext, decision: dict[str, Any]) -> str:
        result = await agent.ainvoke(Command(resume={"decisions": [decision]}), thread(ctx))
        return result["messages"][-1].text

    async def before(h: Harness) -> None:
        assert await h.call(start, "a lamp", key="k") == [{"what": "lamp"}]

    async with Harness(shop) as h:
        await before(h)
        assert await h.call(decide, {"type": "approve"}, key="k") == "bought lamp"
        await h.call(start, "a lamp", key="other")
        assert "too dear" in await h.call(decide, {"type": "reject", "message": "too dear"}, key="other")
        await h.crash_at_every_step(decide, {"type": "approve"}, key="k", before=before, model=model)


async def test_the_functional_interface_is_durable_with_async_functions() -> None:
    @task
    async def work(part: int) -> str:
        ctx = current_context()
        await ctx.sleep(timedelta(seconds=10 - part))
        return await ctx.run_typed(f"part {part}", lambda: f"did {part}")

    @entrypoint(checkpointer=DurableCheckpointer())
    async def flow(parts: int) -> list[str]:
        done = await asyncio.gather(*(work(part) for part in range(parts)))
        return [*done, interrupt("ok?")]

    flows = perdure.VirtualObject("Flows")

    @flows.handler()
    async def start(ctx: perdure.ObjectContext, parts: int) -> str:
        return (await flow.ainvoke(parts, thread(ctx)))["__interrupt__"][0].value

    @flows.handler()
    async def answer(ctx: perdure.ObjectContext, answer: str) -> list[str]:
        return await flow.ainvoke(Command(resume=answer), thread(ctx))

    async def before(h: Harness) -> None:
        assert await h.call(start, 3, key="k") == "ok?"

    async with Harness(flows) as h:
        await h.crash_at_every_step(start, 3, key="k")
        await before(h)
        assert await h.call(answer, "yes", key="k") == ["did 0", "did 1", "did 2", "yes"]
        [answered] = h.invocations(answer)
        assert "part 0" not in [getattr(each.message, "name", "") for each in h.envelopes(answered.id)]
        await h.crash_at_every_step(answer, "yes", key="k", before=before)


async def test_plain_functions_of_the_functional_interface_are_steps() -> None:
    class World:
        @staticmethod
        def did(part: int) -> str:
            raise AssertionError("the harness's spy stands here")

    @task
    def work(part: int) -> str:
        return World.did(part)

    @entrypoint(checkpointer=DurableCheckpointer())
    async def flow(parts: int) -> list[str]:
        return list(await asyncio.gather(*(work(part) for part in range(parts))))

    @entrypoint(checkpointer=DurableCheckpointer())
    def plain(parts: int) -> list[str]:
        return [each.result() for each in [work(part) for part in range(parts)]]

    flows = perdure.VirtualObject("Flows")

    @flows.handler()
    async def run(ctx: perdure.ObjectContext, parts: int) -> list[str]:
        return await flow.ainvoke(parts, thread(ctx))

    @flows.handler()
    async def run_plain(ctx: perdure.ObjectContext, parts: int) -> list[str]:
        return await plain.ainvoke(parts, thread(ctx))

    def steps(h: Harness, handler: Any) -> list[str]:
        [seen] = h.invocations(handler)
        named = [getattr(each.message, "name", "") for each in h.envelopes(seen.id)]
        return [name for name in named if name.startswith("task ")]

    async with Harness(flows) as h:
        World.did = h.spy(lambda part: f"did {part}")  # type: ignore[method-assign]
        assert await h.call(run, 3, key="k") == ["did 0", "did 1", "did 2"]
        assert steps(h, run) == ["task work"] * 3
        assert await h.call(run_plain, 2, key="p") == ["did 0", "did 1"]
        assert steps(h, run_plain) == ["task plain"]
        await h.crash_at_every_step(run, 2, key="again")


async def test_an_agent_with_a_thread_and_a_model_that_nothing_records_is_refused(
    chat: ChatOpenAI, model: ScriptedModel
) -> None:
    forgot = create_agent(chat, checkpointer=DurableCheckpointer())
    by_model = create_agent(durable_model(chat), checkpointer=DurableCheckpointer())
    chats = perdure.VirtualObject("Chats")

    @chats.handler()
    async def undurable(ctx: perdure.ObjectContext, text: str) -> str:
        try:
            return (await forgot.ainvoke({"messages": [("user", text)]}, thread(ctx)))["messages"][-1].text
        except UsageError as error:
            return str(error)

    @chats.handler()
    async def durable(ctx: perdure.ObjectContext, text: str) -> str:
        return (await by_model.ainvoke({"messages": [("user", text)]}, thread(ctx)))["messages"][-1].text

    model.script = lambda request: Reply("hello")
    before = len(model.log.calls)
    async with Harness(chats) as h:
        assert "ChatOpenAI is asked in a graph with a DurableCheckpointer" in await h.call(undurable, "hi", key="a")
        assert len(model.log.calls) == before
        assert await h.call(durable, "hi", key="b") == "hello"


async def test_a_graph_within_a_graph_is_interrupted_and_goes_on() -> None:
    inner = StateGraph(Claim)

    async def look(claim: Claim) -> Claim:
        return {"steps": [await current_context().run_typed("look", lambda: "looked")]}

    async def ask(claim: Claim) -> Claim:
        return {"approved": interrupt("ok?") == "yes", "steps": ["asked"]}

    inner.add_node(look)
    inner.add_node(ask)
    inner.add_edge(START, "look")
    inner.add_edge("look", "ask")
    outer = StateGraph(Claim)
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "inner")
    outer.add_edge("inner", END)
    graph = outer.compile(checkpointer=DurableCheckpointer())
    claims = perdure.VirtualObject("Nested")

    @claims.handler()
    async def start(ctx: perdure.ObjectContext) -> list[str]:
        result = await graph.ainvoke({"steps": []}, thread(ctx))
        return [each.value for each in result["__interrupt__"]]

    @claims.handler()
    async def answer(ctx: perdure.ObjectContext, answer: str) -> list[str]:
        return (await graph.ainvoke(Command(resume=answer), thread(ctx)))["steps"]

    async def before(h: Harness) -> None:
        assert await h.call(start, key="k") == ["ok?"]

    async with Harness(claims) as h:
        await h.crash_at_every_step(start, key="k")
        await before(h)
        assert await h.call(answer, "yes", key="k") == ["looked", "asked"]
        [answered] = h.invocations(answer)
        assert "look" not in [getattr(each.message, "name", "") for each in h.envelopes(answered.id)]
        await h.crash_at_every_step(answer, "yes", key="k", before=before)


# ---- history ----


async def test_a_thread_goes_on_from_an_earlier_checkpoint() -> None:
    graph = logging(DurableCheckpointer())
    notes = perdure.VirtualObject("Past")

    @notes.handler()
    async def add(ctx: perdure.ObjectContext, text: str) -> list[str]:
        return (await graph.ainvoke({"said": [text]}, thread(ctx)))["said"]

    @notes.handler()
    async def fork(ctx: perdure.ObjectContext) -> list[str]:
        past = [each async for each in graph.aget_state_history(thread(ctx))]
        [first] = [each for each in past if each.values.get("said") == ["a", "noted 1"] and not each.next]
        changed = await graph.aupdate_state(first.config, {"said": ["changed"]}, as_node="note")
        assert changed["configurable"]["checkpoint_id"] > first.config["configurable"]["checkpoint_id"]
        return (await graph.ainvoke({"said": ["c"]}, thread(ctx)))["said"]

    async def before(h: Harness) -> None:
        await h.call(add, "a", key="k")
        await h.call(add, "b", key="k")

    async with Harness(notes) as h:
        await before(h)
        assert await h.call(fork, key="k") == ["a", "noted 1", "changed", "c", "noted 4"]
        await h.crash_at_every_step(fork, key="k", before=before)


# ---- what cannot be ----


async def test_a_service_has_no_state_to_keep_threads_in() -> None:
    graph = logging(DurableCheckpointer())
    service = perdure.Service("Stateless")

    @service.handler()
    async def add(ctx: perdure.Context, text: str) -> Any:
        return await graph.ainvoke({"said": [text]}, {"configurable": {"thread_id": "t"}})

    async with Harness(service, disable_retries=True) as h:
        with pytest.raises(StandsStill, match="make it a VirtualObject"):
            await h.call(add, "a")


async def test_a_graph_with_durable_threads_outside_of_a_handler_says_so() -> None:
    with pytest.raises(NotInHandler, match="outside of a handler"):
        await logging(DurableCheckpointer()).ainvoke({"said": []}, {"configurable": {"thread_id": "t"}})


async def test_blocking_methods_say_so() -> None:
    graph = logging(DurableCheckpointer())
    with pytest.raises(UsageError, match="no blocking methods"):
        graph.invoke({"said": []}, {"configurable": {"thread_id": "t"}})
    with pytest.raises(UsageError, match="no blocking methods"):
        graph.get_state({"configurable": {"thread_id": "t"}})


async def test_encryption_that_replay_cannot_repeat_is_refused() -> None:
    class Cipher:
        def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
            return "none", plaintext

        def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
            return ciphertext

    with pytest.raises(UsageError, match="replay cannot repeat"):
        DurableCheckpointer(serde=EncryptedSerializer(Cipher()))
