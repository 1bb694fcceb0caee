"""What fails, and how: providers that are down for a while or refuse for good, limits, and a cancel."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import Hooks, ModelFallback
from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelHTTPError,
    RunCancelled,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
)
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import UsageLimits

import perdure
from perdure import RunOptions, TerminalError
from perdure.ext.pydantic_ai import DurableAgent
from perdure.testing import Harness
from perdure.testing.model import Answer, Fate, Fault, Reply, ScriptedModel
from tests.ext.pydantic_ai.agents import Asking, asking, assistant, model_named

pytestmark = pytest.mark.asyncio(loop_scope="session")

_impatient: list[AsyncOpenAI] = []


def impatient(**settings: Any) -> Agent[Any, Any]:
    """An agent whose client does not try again of its own accord."""
    if not _impatient:
        _impatient.append(AsyncOpenAI(max_retries=0))
    return Agent(OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=_impatient[0])), **settings)


@pytest.mark.parametrize(
    "fault",
    [Fault(status=429), Fault(status=500), Fault(status=503), Fault(cut=True), Fault(hang_up=True)],
    ids=["rate limit", "500", "503", "cut", "no connection"],
)
async def test_what_may_pass_is_tried_again(fault: Fault, model: ScriptedModel) -> None:
    model.faults.extend([fault, fault])
    asked = asking(impatient())
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "Hi") == "You asked: Hi"


async def test_a_rate_limit_is_waited_for_as_long_as_the_provider_says(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=429, retry_after=1800))
    asked = asking(impatient())
    async with Harness(asked.service) as h:
        began = h.now
        assert await h.call(asked.ask, "Hi") == "You asked: Hi"
        assert timedelta(minutes=30) <= h.now - began < timedelta(minutes=31)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=400, message="no such parameter"), 400),
        (Fault(status=401, message="wrong key"), 401),
        (Fault(filtered=True, message="this is not to be said"), 400),
    ],
    ids=["400", "401", "content filter"],
)
async def test_what_is_refused_for_good_ends_the_run_with_the_providers_words(
    fault: Fault, status: int, model: ScriptedModel
) -> None:
    model.faults.append(fault)
    asked = asking(impatient())
    asked_before = len(model.log.calls)
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match=fault.message) as caught:
            await h.call(asked.ask, "Hi")
    assert caught.value.status_code == status
    assert len(model.log.calls) == asked_before + 1


async def test_options_limit_how_often_a_model_is_asked(model: ScriptedModel) -> None:
    model.faults.extend([Fault(status=500)] * 5)
    asked = asking(impatient(), run_options=RunOptions(max_attempts=3))
    asked_before = len(model.log.calls)
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="a planned fault"):
            await h.call(asked.ask, "Hi")
    assert len(model.log.calls) == asked_before + 3


async def test_a_client_does_not_try_again_of_its_own_accord(model: ScriptedModel) -> None:
    model.faults.extend([Fault(status=500)] * 5)
    asked = asking(assistant(), run_options=RunOptions(max_attempts=2))
    asked_before = len(model.log.calls)
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="a planned fault"):
            await h.call(asked.ask, "Hi")
    assert len(model.log.calls) == asked_before + 2


async def test_a_client_tries_again_if_the_settings_say_so(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=500))
    agent = assistant(model_settings={"max_retries": 1})
    asked = asking(agent, run_options=RunOptions(max_attempts=1))
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "Hi") == "You asked: Hi"


async def test_a_model_does_not_warn_of_settings_that_nobody_made(model: ScriptedModel) -> None:
    class Plain(OpenAIChatModel):
        unsupported_settings = frozenset({"max_retries", "extra_headers"})

    asked = asking(Agent(Plain("gpt-4o-mini", provider=OpenAIProvider(openai_client=AsyncOpenAI()))))
    async with Harness(asked.service, disable_retries=True) as h:
        assert await h.call(asked.ask, "Hi") == "You asked: Hi"


async def test_all_tries_of_a_request_have_one_key_and_each_request_another(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=500))
    model.script = lambda request: Reply("done") if request.results else Reply.calling(("again", {}))
    asked = asking(impatient(tools=[again]))
    asked_before = len(model.log.calls)
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "Hi") == "done"
    first, second, third = [call.key for call in model.log.calls[asked_before:]]
    assert first is not None
    assert first == second != third


async def test_a_key_of_the_users_own_is_kept(model: ScriptedModel) -> None:
    asked = asking(impatient(model_settings={"extra_headers": {"idempotency-key": "mine"}}))
    async with Harness(asked.service) as h:
        await h.call(asked.ask, "Hi")
    assert model.log.calls[-1].key == "mine"


async def test_fallback_models_have_no_key_in_common(model: ScriptedModel) -> None:
    """What one of them was asked, and failed, is not what the next is asked."""
    asked = asking(Agent(FallbackModel(model_named("openai-chat:gpt-4o"), model_named("openai-chat:gpt-4o-mini"))))
    async with Harness(asked.service) as h:
        await h.call(asked.ask, "Hi")
    assert model.log.calls[-1].key is None


async def test_options_limit_how_long_a_model_may_take(model: ScriptedModel) -> None:
    model.faults.append(Fault(delay_s=60))
    asked = asking(impatient(), run_options=RunOptions(timeout=timedelta(milliseconds=200)))
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="agent asks gpt-4o-mini"):
            await h.call(asked.ask, "Hi")


async def test_a_fallback_model_is_asked_within_the_same_step(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=400))
    agent = Agent(FallbackModel(model_named("openai-chat:gpt-4o"), model_named("openai-chat:gpt-4o-mini")))
    asked = asking(agent)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        assert await h.attach(asked.ask, sent) == "You asked: Hi"
        [entry] = h.journal(sent).runs()
        assert entry.value["model_call"]["answered_by"] == "gpt-4o-mini"


@pytest.mark.parametrize("statuses", [(401, 503), (503, 401)])
async def test_fallback_models_are_asked_again_if_one_of_them_may_answer_then(
    statuses: tuple[int, int], model: ScriptedModel
) -> None:
    model.faults.extend([Fault(status=each) for each in statuses])
    agent = Agent(FallbackModel(model_named("openai-chat:gpt-4o"), model_named("openai-chat:gpt-4o-mini")))
    asked = asking(agent)
    async with Harness(asked.service) as h:
        assert await h.call(asked.ask, "Hi") == "You asked: Hi"


async def test_fallback_models_that_all_refuse_end_the_run(model: ScriptedModel) -> None:
    model.faults.extend([Fault(status=401, message="wrong key"), Fault(status=400, message="too long")])
    agent = Agent(FallbackModel(model_named("openai-chat:gpt-4o"), model_named("openai-chat:gpt-4o-mini")))
    asked_before = len(model.log.calls)
    asked = asking(agent)
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="wrong key") as caught:
            await h.call(asked.ask, "Hi")
    assert caught.value.status_code == 401
    assert len(model.log.calls) == asked_before + 2


async def test_the_fallback_of_a_capability_is_asked_in_a_step_of_its_own(model: ScriptedModel) -> None:
    """What fails for good is an error of the framework's own, so that its capabilities know it."""
    model.aim(Fault(status=401, message="wrong key"), at=lambda request: request.model == "gpt-4o")
    fallback = ModelFallback(model_named("openai-chat:gpt-4o"), model_named("openai-chat:gpt-4o-mini"))
    asked = asking(Agent(name="Ann", capabilities=[fallback]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        assert await h.attach(asked.ask, sent) == "You asked: Hi"
        assert h.journal(sent).names("run") == ["Ann asks gpt-4o", "Ann asks gpt-4o-mini"]
        await h.crash_at_every_step(asked.ask, "Hi")


async def test_a_refusal_is_an_error_of_both_kinds(model: ScriptedModel) -> None:
    model.faults.append(Fault(status=401, message="wrong key"))
    agent = DurableAgent(impatient())

    async def do(question: str) -> list[Any]:
        with pytest.raises(ModelHTTPError) as caught:
            await agent.run(question)
        error = caught.value
        assert isinstance(error, TerminalError)
        return [error.status_code, error.model_name, "wrong key" in str(error)]

    asked = Asking(do)
    async with Harness(asked.service, always_replay=True) as h:
        assert await h.call(asked.ask, "Hi") == [401, "gpt-4o-mini", True]


async def test_a_usage_limit_is_final_and_keeps_its_type(model: ScriptedModel) -> None:
    model.script = lambda request: Reply.calling(("again", {}))
    agent = DurableAgent(assistant(tools=[again]))
    caught: list[str] = []

    async def do(question: str) -> None:
        try:
            await agent.run(question, usage_limits=UsageLimits(request_limit=2))
        except UsageLimitExceeded as error:
            caught.append(str(error))
            raise

    asked = Asking(do)
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match=r"UsageLimitExceeded: .*request_limit of 2"):
            await h.call(asked.ask, "Hi")
    assert len(caught) == 1


def again() -> str:
    return "again"


async def test_a_model_that_never_gives_what_is_asked_for_is_final(model: ScriptedModel) -> None:
    model.script = lambda request: Reply.calling(("no_such_tool", {}))
    asked = asking(assistant(tools=[again], retries=1))
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="UnexpectedModelBehavior"):
            await h.call(asked.ask, "Hi")


