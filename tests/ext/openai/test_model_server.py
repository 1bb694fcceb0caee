"""The scripted model, asked by OpenAI Agents in both of OpenAI's interfaces."""

import pytest
from agents import Agent, ModelProvider, MultiProvider, RunConfig, Runner, function_tool

from perdure.testing.model import ChatRequest, Reply, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="session")  # the SDK keeps connections, which belong to a loop

both_interfaces = pytest.mark.parametrize("interface", ["chat", "responses"])


@pytest.fixture(autouse=True)
def scripted(model: ScriptedModel) -> None:
    model.forget()
    model.script = script


def script(request: ChatRequest) -> Reply:
    assert request.instructions == "Be kind."
    if request.results:
        return Reply(", ".join(f"{name}: {said}" for name, said in sorted(request.results.items())))
    return Reply.calling(("weather", {"city": request.question}), ("time", {"city": request.question}))


@function_tool
def weather(city: str) -> str:
    return f"rain in {city}"


@function_tool
def time(city: str) -> str:
    return f"noon in {city}"


AGENT = Agent("Kind", instructions="Be kind.", model="gpt-4o-mini", tools=[weather, time])


def provider(model: ScriptedModel, interface: str) -> ModelProvider:
    return MultiProvider(
        openai_base_url=model.base_url, openai_api_key="none", openai_use_responses=interface == "responses"
    )


@both_interfaces
async def test_several_tools_are_called_in_one_answer(model: ScriptedModel, interface: str) -> None:
    run = RunConfig(model_provider=provider(model, interface), tracing_disabled=True)
    result = await Runner.run(AGENT, "Oslo", run_config=run)
    assert result.final_output == "time: noon in Oslo, weather: rain in Oslo"
    assert [call.interface for call in model.log.calls] == [interface] * 2
    assert [bool(response.usage.total_tokens) for response in result.raw_responses] == [True, True]


@both_interfaces
async def test_in_pieces_it_is_the_same(model: ScriptedModel, interface: str) -> None:
    run = RunConfig(model_provider=provider(model, interface), tracing_disabled=True)
    streamed = Runner.run_streamed(AGENT, "Oslo", run_config=run)
    pieces = [event async for event in streamed.stream_events() if event.type == "raw_response_event"]
    assert streamed.final_output == "time: noon in Oslo, weather: rain in Oslo"
    assert len(pieces) > 10
