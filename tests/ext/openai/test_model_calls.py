"""Calls of models: recorded once, by whichever model of the user's; retried, refused and cut off as they should be."""

import asyncio
import copy
from datetime import timedelta
from typing import Any

import pytest
from agents import (
    Agent,
    Model,
    ModelBehaviorError,
    ModelProvider,
    ModelRetrySettings,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIProvider,
    RunConfig,
    Runner,
    function_tool,
    retry_policies,
)
from agents.testing import ScriptedModel as InProcess
from agents.testing import assistant_message, function_call
from openai import AsyncOpenAI
from pydantic import BaseModel

import perdure
from perdure import RunOptions, TerminalError
from perdure.errors import NotInHandler, UsageError
from perdure.ext.openai import DurableRunner, durable_function_tool
from perdure.ext.openai.model import durable_model
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Fault, Reply, ScriptedModel
from tests.ext.openai.asking import IN_ONE_LOOP, Asking, ann, asking, calling, using

pytestmark = IN_ONE_LOOP


async def test_a_call_is_one_named_entry_that_reads_as_a_conversation(model: ScriptedModel) -> None:
    model.script = lambda request: Reply("42")
    [call] = (await asking(ann()).journal("six times seven?")).runs()
    assert call.name == "Ann asks gpt-4o-mini"
    record = call.value["model_call"]
    assert record["messages"] == [{"role": "user", "content": "six times seven?"}]
    assert record["instructions"] == "Be brief."
    assert record["said"] == [{"role": "assistant", "content": "42"}]
    assert record["usage"]["output_tokens"] > 0
    assert record["finish_reason"] == "stop"


async def test_a_recorded_answer_is_not_asked_for_again(model: ScriptedModel) -> None:
    model.script = calling(("now", {}))
    before = len(model.log.calls)

    async def sleeps() -> str:
        await perdure.current_context().sleep(timedelta(days=1))
        return "it is Tuesday"

    assert await using(durable_function_tool(sleeps, name_override="now")).comes_to(always_replay=True)
    assert len(model.log.calls) - before == 2


async def test_the_users_provider_is_the_one_that_is_asked(model: ScriptedModel) -> None:
    class Own(ModelProvider):
        def get_model(self, model_name: str | None) -> Model:
            asked.append(model_name)
            return InProcess([[assistant_message("from my own")]])

    asked: list[str | None] = []
    config = RunConfig(model_provider=Own())
    assert await asking(ann(model="mine"), run_config=config).comes_to() == "from my own"
    assert set(asked) == {"mine"}


async def test_each_try_of_a_call_tells_the_provider_the_same_key_and_each_call_another(model: ScriptedModel) -> None:
    class Failing(InProcess):
        async def get_response(self, *args: Any, **more: Any) -> Any:
            keys.append(args[2].extra_headers["Idempotency-Key"])
            if len(keys) == 1:
                raise ConnectionError("cut")
            return await super().get_response(*args, **more)

    keys: list[str] = []
    answers = [[function_call("look_up", {}, call_id="1")], [assistant_message("found")]]
    agent = ann(model=Failing(answers), tools=[function_tool(lambda: "it", name_override="look_up")])
    tested = asking(agent)
    async with Harness(tested.service) as h:
        assert await h.call(tested.ask, "?") == "found"
    assert keys[0] == keys[1] != keys[2]


async def test_a_key_of_the_users_own_is_kept() -> None:
    own = InProcess([[assistant_message("hello")]])
    settings = ModelSettings(extra_headers={"idempotency-key": "mine", "X-Team": "bills"})
    assert await asking(ann(model=own, model_settings=settings)).comes_to() == "hello"
    assert own.last_call.model_settings.extra_headers == settings.extra_headers


async def test_a_durable_model_has_all_that_a_model_has_and_can_be_copied() -> None:
    own = InProcess([[assistant_message("hello")]])
    durable = durable_model(own)
    named = {name for name, value in vars(Model).items() if callable(value) and not name.startswith("__")}
    assert named <= vars(type(durable)).keys(), "the SDK's models have something that a durable one does not forward"
    assert copy.copy(durable).wrapped is own


async def test_a_model_object_stays_the_users_own_and_is_recorded(model: ScriptedModel) -> None:
    async with AsyncOpenAI() as client:
        own = OpenAIChatCompletionsModel("my-model", client)
        agent = ann(model=own)
        journal = await asking(agent).journal("hello")
    assert journal.runs()[0].name == "Ann asks my-model"
    assert model.log.calls[-1].interface == "chat"
    assert agent.model is own


async def test_what_a_run_configuration_says_is_kept(model: ScriptedModel) -> None:
    def shorten(data: Any) -> Any:
        data.model_data.instructions = "Be kind."
        return data.model_data

    config = {"model": "another", "model_settings": ModelSettings(temperature=0.5), "call_model_input_filter": shorten}
    [call] = (await asking(ann(), run_config=config).journal()).runs()
    assert call.name == "Ann asks another"
    assert call.value["model_call"]["settings"]["temperature"] == 0.5
    assert model.log.calls[-1].request.instructions == "Be kind."


async def test_an_output_type_comes_back_as_what_it_was(model: ScriptedModel) -> None:
    class Sum(BaseModel):
        total: int

    model.script = lambda request: Reply.of({"total": 42})

    async def do(question: str) -> int:
        result = await DurableRunner.run(ann(output_type=Sum), question)
        assert isinstance(result.final_output, Sum)
        return result.final_output.total

    assert await Asking(do).comes_to(always_replay=True) == 42