async def test_an_empty_answer_of_a_content_filter_is_final_and_keeps_its_type(model: ScriptedModel) -> None:
    model.script = lambda request: Answer(Reply(""), finish_reason="content_filter")
    agent = DurableAgent(assistant())

    async def do(question: str) -> str:
        with pytest.raises(UnexpectedModelBehavior) as caught:
            await agent.run(question)
        raise caught.value

    asked = Asking(do)
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match=ContentFilterError.__name__):
            await h.call(asked.ask, "Hi")


async def test_a_cancel_ends_the_request_that_is_under_way(model: ScriptedModel) -> None:
    model.faults.append(Fault(delay_s=60))
    asked = asking(impatient(name="Ann"))
    asked_before = len(model.log.calls)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        await asyncio.to_thread(model.log.wait_for, asked_before + 1)
        began = time.monotonic()
        await h.cancel(sent.invocation_id)
        with pytest.raises(TerminalError, match="cancelled"):
            await h.attach(asked.ask, sent)
        assert time.monotonic() - began < 50
        await asyncio.to_thread(model.log.wait_until, lambda calls: calls[-1].fate is Fate.ABANDONED)


async def test_a_cancel_ends_the_agents_below(model: ScriptedModel, wait_until: Callable[..., Awaitable[None]]) -> None:
    model.script = lambda request: Reply.calling(("ask_other", {}))
    other = perdure.Service("Other")
    waits = DurableAgent(assistant(), name="Other")

    @other.handler()
    async def answer(ctx: perdure.Context) -> str:
        await ctx.sleep(timedelta(days=1))
        return (await waits.run("?")).output

    async def ask_other() -> str:
        return await perdure.current_context().service_call(answer)

    asked = asking(assistant(tools=[ask_other]))
    asked_before = len(model.log.calls)
    async with Harness(asked.service, other) as h:
        sent = await h.send(asked.ask, "Hi")
        await asyncio.to_thread(model.log.wait_for, asked_before + 1)
        await wait_until(lambda: bool(h.invocations(answer)), "the other agent is called")
        await h.cancel(sent.invocation_id)
        with pytest.raises(TerminalError, match="cancelled"):
            await h.attach(asked.ask, sent)
        [below] = h.invocations(answer)
        assert (await h.outcome(below.id)).failure is not None


