"""A model call as one entry of the journal: what it records, what is tried again, what a cancel does to it."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest

import perdure
from perdure.errors import NotInHandler, UsageError
from perdure.ext.codecs import PLAIN
from perdure.ext.conversation import Asked, Conversations, Message, Said, Usage
from perdure.ext.model_calls import model_call
from perdure.testing import Harness
from perdure.testing.journal import Journal

Answer = dict[str, Any]


def said(answer: Answer) -> Said:
    message = {"role": "assistant", "content": answer["text"]}
    return Said([message], model="m-2026", usage=Usage(10, 5), finish_reason="stop")


class Refused(Exception):
    """As libraries have it."""

    def __init__(self, status_code: int, message: str = "no", **more: Any) -> None:
        super().__init__(message)
        self.status_code = status_code
        for name, value in more.items():
            setattr(self, name, value)


class Model:
    """Answers with the number of the call; fails with what it is given, one for each call."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def ask(self) -> Answer:
        self.calls += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return {"text": f"answer {self.calls}"}


def agent(model: Model, turns: int = 1, **asked: Any) -> tuple[perdure.Service, Any]:
    agents = perdure.Service("Agents")

    @agents.handler()
    async def run(ctx: perdure.Context) -> list[str]:
        messages: list[Message] = []
        for turn in range(turns):
            messages.append({"role": "user", "content": f"question {turn}"})
            answer = await model_call(Asked("m", list(messages), agent="Router", **asked), model.ask, PLAIN, said)
            messages.append({"role": "assistant", "content": answer["text"]})
        return [str(message["content"]) for message in messages if message["role"] == "assistant"]

    return agents, run


def values(journal: Journal) -> list[Any]:
    return [entry.value for entry in journal.of("run")]


async def test_the_entry_holds_request_and_response() -> None:
    tools = [{"name": "look_up", "description": "", "parameters": {}}]
    agents, run = agent(Model(), instructions="Be brief.", tools=tools, settings={"temperature": 0})
    async with Harness(agents) as h:
        sent = await h.send(run)
        assert await h.attach(run, sent) == ["answer 1"]
        journal = h.journal(sent)
    assert journal.names() == ["Router asks m"]
    record = values(journal)[0]
    assert record["response"] == {"text": "answer 1"}
    assert record["model_call"] | {"latency_ms": 0} == {
        "call": 1,
        "agent": "Router",
        "model": "m",
        "messages": [{"role": "user", "content": "question 0"}],
        "instructions": "Be brief.",
        "tools": tools,
        "settings": {"temperature": 0},
        "said": [{"role": "assistant", "content": "answer 1"}],
        "answered_by": "m-2026",
        "usage": {"input_tokens": 10, "output_tokens": 5, "cached_tokens": 0},
        "finish_reason": "stop",
        "latency_ms": 0,
    }


async def test_the_second_call_records_only_what_is_new() -> None:
    agents, run = agent(Model(), turns=2, instructions="Be brief.", tools=[{"name": "look_up"}])
    async with Harness(agents) as h:
        sent = await h.send(run)
        await h.attach(run, sent)
        record = values(h.journal(sent))[1]["model_call"]
    assert record["follows"] == {"call": 1, "messages": 2}
    assert record["messages"] == [{"role": "user", "content": "question 1"}]
    assert record["instructions"] == record["tools"] == {"as_in_call": 1}


async def test_a_hundred_calls_are_recorded_in_space_that_grows_with_their_number() -> None:
    agents, run = agent(Model(), turns=100, instructions="x" * 5000)
    async with Harness(agents) as h:
        sent = await h.send(run)
        await h.attach(run, sent)
        sizes = [len(msgspec.json.encode(value)) for value in values(h.journal(sent))]
    assert max(sizes[1:]) < 600


async def test_a_crash_at_any_entry_repeats_no_recorded_call() -> None:
    model = Model()
    agents, run = agent(model, turns=3)
    async with Harness(agents, always_replay=True) as h:
        assert await h.call(run) == ["answer 1", "answer 2", "answer 3"]
    assert model.calls == 3


