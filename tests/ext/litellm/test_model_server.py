"""The scripted model, asked by LiteLLM as three providers: one script serves them all."""

from typing import Any

import litellm
import pytest

from perdure.testing.model import ChatRequest, Fault, Reply, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")  # the SDK keeps connections, which belong to a loop

MODELS = {"chat": "openai/gpt-4o-mini", "anthropic": "anthropic/claude-opus-5", "gemini": "gemini/gemini-2.5-flash"}
every_provider = pytest.mark.parametrize("interface", MODELS)
TOOLS = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": {"type": "object"}}}
    for name in ("weather", "time")
]


@pytest.fixture(autouse=True)
def scripted(model: ScriptedModel) -> None:
    model.forget()
    model.script = script


def script(request: ChatRequest) -> Reply:
    assert request.instructions == "Be kind."
    if request.results:
        return Reply(", ".join(f"{name}: {said}" for name, said in sorted(request.results.items())))
    return Reply.calling(*((name, {"city": "Oslo"}) for name in request.offered)) if request.tools else Reply("hello")


def conversation() -> list[Any]:
    return [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Oslo?"}]


@every_provider
async def test_several_tools_are_called_in_one_answer(model: ScriptedModel, interface: str) -> None:
    messages = conversation()
    answer = await litellm.acompletion(model=MODELS[interface], messages=messages, tools=TOOLS)
    [choice] = answer.choices
    assert [call.function.name for call in choice.message.tool_calls] == ["weather", "time"]
    assert choice.finish_reason == "tool_calls"
    assert answer.usage.total_tokens > 0
    messages.append(choice.message.model_dump())
    for call in choice.message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"fine {call.function.name}"})
    answer = await litellm.acompletion(model=MODELS[interface], messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content == "time: fine time, weather: fine weather"
    assert [call.interface for call in model.log.calls] == [interface] * 2


@every_provider
async def test_in_pieces_it_is_the_same(model: ScriptedModel, interface: str) -> None:
    pieces = await litellm.acompletion(model=MODELS[interface], messages=conversation(), stream=True)
    assert "".join([piece.choices[0].delta.content or "" async for piece in pieces]) == "hello"


@every_provider
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, litellm.BadRequestError),
        (401, litellm.AuthenticationError),
        (429, litellm.RateLimitError),
        (500, litellm.InternalServerError),
    ],
)
async def test_refusals_are_known_by_status_and_words(
    model: ScriptedModel, interface: str, status: int, error: type[Exception]
) -> None:
    model.aim(Fault(status=status))
    with pytest.raises(error, match="a planned fault"):
        await litellm.acompletion(model=MODELS[interface], messages=conversation(), num_retries=0, max_retries=0)


async def test_openais_filter_is_known_by_its_words(model: ScriptedModel) -> None:
    model.aim(Fault(filtered=True))
    with pytest.raises(litellm.ContentPolicyViolationError, match="a planned fault"):
        await litellm.acompletion(model=MODELS["chat"], messages=conversation(), num_retries=0, max_retries=0)
