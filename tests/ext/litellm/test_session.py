"""Sessions: a turn writes, and records, only what is new."""

from typing import Any

import pytest

import perdure
from perdure.ext.litellm import DurableSession, completion
from perdure.testing import Harness
from perdure.testing.model import ScriptedModel
from tests.ext.litellm.model_calls import recorded

pytestmark = pytest.mark.asyncio(loop_scope="session")

chat = perdure.VirtualObject("Chat")


@chat.handler()
async def say(ctx: perdure.ObjectContext, text: str) -> str:
    session = DurableSession()
    prompt = {"role": "system", "content": f"Be brief. You were asked: {text}"}
    messages: list[Any] = [prompt, *await session.messages(), {"role": "user", "content": text}]
    message = (await completion("openai/gpt-4o-mini", messages)).choices[0].message
    await session.add(messages[-1], message)
    return str(message.content)


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[dict[str, Any]]:
    return await DurableSession().messages()


async def test_a_turn_records_what_is_new_however_long_the_session(model: ScriptedModel) -> None:
    sizes: list[int] = []
    async with Harness(chat) as h:
        for turn in range(30):
            sent = await h.send(say, f"question {turn:02d}", key="ada")
            assert await h.attach(say, sent) == f"You asked: question {turn:02d}"
            sizes.append(sum(len(each.message.SerializeToString()) for each in h.envelopes(sent)))
        [record] = recorded(h.journal(sent))
        said = await h.call(history, key="ada")
    assert record["follows"] == {"session": "messages", "messages": 58}
    assert record["messages"] == [{"role": "user", "content": "question 29"}]
    assert max(sizes[2:]) - min(sizes[2:]) < 40
    assert [each["role"] for each in said] == ["user", "assistant"] * 30
    assert len(model.log.calls[-1].messages) == 60


async def test_a_plain_service_has_no_state_for_a_session() -> None:
    plain = perdure.Service("Plain")

    @plain.handler()
    async def add(ctx: perdure.Context) -> None:
        await DurableSession().add({"role": "user", "content": "hello"})

    async with Harness(plain, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="make it a VirtualObject"):
            await h.call(add)


async def test_a_shared_handler_cannot_add_to_a_session() -> None:
    shared = perdure.VirtualObject("Shared")

    @shared.handler(kind="shared")
    async def add(ctx: perdure.ObjectSharedContext) -> None:
        await DurableSession().add({"role": "user", "content": "hello"})

    async with Harness(shared, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="is a shared handler"):
            await h.call(add, key="ada")


async def test_a_crash_at_any_entry_changes_nothing(model: ScriptedModel) -> None:
    async def before(h: Harness) -> None:
        await h.call(say, "earlier", key="ada")

    async with Harness(chat) as h:
        await h.crash_at_every_step(say, "later", key="ada", before=before, model=model)
