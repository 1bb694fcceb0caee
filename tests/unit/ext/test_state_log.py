"""A list in state: what a turn writes and journals does not grow with what is there."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perdure
from perdure.errors import UsageError
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


@chat.handler()
async def note(ctx: perdure.ObjectContext, text: str) -> None:
    await StateLog(ctx, "notes").append([text])


@chat.handler()
async def change_of_mind(ctx: perdure.ObjectContext, times: int) -> list[Any]:
    log = StateLog(ctx, "messages")
    for turn in range(times):
        if turn:
            assert await log.pop() == str(turn - 1)
        await log.append([str(turn)])
        assert (await log.items())[-1] == str(turn)
    return await log.items()


@chat.handler()
async def at_once(ctx: perdure.ObjectContext, count: int) -> None:
    await asyncio.gather(*(StateLog(ctx, "messages").append([str(number)]) for number in range(count)))


@chat.handler(kind="shared")
async def write_shared(ctx: perdure.ObjectSharedContext) -> str:
    try:
        await StateLog(ctx, "messages").append(["no"])
    except UsageError as error:
        return str(error)
    return "written"


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


async def test_what_was_read_and_taken_off_is_cleared_by_the_next_to_write_any_list() -> None:
    async with Harness(chat) as h:
        await h.call(say, "a", key="s")
        assert await h.call(take_back, key="s") == "A"
        assert "messages/000001" in h.state(chat, "s")
        await h.call(note, "elsewhere", key="s")
        assert "messages/000001" not in h.state(chat, "s")
        await h.call(say, "b", key="s")
        assert await h.call(history, key="s") == ["a", "b", "B"]


async def test_what_was_not_read_is_cleared_at_once() -> None:
    async with Harness(chat) as h:
        await h.call(say, "a secret", key="s")
        await h.call(forget, key="s")
        assert await h.call(history, key="s") == []
        assert "secret" not in str(h.state(chat, "s"))
        await h.call(say, "b", key="s")
        assert await h.call(history, key="s") == ["b", "B"]


async def test_numbers_of_ones_own_items_are_given_again() -> None:
    async with Harness(chat) as h:
        await h.crash_at_every_step(change_of_mind, 3, key="s", before=two_turns)
        await two_turns(h)
        sent = await h.send(change_of_mind, 50, key="s")
        assert await h.attach(change_of_mind, sent) == ["a", "A", "b", "B", "49"]
        assert sorted(h.state(chat, "s")) == ["messages", *(f"messages/{n:06d}" for n in range(5))]


async def test_several_that_write_at_once_lose_nothing() -> None:
    for config in (perdure.EngineConfig(), perdure.EngineConfig(eager_state_bytes_max=1)):
        async with Harness(chat, config=config) as h:
            await h.call(say, "x", key="s")
            await h.call(at_once, 5, key="s")
            assert sorted(await h.call(history, key="s")) == ["0", "1", "2", "3", "4", "X", "x"]


async def test_a_service_has_no_state_to_keep_a_list_in() -> None:
    plain = perdure.Service("Plain")

    @plain.handler()
    async def run(ctx: perdure.Context) -> None:
        with pytest.raises(UsageError, match=r"'log' is kept in the state .* make it a VirtualObject"):
            StateLog(ctx, "log")

    async with Harness(plain) as h:
        await h.call(run)


async def test_a_shared_handler_may_not_write() -> None:
    async with Harness(chat) as h:
        assert "is a shared handler" in await h.call(write_shared, key="s")


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
@given(st.lists(st.sampled_from(["add", "drop"]), max_size=40))
def test_the_outline_is_a_list_of_numbers_that_rise(deeds: list[str]) -> None:
    outline, model = Outline(), list[int]()
    for deed in deeds:
        if deed == "add":
            model.append(outline.add())
        elif model:
            assert outline.drop_last() == model.pop()
        assert outline.numbers() == model == sorted(set(model))
