"""The Responses interface, told as chat: what OpenAI's own client sends and reads."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openai import BadRequestError, OpenAI

from perdure.llm.answers import complete
from perdure.llm.chat import ChatRequest, Function, Reply, ToolCall
from perdure.llm.responses import request, response
from perdure.testing.model import Answer, ScriptedModel

WEATHER = {"type": "function", "name": "weather", "description": "Today's", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'}
RETURNED = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}


def read(**body: Any) -> ChatRequest:
    return request(json.dumps(body).encode())


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[OpenAI]:
    with OpenAI(base_url=model.base_url, api_key="none", max_retries=0) as client:
        yield client


def test_a_question_is_answered_with_text(model: ScriptedModel, client: OpenAI) -> None:
    assert client.responses.create(model="any", input="hello").output_text == "You asked: hello"
    assert [(call.question, call.has_tools) for call in model.log.calls] == [("hello", False)]


def test_a_tool_is_called_and_what_it_returned_is_read(model: ScriptedModel, client: OpenAI) -> None:
    [called] = client.responses.create(model="any", input="hello", tools=[WEATHER]).output  # type: ignore[arg-type]
    assert called.type == "function_call"
    assert (called.name, called.arguments) == ("weather", "{}")

    model.script = lambda request: Reply(content=str(request.messages[-1]))
    said = client.responses.create(model="any", input=[called.to_dict(), RETURNED])  # type: ignore[arg-type]
    assert said.output_text == str({"role": "tool", "tool_call_id": "call_1", "content": "rain"})


def test_what_was_said_is_known_again_by_its_id(client: OpenAI) -> None:
    [said] = client.responses.create(model="any", input="hello").output
    asked = read(input=[{"type": "item_reference", "id": said.id}])
    assert asked.messages == [{"role": "assistant", "content": "You asked: hello"}]


def test_a_conversation_is_one_of_chat_completions() -> None:
    asked = read(
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "input_text", "text": "Rain"}, {"type": "input_text", "text": "?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            CALL,
            {**CALL, "call_id": "call_2"},
            RETURNED,
        ],
        tools=[WEATHER, {"type": "web_search"}],
    )
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    calls = [{"id": id, "type": "function", "function": function} for id in ("call_1", "call_2")]
    assert asked.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Rain ?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    assert [tool.function.name for tool in asked.tools or ()] == ["weather"]


def test_text_and_calls_of_one_reply_are_items_of_one_response() -> None:
    reply = Reply(content="Let me see.", tool_calls=[ToolCall("call_1", Function("weather"))])
    answer = complete(reply, ChatRequest([]), "any")
    assert [item["type"] for item in response(answer)["output"]] == ["message", "function_call"]


def test_the_same_words_said_twice_are_two_items(client: OpenAI) -> None:
    [once] = client.responses.create(model="any", input="hello").output
    [twice] = client.responses.create(model="any", input="hello").output
    assert once.id != twice.id


def test_in_pieces_it_is_the_same(model: ScriptedModel, client: OpenAI) -> None:
    model.script = lambda _: Reply.calling(("weather", {"city": "Oslo"}), ("weather", {}), content="Let me see.")
    asked: dict[str, Any] = {"model": "any", "input": "hello", "tools": [WEATHER]}
    whole = client.responses.create(**asked)
    with client.responses.stream(**asked) as stream:
        events = list(stream)
        said = stream.get_final_response()
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["Let", " me", " see."]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (said.status, said.output_text, said.usage) == ("completed", whole.output_text, whole.usage)
    assert [each.arguments for each in said.output[1:]] == ['{"city": "Oslo"}', "{}"]  # type: ignore[union-attr]


def test_an_answer_that_was_too_long_is_incomplete(model: ScriptedModel, client: OpenAI) -> None:
    model.script = lambda _: Answer(Reply("Once upon"), "length")
    said = client.responses.create(model="any", input="hello")
    assert said.incomplete_details is not None
    assert (said.status, said.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"previous_response_id": "resp_1"}, "no responses are kept"),
        ({"input": [{"type": "item_reference", "id": "msg_ø"}]}, "there is no item 'msg_ø'"),
    ],
)
def test_what_is_not_served_is_refused_in_words(client: OpenAI, asked: dict[str, Any], refusal: str) -> None:
    with pytest.raises(BadRequestError, match=refusal):
        client.responses.create(model="any", **{"input": "hello", **asked})


def test_what_is_no_request_at_all_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        request(b"hello")
