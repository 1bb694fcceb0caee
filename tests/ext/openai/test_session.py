"""Sessions: in an object's state, an item a key; or elsewhere, with what is read and added recorded."""

from typing import Any

import pytest
from agents import OpenAIConversationsSession, RunConfig, Runner, SessionSettings, SQLiteSession, TResponseInputItem
from openai import AsyncOpenAI

import perdure
from perdure.errors import UsageError
from perdure.ext.openai import DurableRunner, DurableSession
from perdure.testing import Harness
from perdure.testing.model import Reply, ScriptedModel
from tests.ext.openai.asking import IN_ONE_LOOP, Asking, ann

pytestmark = IN_ONE_LOOP


class Chatting:
    """A virtual object whose handlers use a session."""

    def __init__(self, **settings: Any) -> None:
        self.service = perdure.VirtualObject("Chat")

        @self.service.handler()
        async def say(ctx: perdure.ObjectContext, text: str) -> str:
            session = DurableSession(**settings)
            return (await DurableRunner.run(ann(), text, session=session)).final_output

        @self.service.handler()
        async def take_back(ctx: perdure.ObjectContext) -> Any:
            return await DurableSession().pop_item()

        @self.service.handler()
        async def forget(ctx: perdure.ObjectContext) -> None:
            await DurableSession().clear_session()

        @self.service.handler(kind="shared")
        async def history(ctx: perdure.ObjectSharedContext) -> list[Any]:
            return [text_of(item) for item in await DurableSession().get_items()]

        self.say, self.take_back, self.forget, self.history = say, take_back, forget, history


def text_of(item: TResponseInputItem) -> str:
    content: Any = item["content"]  # type: ignore[typeddict-item]
    return content if isinstance(content, str) else content[0]["text"]


async def test_a_turn_writes_only_what_it_adds(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(f"after {len(request.messages) - 1}")
    chat = Chatting()
    async with Harness(chat.service) as h:
        for text in ("one", "two", "three"):
            sent = await h.send(chat.say, text, key="ada")
            last = await h.attach(chat.say, sent)
        assert last == "after 5"
        assert await h.call(chat.history, key="ada") == ["one", "after 1", "two", "after 3", "three", "after 5"]
        written = [entry.name for entry in h.journal(sent.invocation_id).of("set-state")]
        assert [name for name in written if name != "items"] == ["items/000004", "items/000005"]
        [call] = h.journal(sent.invocation_id).runs()
        assert call.value["model_call"]["messages"] == [{"role": "user", "content": "three"}]


async def test_items_can_be_taken_back_and_forgotten(model: ScriptedModel) -> None:
    chat = Chatting()
    async with Harness(chat.service, always_replay=True) as h:
        await h.call(chat.say, "hello", key="ada")
        assert text_of(await h.call(chat.take_back, key="ada")) == "You asked: hello"
        assert await h.call(chat.history, key="ada") == ["hello"]
        await h.call(chat.forget, key="ada")
        assert await h.call(chat.history, key="ada") == []


async def test_a_session_may_show_only_its_last_items(model: ScriptedModel) -> None:
    model.script = lambda request: Reply(str(len(request.messages) - 1))
    chat = Chatting(session_settings=SessionSettings(limit=2))
    async with Harness(chat.service) as h:
        assert [await h.call(chat.say, "hello", key="ada") for _ in range(3)] == ["1", "3", "3"]


async def test_a_plain_service_has_no_state_for_a_session(model: ScriptedModel) -> None:
    async def do(question: str) -> Any:
        return await DurableRunner.run(ann(), question, use_durable_session=True)

    with pytest.raises(AssertionError, match="Tested/ask is a handler of a plain service"):
        await Asking(do).comes_to()


@pytest.mark.parametrize("run", [Runner.run, Runner.run_streamed], ids=["run", "run_streamed"])
async def test_a_run_that_is_not_durable_refuses_a_durable_session(run: Any, model: ScriptedModel) -> None:
    chat = perdure.VirtualObject("Chat")

    @chat.handler()
    async def say(ctx: perdure.ObjectContext, text: str) -> str:
        with pytest.raises(UsageError, match=r"Use DurableRunner\.run"):
            await run(ann(), text, session=DurableSession())
        return "refused"

    async with Harness(chat, disable_retries=True) as h:
        assert await h.call(say, "hello", key="ada") == "refused"


async def test_a_session_elsewhere_gets_each_item_once(model: ScriptedModel) -> None:
    session = SQLiteSession("ada")
    await session.add_items([{"role": "user", "content": "I am Ada"}])

    async def do(question: str) -> str:
        return (await DurableRunner.run(ann(), question, session=session)).final_output

    model.script = lambda request: Reply("Ada" if "I am Ada" in str(request.messages) else "who knows")
    try:
        assert await Asking(do).comes_to("who am I?", always_replay=True) == "Ada"
        assert [text_of(item) for item in await session.get_items()] == ["I am Ada", "who am I?", "Ada"]
    finally:
        session.close()


async def test_what_an_invocation_reads_again_of_a_session_elsewhere_is_recorded_once(model: ScriptedModel) -> None:
    session = SQLiteSession("ada")
    await session.add_items([{"role": "user", "content": "I am Ada"}, {"role": "assistant", "content": "hello"}])
    last_two = RunConfig(session_settings=SessionSettings(limit=2))

    async def do(question: str) -> str:
        for config in (None, None, last_two, None):
            result = await DurableRunner.run(ann(), question, session=session, run_config=config)
        return result.final_output

    model.script = lambda request: Reply(f"after {len(request.messages) - 1}")
    tested = Asking(do)
    try:
        async with Harness(tested.service, always_replay=True) as h:
            sent = await h.send(tested.ask, "on")
            assert await h.attach(tested.ask, sent) == "after 9"
            reads = [read.value["result"] for read in h.journal(sent.invocation_id).runs("read session ada")]
    finally:
        session.close()
    known = [[each for each in read if isinstance(each, list)] for read in reads]
    new = [[text_of(each) for each in read if isinstance(each, dict)] for read in reads]
    assert known == [[], [[0, 2]], [[2, 3]], [[0, 4], [2, 3], [4, 5], [2, 3]]]
    assert new == [["I am Ada", "hello"], ["on", "after 3"], ["after 5"], ["after 3"]]


async def test_a_session_that_makes_up_its_id_is_refused(model: ScriptedModel) -> None:
    async def do(question: str) -> Any:
        async with AsyncOpenAI() as client:
            with pytest.raises(UsageError, match="give it its id"):
                await DurableRunner.run(ann(), question, session=OpenAIConversationsSession(openai_client=client))
        return "refused"

    assert await Asking(do).comes_to() == "refused"


async def test_a_session_that_calls_the_provider_itself_is_refused(model: ScriptedModel) -> None:
    class Compacting(SQLiteSession):
        async def run_compaction(self, args: Any = None) -> None:
            raise AssertionError

    session = Compacting("ada")

    async def do(question: str) -> Any:
        with pytest.raises(UsageError, match="compacts its history"):
            await DurableRunner.run(ann(), question, session=session)
        return "refused"

    try:
        assert await Asking(do).comes_to() == "refused"
    finally:
        session.close()