async def test_a_call_that_failed_is_nothing_that_later_ones_refer_to() -> None:
    agents = perdure.Service("Agents")
    model = Model(Refused(400))
    question = {"role": "user", "content": "a"}

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        for name in ("first", "second", "third"):
            with suppress(perdure.TerminalError):
                asked = Asked(name, [question], instructions="Be brief.", tools=[{"name": "look_up"}])
                await model_call(asked, model.ask, PLAIN, said)

    async with Harness(agents) as h:
        sent = await h.send(run)
        await h.attach(run, sent)
        failed, second, third = h.journal(sent).of("run")
    assert failed.failure is not None
    assert second.value["model_call"]["messages"] == [question]
    assert second.value["model_call"]["instructions"] == "Be brief."
    assert second.value["model_call"]["tools"] == [{"name": "look_up"}]
    assert third.value["model_call"]["follows"] == {"call": 2, "messages": 1}
    assert third.value["model_call"]["instructions"] == {"as_in_call": 2}


async def test_a_system_message_that_changes_does_not_make_the_journal_quadratic() -> None:
    agents = perdure.Service("Agents")
    model = Model()

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        messages: list[Message] = []
        for turn in range(30):
            messages.append({"role": "user", "content": f"question {turn}"})
            clock = {"role": "system", "content": f"It is {turn} o'clock."}
            answer = await model_call(Asked("m", [clock, *messages]), model.ask, PLAIN, said)
            messages.append({"role": "assistant", "content": answer["text"]})

    async with Harness(agents) as h:
        sent = await h.send(run)
        await h.attach(run, sent)
        last = values(h.journal(sent))[-1]["model_call"]
    assert last["instructions"] == "It is 29 o'clock."
    assert last["messages"] == [{"role": "user", "content": "question 29"}]
    assert last["follows"] == {"call": 29, "messages": 58}


async def test_a_response_that_cannot_be_described_is_recorded_all_the_same() -> None:
    def confused(answer: Answer) -> Said:
        raise KeyError("choices")

    agents = perdure.Service("Agents")
    model = Model()

    @agents.handler()
    async def run(ctx: perdure.Context) -> Answer:
        return await model_call(Asked("m", []), model.ask, PLAIN, confused)

    async with Harness(agents) as h:
        sent = await h.send(run)
        assert await h.attach(run, sent) == {"text": "answer 1"}
        assert values(h.journal(sent))[0]["model_call"]["not_described"] == "KeyError: 'choices'"
    assert model.calls == 1


async def test_options_that_say_how_a_result_is_written_are_refused() -> None:
    agents = perdure.Service("Agents")

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        await model_call(Asked("m", []), Model().ask, PLAIN, said, perdure.RunOptions(type_hint=str))

    async with Harness(agents, disable_retries=True) as h:
        with pytest.raises(AssertionError, match="RunOptions may say how it is tried"):
            await h.call(run)


def test_what_a_session_holds_is_known() -> None:
    conversations = Conversations()
    old = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    conversations.loaded("chat", old)
    new = {"role": "user", "content": "c"}
    call = conversations.ask(Asked("m", [*old, new]))
    assert call.new["follows"] == {"session": "chat", "messages": 2}
    assert call.new["messages"] == [new]


def test_a_conversation_that_was_cut_starts_anew() -> None:
    conversations = Conversations()
    conversations.ask(Asked("m", [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]))
    call = conversations.ask(Asked("m", [{"role": "user", "content": "b"}]))
    assert "follows" not in call.new
    assert call.new["messages"] == [{"role": "user", "content": "b"}]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_what_can_never_succeed_is_terminal_in_the_providers_words(status: int) -> None:
    model = Model(Refused(status, "the key is wrong"))
    agents, run = agent(model)
    async with Harness(agents) as h:
        with pytest.raises(perdure.TerminalError, match="the key is wrong") as caught:
            await h.call(run)
    assert caught.value.status_code == status
    assert model.calls == 1


@pytest.mark.parametrize(
    "error", [Refused(429), Refused(500), Refused(529), Refused(408), ConnectionError(), TimeoutError()]
)
async def test_what_may_succeed_later_is_tried_again(error: Exception) -> None:
    model = Model(error)
    agents, run = agent(model)
    async with Harness(agents) as h:
        assert await h.call(run) == ["answer 2"]