async def test_an_agent_that_cancels_itself_is_final(model: ScriptedModel) -> None:

    model.script = lambda request: Reply.calling(("stop", {}))

    async def stop(run: RunContext[None]) -> None:
        run.cancel()

    agent = DurableAgent(assistant(tools=[stop]))

    async def do(question: str) -> None:
        try:
            await agent.run(question)
        except RunCancelled as error:
            raise error

    asked = Asking(do)
    async with Harness(asked.service) as h:
        with pytest.raises(TerminalError, match="RunCancelled"):
            await h.call(asked.ask, "Hi")


@pytest.mark.parametrize("where", ["model", "tool"])
async def test_no_hook_makes_anything_else_of_a_cancel(
    where: str, model: ScriptedModel, wait_until: Callable[..., Awaitable[None]]
) -> None:
    hooks: Hooks[Any] = Hooks()

    @hooks.on.model_request_error
    async def answer(ctx: Any, *, request_context: Any, error: Exception) -> ModelResponse:
        return ModelResponse([TextPart("all is fine")])

    @hooks.on.tool_execute_error
    async def result(ctx: Any, *, call: Any, tool_def: Any, args: Any, error: Exception) -> str:
        return "all is fine"

    async def sleep() -> None:
        await perdure.current_context().sleep(timedelta(days=1))

    model.script = lambda request: Reply("done") if request.results else Reply.calling(("sleep", {}))
    if where == "model":
        model.faults.append(Fault(delay_s=60))
    asked_before = len(model.log.calls)
    asked = asking(impatient(tools=[sleep], capabilities=[hooks]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        await asyncio.to_thread(model.log.wait_for, asked_before + 1)
        await wait_until(lambda: where == "model" or "sleep" in h.journal(sent).types(), "the tool sleeps")
        await h.cancel(sent.invocation_id)
        with pytest.raises(TerminalError, match="cancelled"):
            await h.attach(asked.ask, sent)


async def test_a_cancel_ends_each_of_several_runs_though_another_ends_first(model: ScriptedModel) -> None:
    hooks: Hooks[Any] = Hooks()
    other_ended = asyncio.Event()

    @hooks.on.model_request_error
    async def answer(ctx: Any, *, request_context: Any, error: Exception) -> ModelResponse:
        await other_ended.wait()
        return ModelResponse([TextPart("all is fine")])

    soothed, plain = DurableAgent(impatient(capabilities=[hooks])), DurableAgent(impatient())
    ended: list[str] = []

    async def ends_first(question: str) -> None:
        try:
            await plain.run(question)
        finally:
            other_ended.set()

    async def do(question: str) -> None:
        results = await asyncio.gather(soothed.run(question), ends_first(question), return_exceptions=True)
        ended.extend(type(each).__name__ for each in results)

    model.faults.extend([Fault(delay_s=60)] * 2)
    asked_before = len(model.log.calls)
    asked = Asking(do)
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        await asyncio.to_thread(model.log.wait_for, asked_before + 2)
        await h.cancel(sent.invocation_id)
        await h.outcome(sent)
    assert ended == ["Cancelled", "Cancelled"]


async def test_a_tool_that_raises_another_error_from_a_cancel_ends_the_run_by_it(
    model: ScriptedModel, wait_until: Callable[..., Awaitable[None]]
) -> None:
    class BookingFailed(Exception):
        pass

    async def book() -> None:
        try:
            await perdure.current_context().sleep(timedelta(days=1))
        except TerminalError as error:
            raise BookingFailed from error

    model.script = lambda request: Reply("done") if request.results else Reply.calling(("book", {}))
    asked_before = len(model.log.calls)
    asked = asking(impatient(tools=[book]))
    async with Harness(asked.service) as h:
        sent = await h.send(asked.ask, "Hi")
        await wait_until(lambda: "sleep" in h.journal(sent).types(), "the tool sleeps")
        await h.cancel(sent.invocation_id)
        ended = await h.outcome(sent)
    assert ended.failure is not None
    assert ended.failure.code == 409
    assert len(model.log.calls) == asked_before + 1
