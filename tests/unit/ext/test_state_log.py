"""A list in state: what a turn writes and journals does not grow with what is there."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import perdure
from perdure.ext.state_log import Outline, StateLog
from perdure.testing import Harness

chat = perdure.VirtualObject("Chat")


@chat.handler()
async def say(ctx: perdure.ObjectContext, text: str) -> int:
    log = StateLog(ctx, "messages")
    items = await log.items()
    await ctx.run_typed("answer", lambda: None)
    await log.append([text, text.upper()])
    return len(items)


@chat.handler()
async def take_back(ctx: perdure.ObjectContext) -> Any:
    log = StateLog(ctx, "messages")
    before = await log.items()
    taken = await log.pop()
    await ctx.run_typed("audit", lambda: None)
    assert await log.items() == before[:-1]
    return taken


@chat.handler()
async def forget(ctx: perdure.ObjectContext) -> None:
    await StateLog(ctx, "messages").clear()


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[Any]:
    return await StateLog(ctx, "messages").items()


@chat.handler()
async def last(ctx: perdure.ObjectContext, count: int) -> list[Any]:
    return await StateLog(ctx, "messages").items(last=count)


def journal_bytes(h: Harness, id: str) -> int:
    return sum(len(envelope.message.SerializeToString()) for envelope in h.envelopes(id))


async def test_items_come_back_in_order() -> None:
    async with Harness(chat) as h:
        for text in ("a", "b"):
            await h.call(say, text, key="s")
        assert await h.call(history, key="s") == ["a", "A", "b", "B"]
        assert await h.call(last, 3, key="s") == ["A", "b", "B"]


async def test_a_turns_journal_does_not_grow_with_the_session() -> None:
    async with Harness(chat) as h:
        sizes: list[int] = []
        for turn in range(60):
            sent = await h.send(say, f"{'x' * 1000}{turn:03d}", key="s")
            assert await h.attach(say, sent) == 2 * turn
            sizes.append(journal_bytes(h, sent.invocation_id))
    assert max(sizes[1:]) - min(sizes[1:]) < 20


async def test_what_is_taken_off_is_cleared_by_the_next_to_write() -> None:
    async with Harness(chat) as h:
        await h.call(say, "a", key="s")
        assert await h.call(take_back, key="s") == "A"
        assert "messages/000001" in h.state(chat, "s")
        await h.call(say, "b", key="s")
        assert await h.call(history, key="s") == ["a", "b", "B"]
        assert "messages/000001" not in h.state(chat, "s")


async def test_an_emptied_list_begins_anew_and_gives_no_number_twice() -> None:
    async with Harness(chat) as h:
        await h.call(say, "a", key="s")
        await h.call(forget, key="s")
        assert await h.call(history, key="s") == []
        await h.call(say, "b", key="s")
        assert await h.call(history, key="s") == ["b", "B"]
        assert sorted(h.state(chat, "s")) == ["messages", "messages/000002", "messages/000003"]


async def test_a_crash_at_any_entry_changes_nothing() -> None:
    async with Harness(chat) as h:
        for handler, arg in ((say, "c"), (take_back, None), (forget, None)):
            await h.crash_at_every_step(handler, arg, key="s", before=two_turns)


async def two_turns(h: Harness) -> None:
    for text in ("a", "b"):
        await h.call(say, text, key="s")


async def test_a_session_beyond_what_comes_with_an_attempt_is_fetched() -> None:
    small = perdure.EngineConfig(eager_state_bytes_max=2000)
    async with Harness(chat, config=small) as h:
        for turn in range(10):
            assert await h.call(say, "x" * 500, key="s") == 2 * turn
        assert len(await h.call(history, key="s")) == 20


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["add", "drop", "clear"]), max_size=40))
def test_the_outline_is_a_list_of_numbers_that_are_given_once(deeds: list[str]) -> None:
    outline, model, given_out = Outline(), list[int](), set[int]()
    for deed in deeds:
        if deed == "add":
            number = outline.add()
            assert number not in given_out
            given_out.add(number)
            model.append(number)
        elif deed == "drop" and model:
            assert outline.drop_last() == model.pop()
        elif deed == "clear":
            outline.dropped += outline.spans
            outline.spans = []
            model.clear()
        assert outline.numbers() == model
    dropped = {number for first, end in outline.dropped for number in range(first, end)}
    assert dropped == given_out - set(model)