async def test_a_hundred_calls_cost_as_much_each_as_ten() -> None:
    async def bytes_of(calls: int) -> int:
        asked = [[function_call("look", {"page": page}, call_id=f"call_{page}")] for page in range(calls - 1)]

        def look(page: int) -> str:
            return f"page {page}: {'word ' * 50}"

        agent = ann(model=InProcess([*asked, [assistant_message("done")]]), tools=[function_tool(look)])
        tested = asking(agent, max_turns=None)
        async with Harness(tested.service) as h:
            sent = await h.send(tested.ask, "read it all")
            assert (await h.outcome(sent.invocation_id)).failure is None
            return sum(len(envelope.message.SerializeToString()) for envelope in h.envelopes(sent.invocation_id))

    ten, hundred = await bytes_of(10), await bytes_of(100)
    assert hundred < 11 * ten


async def test_what_may_pass_is_retried_when_the_provider_says_so(model: ScriptedModel) -> None:
    model.faults.extend([Fault(status=429, retry_after=30), Fault(status=500), Fault(cut=True), Fault(hang_up=True)])
    tested = asking(ann())
    async with Harness(tested.service) as h:
        began = h.now
        assert await h.call(tested.ask, "hello") == "You asked: hello"
        assert h.now - began >= timedelta(seconds=30)


async def test_the_client_does_not_retry_on_its_own(model: ScriptedModel) -> None:
    before = len(model.log.calls)
    model.aim(Fault(status=500))
    with pytest.raises(TerminalError):
        await asking(ann(), run_options=RunOptions(max_attempts=1)).comes_to()
    assert len(model.log.calls) - before == 1


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault(status=400), 400), (Fault(status=401), 401), (Fault(filtered=True), 400)]
)
async def test_what_is_refused_for_good_fails_with_the_providers_words(
    fault: Fault, status: int, model: ScriptedModel
) -> None:
    model.faults.append(fault)
    with pytest.raises(TerminalError, match=r"planned fault|filter") as raised:
        await asking(ann()).comes_to()
    assert raised.value.status_code == status


async def test_retries_that_the_sdk_was_told_of_are_the_steps(model: ScriptedModel) -> None:
    retry = ModelRetrySettings(max_retries=2, policy=retry_policies.http_status([500]))
    before = len(model.log.calls)
    model.aim(Fault(status=500))
    tested = asking(ann(model_settings=ModelSettings(retry=retry)))
    async with Harness(tested.service) as h:
        with pytest.raises(TerminalError):
            await h.call(tested.ask, "hello")
    assert len(model.log.calls) - before == 3


async def test_a_try_that_takes_too_long_is_made_again(model: ScriptedModel) -> None:
    slow = [True]

    async def script(request: ChatRequest) -> Reply:
        if slow:
            slow.clear()
            await asyncio.sleep(60)
        return Reply("at last")

    model.script = script
    tested = asking(ann(model_settings=ModelSettings(timeout=1)))
    async with Harness(tested.service) as h:
        assert await h.call(tested.ask, "hello") == "at last"


async def test_cancelling_the_invocation_cancels_the_call_in_flight(model: ScriptedModel) -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    class Endless(InProcess):
        async def get_response(self, *args: Any, **more: Any) -> Any:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()

    tested = asking(ann(model=Endless([])))
    async with Harness(tested.service) as h:
        sent = await h.send(tested.ask, "hello")
        await begun.wait()
        await h.cancel(sent.invocation_id)
        outcome = await h.outcome(sent.invocation_id)
        await asyncio.wait_for(left.wait(), 60)
    assert outcome.failure is not None
    assert outcome.failure.code == 409


async def test_a_model_that_answers_nonsense_ends_the_invocation_with_the_sdks_own_error(model: ScriptedModel) -> None:
    model.script = lambda request: Reply.calling(("no_such_tool", {}))
    caught: list[Exception] = []

    async def do(question: str) -> Any:
        try:
            return await DurableRunner.run(ann(), question)
        except ModelBehaviorError as error:
            caught.append(error)
            raise

    with pytest.raises(TerminalError, match="no_such_tool"):
        await Asking(do).comes_to()
    assert caught


async def test_streams_are_refused(model: ScriptedModel) -> None:
    async def streams(question: str) -> Any:
        DurableRunner.run_streamed(ann(), question)

    with pytest.raises(AssertionError, match="cannot stream"):
        await Asking(streams).comes_to()


async def test_outside_of_a_handler_it_stops_and_says_so(model: ScriptedModel) -> None:
    with pytest.raises(NotInHandler, match="outside of a handler"):
        await DurableRunner.run(ann(), "hello")


async def test_inside_a_run_it_stops_and_says_so(model: ScriptedModel) -> None:
    async def do(question: str) -> Any:
        async def within() -> str:
            return str(await DurableRunner.run(ann(), question))

        return await perdure.current_context().run_typed("a run", within)

    with pytest.raises(AssertionError, match="inside a run"):
        await Asking(do).comes_to()


async def test_the_sdks_own_runner_is_as_it_was_outside_of_durable_runs(model: ScriptedModel) -> None:
    await asking(ann()).comes_to()
    agent: Agent[Any] = ann()
    result = await Runner.run(agent, "hello", run_config=RunConfig(model_provider=OpenAIProvider()))
    assert result.final_output == "You asked: hello"
    assert result.last_agent is agent


async def test_a_usage_error_is_kept_for_two_sessions(model: ScriptedModel) -> None:
    async def do(question: str) -> Any:
        with pytest.raises(UsageError, match="leave one of them out"):
            await DurableRunner.run(ann(), question, session=object(), use_durable_session=True)  # type: ignore[arg-type]
        return "refused"

    assert await Asking(do).comes_to() == "refused"
