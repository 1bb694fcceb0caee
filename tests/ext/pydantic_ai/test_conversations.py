"""Conversations in the state of an object, and what a long one costs in the journal."""

from typing import Any

import msgspec
import pytest
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.usage import UsageLimits

import perdure
from perdure.ext.pydantic_ai import DurableAgent, DurableConversation
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import Asking, assistant

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Chat:
    """A chat whose answers say how many messages the model was sent."""

    def __init__(self, **settings: Any) -> None:
        agent = DurableAgent(assistant(**settings))
        self.service = perdure.VirtualObject("Chat")

        @self.service.handler()
        async def say(ctx: perdure.ObjectContext, text: str) -> str:
            conversation = DurableConversation(ctx)
            result = await agent.run(text, conversation=await conversation.load())
            await conversation.save(result)
            return result.output

        @self.service.handler(kind="shared")
        async def usage(ctx: perdure.ObjectSharedContext) -> list[int]:
            loaded = await DurableConversation(ctx).load()
            return [loaded.usage.requests, len(loaded.messages)]

        self.say = say
        self.usage = usage


def count(request: ChatRequest) -> Reply:
    return Reply(f"{len(request.messages)} messages")


async def test_a_turn_writes_only_what_is_new(model: ScriptedModel) -> None:
    model.script = count
    chat = Chat()
    async with Harness(chat.service) as h:
        for turn in range(5):
            sent = await h.send(chat.say, f"message {turn}", key="ada")
            assert await h.attach(chat.say, sent) == f"{2 * turn + 1} messages"
            written = [name for name in h.journal(sent).names("set-state") if "/0" in name]
            assert written == [f"conversation/messages/{2 * turn + each:06}" for each in (0, 1)]
        # What was said before is known: the entry refers to the session, and holds the new message alone.
        [entry] = h.journal(sent).runs()
        assert entry.value["model_call"]["follows"] == {"session": "conversation", "messages": 8}
        assert [each["content"] for each in entry.value["model_call"]["messages"]] == ["message 4"]
        assert await h.call(chat.usage, key="ada") == [5, 10]
        kept = h.state(chat.service, "ada")
        assert len([name for name in kept if name.startswith("conversation/messages/")]) == 10


async def test_a_plain_service_has_no_state_for_a_conversation(model: ScriptedModel) -> None:
    plain = perdure.Service("Plain")

    @plain.handler()
    async def load(ctx: perdure.Context) -> None:
        await DurableConversation(ctx).load()  # type: ignore[arg-type]

    async with Harness(plain, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="make it a VirtualObject"):
            await h.call(load)


async def test_a_shared_handler_cannot_save_a_conversation(model: ScriptedModel) -> None:
    chat = perdure.VirtualObject("Chat")
    agent = DurableAgent(assistant())

    @chat.handler(kind="shared")
    async def say(ctx: perdure.ObjectSharedContext, text: str) -> None:
        await DurableConversation(ctx).save(await agent.run(text))

    async with Harness(chat, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="is a shared handler"):
            await h.call(say, "hello", key="ada")


async def test_a_conversation_is_the_same_after_a_crash_at_any_step(model: ScriptedModel) -> None:
    def script(request: ChatRequest) -> Reply:
        return count(request) if request.results else Reply.calling(("look", {}))

    def look() -> str:
        return "seen"

    model.script = script
    chat = Chat(tools=[look], system_prompt="Be kind.")

    async def before(h: Harness) -> None:
        await h.call(chat.say, "first", key="ada")

    async with Harness(chat.service) as h:
        await h.crash_at_every_step(chat.say, "second", key="ada", before=before, model=model)


async def test_the_journal_of_a_hundred_calls_is_linear(model: ScriptedModel) -> None:
    """In a peer, the history was stored with each call, which killed the run at call 53."""
    model.script = lambda request: (
        Reply("done") if len(request.messages) > limit else Reply.calling(("look", {"at": len(request.messages)}))
    )

    def look(at: int) -> str:
        return "x" * 400

    agent = DurableAgent(assistant(tools=[look], instructions="Look at everything. " * 50))

    async def do(question: str) -> str:
        return (await agent.run(question, usage_limits=UsageLimits(request_limit=None))).output

    asked = Asking(do)
    sizes: dict[int, int] = {}
    for calls in (25, 50, 100):
        limit = 2 * calls - 2
        async with Harness(asked.service) as h:
            sent = await h.send(asked.ask, "?")
            assert await h.attach(asked.ask, sent) == "done"
            entries = h.envelopes(sent)
            assert len(h.journal(sent).runs("Ann asks gpt-4o-mini")) == calls
            sizes[calls] = sum(len(entry.message.SerializeToString()) for entry in entries)
    first, second = (sizes[50] - sizes[25]) / 25, (sizes[100] - sizes[50]) / 50
    assert second < first * 1.05, f"a call costs {first:.0f} bytes at first and {second:.0f} later"
    assert second < 3000


async def test_what_a_model_said_reads_the_same_when_it_comes_back(model: ScriptedModel) -> None:
    """Each way in which a response is kept by the framework; else the next call would hold it again."""
    from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart, UserPromptPart

    from perdure.ext.pydantic_ai.messages import as_message, as_messages

    response = ModelResponse(
        [
            ThinkingPart("hm", signature="s"),
            TextPart("I look."),
            ToolCallPart("look", {"at": 1, "as": None}, tool_call_id="a"),
            ToolCallPart("look", '{"at":2}', tool_call_id="b"),
        ]
    )
    said = as_message(response)
    response.run_id = "later"
    assert as_messages([ModelRequest([UserPromptPart("?")]), response]) == [{"role": "user", "content": "?"}, said]
    assert msgspec.json.encode(said)
