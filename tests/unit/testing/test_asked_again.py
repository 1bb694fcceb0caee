"""A model that is asked again what a journal has the answer to is found; one that is asked again with reason is not."""

import pytest

import perdure
from perdure.llm import llm_call
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply, ScriptedModel

desk = perdure.Service("Desk")
specialist = perdure.Service("Specialist")
FORGETFUL: list[str] = []


@desk.handler()
async def answer(ctx: perdure.Context, question: str) -> str:
    topic = await ctx.run_typed("classify", llm_call, messages=f"classify: {question}")
    first = ctx.run_typed("first opinion", llm_call, messages="opinion")
    second = ctx.run_typed("second opinion", llm_call, messages="opinion")
    opinions = [(await each).content for each in await perdure.gather(first, second)]
    return f"{await ctx.service_call(explain, topic.content or '')} {opinions}"


@specialist.handler()
async def explain(ctx: perdure.Context, topic: str) -> str:
    return (await ctx.run_typed("explain", llm_call, messages=f"explain: {topic}")).content or ""


@desk.handler()
async def forgetful(ctx: perdure.Context, question: str) -> str:
    """Asks the model anew in each attempt."""
    reply = await llm_call(question)
    await ctx.run_typed("look", lambda: None)
    return reply.content or ""


@desk.handler()
async def keeps_what_it_forgot(ctx: perdure.Context, question: str) -> str:
    """Asks in a step, and in the next attempt once more beside it."""
    reply = await ctx.run_typed("ask", llm_call, messages=question)
    await ctx.run_typed("look", lambda: None)
    FORGETFUL.append(question)
    if len(FORGETFUL) % 2 == 0:
        await llm_call(question)
    return reply.content or ""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ScriptedModel:
    def script(request: ChatRequest) -> Reply:
        return Reply(f"({request.question})")

    model = ScriptedModel(script)
    monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
    return model


async def test_durable_agents_ask_nothing_again_wherever_the_crash_is(model: ScriptedModel) -> None:
    passes: list[int] = []
    with model:
        async with Harness([desk, specialist]) as h:
            for everywhere in (False, True):
                before = model.log.count("explain: (classify: why?)")
                await h.crash_at_every_step(answer, "why?", everywhere=everywhere, model=model)
                passes.append(model.log.count("explain: (classify: why?)") - before)
    assert passes[1] > passes[0]


async def test_an_answer_that_is_not_recorded_is_found(model: ScriptedModel) -> None:
    with model:
        async with Harness(desk) as h:
            with pytest.raises(AssertionError, match=r"an answer that no journal has: .*why"):
                await h.crash_at_every_step(forgetful, "why?", model=model)


async def test_what_is_asked_again_is_found(model: ScriptedModel) -> None:
    FORGETFUL.clear()
    with model:
        async with Harness(desk) as h:
            with pytest.raises(AssertionError, match=r"what a model was asked again .*: nothing without, .*why"):
                await h.crash_at_every_step(keeps_what_it_forgot, "why?", model=model)


async def test_a_crash_right_before_the_answer_is_recorded_is_a_reason_to_ask_again(model: ScriptedModel) -> None:
    with model:
        async with Harness([desk, specialist]) as h:
            point = h.crash_at_nth("Specialist/explain", 1, 2, before=True)
            await h.call(answer, "why?")
            assert point.reached
    assert model.log.count("explain: (classify: why?)") == 2
    assert model.log.count("classify: why?") == 1
