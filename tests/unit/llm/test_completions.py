"""Chat completions, as OpenAI's own client asks for them."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from pydantic import BaseModel

from perdure.llm.chat import ChatRequest, Reply
from perdure.testing.model import Answer, ScriptedModel, Usage

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
TWICE = Reply.calling(("weather", {"city": "Oslo"}), ("weather", {"city": "New York"}), content="Let me see.")
HELLO: Any = [{"role": "user", "content": "hello"}]


class City(BaseModel):
    name: str


def called(calls: Any) -> list[tuple[str, str, str]]:
    return [(call.id, call.function.name, call.function.arguments) for call in calls]


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[OpenAI]:
    with OpenAI(base_url=model.base_url, api_key="none", max_retries=0) as client:
        yield client


def test_an_answer_has_an_id_of_its_own_a_reason_and_what_it_cost(client: OpenAI) -> None:
    answers = [client.chat.completions.create(model="gpt-5", messages=HELLO) for _ in range(2)]
    assert answers[0].id != answers[1].id
    [answer, _] = answers
    assert (answer.model, answer.choices[0].finish_reason) == ("gpt-5", "stop")
    assert answer.usage is not None
    assert 0 < answer.usage.prompt_tokens < answer.usage.total_tokens


def test_the_script_may_say_why_it_ended_and_what_it_cost(model: ScriptedModel, client: OpenAI) -> None:
    model.script = lambda _: Answer(Reply("Once upon"), "length", Usage(90, 10, cached_tokens=80), "gpt-5-2026")
    answer = client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert (answer.model, answer.choices[0].finish_reason) == ("gpt-5-2026", "length")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert (answer.usage.total_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (100, 80)


def test_several_tools_are_called_in_one_answer(model: ScriptedModel, client: OpenAI) -> None:
    model.script = lambda _: TWICE
    asked: dict[str, Any] = {"model": "any", "messages": HELLO, "tools": [WEATHER]}
    [choice] = client.chat.completions.create(**asked).choices
    assert choice.message.content == "Let me see."
    calls = choice.message.tool_calls or []
    assert [call.function.arguments for call in calls] == ['{"city": "Oslo"}', '{"city": "New York"}']  # type: ignore[union-attr]
    assert choice.finish_reason == "tool_calls"
    assert len({call.id for call in calls}) == 2
    [again] = client.chat.completions.create(**asked).choices
    assert again.message.tool_calls == calls, "who asks again gets the same ids"


def test_in_pieces_it_is_the_same(model: ScriptedModel, client: OpenAI) -> None:
    model.script = lambda _: TWICE
    asked: dict[str, Any] = {"model": "any", "messages": HELLO, "tools": [WEATHER]}
    whole = client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta" and event.delta]
        said = stream.get_final_completion()
    assert pieces == ["Let", " me", " see."]
    told, heard = whole.choices[0].message, said.choices[0].message
    assert (heard.content, called(heard.tool_calls)) == (told.content, called(told.tool_calls))
    assert (said.usage, said.choices[0].finish_reason) == (whole.usage, "tool_calls")


def test_what_it_cost_is_no_piece_unless_asked_for(client: OpenAI) -> None:
    pieces = list(client.chat.completions.create(model="any", messages=HELLO, stream=True))
    assert [len(piece.choices) for piece in pieces] == [1] * len(pieces)


def test_an_answer_with_a_schema_is_the_scripts(model: ScriptedModel, client: OpenAI) -> None:
    def script(request: ChatRequest) -> Reply:
        assert request.schema is not None
        assert list(request.schema["properties"]) == ["name"]
        return Reply.of({"name": "Oslo"})

    model.script = script
    chat = client.chat.completions.parse(model="any", messages=HELLO, response_format=City)
    assert chat.choices[0].message.parsed == City(name="Oslo")
    assert client.responses.parse(model="any", input="hello", text_format=City).output_parsed == City(name="Oslo")


def test_a_script_reads_what_the_tools_returned_since_the_question(model: ScriptedModel, client: OpenAI) -> None:
    seen: list[ChatRequest] = []
    model.script = lambda request: seen.append(request) or Reply("done")
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages: Any = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "tool_calls": [{**call, "id": "call_0"}]},
        {"role": "tool", "tool_call_id": "call_0", "content": "no"},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    client.chat.completions.create(model="any", messages=messages, tools=[WEATHER], temperature=0.5)  # type: ignore[list-item]
    [request] = seen
    assert request.results == {"weather": "rain"}
    assert (request.instructions, request.question, request.offered) == ("Be kind.", "And now?", ["weather"])
    assert request.settings == {"temperature": 0.5}