async def test_a_content_filter_is_terminal_whatever_its_status() -> None:
    model = Model(Refused(429, "refused", code="content_filter"))
    agents, run = agent(model)
    async with Harness(agents) as h:
        with pytest.raises(perdure.TerminalError, match="refused"):
            await h.call(run)


async def test_the_providers_delay_is_kept() -> None:
    class Response:
        headers = {"retry-after": "17"}  # noqa: RUF012  as httpx has it

    model = Model(Refused(429, "slow down", response=Response()))
    agents, run = agent(model)
    async with Harness(agents) as h:
        began = h.now
        await h.call(run)
        assert timedelta(seconds=17) <= h.now - began < timedelta(seconds=18)


async def test_a_cancel_ends_the_call_in_flight_and_is_recorded_as_its_result() -> None:
    ended: list[str] = []
    cleaned: list[bool] = []
    agents = perdure.Service("Agents")

    asked = asyncio.Event()

    async def never() -> Answer:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("in flight")
        raise AssertionError

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        try:
            await model_call(Asked("m", []), never, PLAIN, said)
        except perdure.TerminalError:
            cleaned.append(ctx.is_replaying)
            await ctx.run_typed("clean up", lambda: None)
            raise

    async with Harness(agents) as h:
        sent = await h.send(run)
        await asked.wait()
        await h.cancel(sent.invocation_id)
        outcome = await h.outcome(sent)
        journal = h.journal(sent)
    assert outcome.failure is not None
    assert outcome.failure.code == 409
    assert ended == ["in flight"]
    assert journal.runs("ask m")[0].failure is not None
    assert cleaned == [False]


async def test_a_call_that_takes_too_long_is_cancelled() -> None:
    ended: list[str] = []
    agents = perdure.Service("Agents")

    async def slow() -> Answer:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("slow")
        return {}

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        await model_call(Asked("m", []), slow, PLAIN, said, perdure.RunOptions(timeout=timedelta(seconds=0.1)))

    async with Harness(agents) as h:
        with pytest.raises(perdure.TerminalError, match=r"was not done within 0\.1 s"):
            await h.call(run)
    assert ended == ["slow"]


async def test_outside_of_a_handler_it_says_so() -> None:
    with pytest.raises(NotInHandler, match="called outside of a handler"):
        await model_call(Asked("m", []), Model().ask, PLAIN, said)


async def test_inside_a_run_it_says_so() -> None:
    agents = perdure.Service("Agents")
    told: list[str] = []

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        async def nested() -> None:
            try:
                await model_call(Asked("m", []), Model().ask, PLAIN, said)
            except UsageError as error:
                told.append(str(error))

        await ctx.run_typed("nested", nested)

    async with Harness(agents) as h:
        await h.call(run)
    assert "called inside a run" in told[0]


async def test_a_response_that_is_no_json_is_reported_and_not_paid_again() -> None:
    agents = perdure.Service("Agents")
    asked: list[int] = []

    async def odd() -> Any:
        asked.append(1)
        return {"text": object()}

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        await model_call(Asked("m", []), odd, PLAIN, said)

    async with Harness(agents) as h:
        with pytest.raises(perdure.TerminalError, match="what it gave cannot be recorded as JSON"):
            await h.call(run)
    assert asked == [1]


async def test_a_call_that_nobody_waits_for_any_more_does_not_pass_for_a_cancel_of_the_invocation() -> None:
    agents = perdure.Service("Agents")
    never = asyncio.Event()

    async def answer() -> Answer:
        await never.wait()
        return {}

    @agents.handler()
    async def run(ctx: perdure.Context) -> str:
        asking = asyncio.create_task(model_call(Asked("m", []), answer, PLAIN, said))
        await ctx.sleep(timedelta(seconds=1))
        asking.cancel()
        await asyncio.wait([asking])
        await ctx.sleep(timedelta(seconds=1))
        return "went on"

    async with Harness(agents) as h:
        sent = await h.send(run)
        assert await h.attach(run, sent) == "went on"
        [entry] = h.journal(sent).of("run")
    assert entry.failure is not None
    assert "the task that waited for it was cancelled" in entry.failure
