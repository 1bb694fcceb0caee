"""The scripted model, asked by Pydantic AI in all four interfaces: one script serves them all."""

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput

from perdure.testing.model import ChatRequest, Fault, Reply, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the SDK keeps connections, which belong to a loop

MODELS = {
    "chat": "openai-chat:gpt-4o-mini",
    "responses": "openai-responses:gpt-4o-mini",
    "anthropic": "anthropic:claude-opus-5",
    "gemini": "google:gemini-2.5-flash",
}
every_interface = pytest.mark.parametrize("interface", MODELS)


class City(BaseModel):
    name: str


@pytest.fixture(autouse=True)
def scripted(model: ScriptedModel) -> None:
    model.forget()
    model.script = script


def script(request: ChatRequest) -> Reply:
    assert request.instructions == "Be kind."
    if request.results:
        return Reply(", ".join(f"{name}: {said}" for name, said in sorted(request.results.items())))
    return Reply.calling(("weather", {"city": request.question}), ("time", {"city": request.question}))


def weather(city: str) -> str:
    return f"rain in {city}"


def time(city: str) -> str:
    return f"noon in {city}"


def agent(interface: str) -> Agent:
    return Agent(MODELS[interface], instructions="Be kind.", tools=[weather, time])


@every_interface
async def test_several_tools_are_called_in_one_answer(model: ScriptedModel, interface: str) -> None:
    async with agent(interface) as asking:
        result = await asking.run("Oslo")
    assert result.output == "time: noon in Oslo, weather: rain in Oslo"
    assert [call.interface for call in model.log.calls] == [interface] * 2
    assert result.usage.requests == 2
    assert min(result.usage.input_tokens, result.usage.output_tokens) > 0


@every_interface
async def test_in_pieces_it_is_the_same(model: ScriptedModel, interface: str) -> None:
    async with agent(interface) as asking, asking.run_stream("Oslo") as streamed:
        pieces = [piece async for piece in streamed.stream_text(delta=True, debounce_by=None)]
    assert "".join(pieces) == "time: noon in Oslo, weather: rain in Oslo"
    assert len(pieces) > 1


@every_interface
async def test_an_answer_with_a_schema_is_the_scripts(model: ScriptedModel, interface: str) -> None:
    def script(request: ChatRequest) -> Reply:
        assert request.schema is not None
        return Reply.of(dict.fromkeys(request.schema["properties"], "Oslo"))

    model.script = script
    async with Agent(MODELS[interface], output_type=NativeOutput(City)) as asking:
        assert (await asking.run("where?")).output == City(name="Oslo")


@every_interface
async def test_refusals_have_their_status_and_the_providers_body(model: ScriptedModel, interface: str) -> None:
    model.aim(Fault(status=401))
    async with agent(interface) as asking:
        with pytest.raises(ModelHTTPError, match="a planned fault") as caught:
            await asking.run("Oslo")
    assert caught.value.status_code == 401
