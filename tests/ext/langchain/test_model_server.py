"""The scripted model, asked by LangChain's client of OpenAI: it finds it by the environment."""

import pytest
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from perdure.testing.model import ChatRequest, Reply, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the SDK keeps connections, which belong to a loop


class City(BaseModel):
    name: str


@pytest.fixture(autouse=True)
def scripted(model: ScriptedModel) -> None:
    model.forget()
    model.script = script


def script(request: ChatRequest) -> Reply:
    if request.schema:
        return Reply.of({"name": "Oslo"})
    if request.results:
        return Reply(", ".join(f"{name}: {said}" for name, said in sorted(request.results.items())))
    return Reply.calling(("weather", {"city": request.question}), ("time", {"city": request.question}))


def weather(city: str) -> str:
    """Today's weather."""
    return f"rain in {city}"


def time(city: str) -> str:
    """The time there."""
    return f"noon in {city}"


async def test_several_tools_are_called_in_one_answer(model: ScriptedModel) -> None:
    agent = create_agent(ChatOpenAI(model="gpt-4o-mini"), [weather, time], system_prompt="Be kind.")
    state = await agent.ainvoke({"messages": [{"role": "user", "content": "Oslo"}]})
    [*_, last] = state["messages"]
    assert last.content == "time: noon in Oslo, weather: rain in Oslo"
    assert last.usage_metadata["total_tokens"] > 0
    assert [call.request.instructions for call in model.log.calls] == ["Be kind."] * 2


async def test_in_pieces_it_is_the_same(model: ScriptedModel) -> None:
    model.script = lambda request: Reply("rain in Oslo")
    pieces = [piece async for piece in ChatOpenAI(model="gpt-4o-mini", stream_usage=True).astream("Oslo")]
    assert "".join(piece.text for piece in pieces) == "rain in Oslo"
    assert sum(piece.usage_metadata["total_tokens"] for piece in pieces if piece.usage_metadata) > 0


async def test_an_answer_with_a_schema_is_the_scripts(model: ScriptedModel) -> None:
    assert await ChatOpenAI(model="gpt-4o-mini").with_structured_output(City).ainvoke("where?") == City(name="Oslo")
