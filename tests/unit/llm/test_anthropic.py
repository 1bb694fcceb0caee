"""Anthropic's Messages, as their own client asks for them."""

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic, BadRequestError
from anthropic.types import ToolUseBlock

from perdure.llm.chat import ChatRequest, Reply
from perdure.testing.model import Answer, ScriptedModel, Usage

WEATHER = {"name": "weather", "description": "Today's", "input_schema": {"type": "object"}}
ASKED: dict[str, Any] = {"model": "claude", "max_tokens": 99, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[Anthropic]:
    with Anthropic(base_url=model.anthropic_url, api_key="none", max_retries=0) as client:
        yield client


def test_a_question_is_answered_with_text(model: ScriptedModel, client: Anthropic) -> None:
    answer = client.messages.create(**ASKED)
    [text] = answer.content
    assert (text.type, text.text) == ("text", "You asked: hello")  # type: ignore[union-attr]
    assert (answer.model, answer.stop_reason) == ("claude", "end_turn")
    assert min(answer.usage.input_tokens, answer.usage.output_tokens) > 0
    assert [(call.interface, call.model, call.response_id) for call in model.log.calls] == [
        ("anthropic", "claude", answer.id)
    ]


def test_a_conversation_is_one_of_chat_completions(model: ScriptedModel, client: Anthropic) -> None:
    seen: list[ChatRequest] = []
    model.script = lambda request: seen.append(request) or Reply("done")
    used = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}
    blocks = {**result, "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "snow"}]}
    turns: Any = [
        {"role": "user", "content": [{"type": "text", "text": "Rain?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Well"}, used, {**used, "id": "toolu_2"}]},
        {"role": "user", "content": [result, blocks, {"type": "text", "text": "Go on."}]},
    ]
    client.messages.create(**{**ASKED, "messages": turns}, system="Be kind.", tools=[WEATHER])
    [request] = seen
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    calls = [{"id": id, "type": "function", "function": function} for id in ("toolu_1", "toolu_2")]
    assert request.messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": "Well", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "snow"},
        {"role": "user", "content": "Go on."},
    ]
    assert (request.offered, request.settings) == (["weather"], {"max_tokens": 99})


def test_in_pieces_it_is_the_same(model: ScriptedModel, client: Anthropic) -> None:
    model.script = lambda _: Reply.calling(("weather", {"city": "Oslo"}), ("weather", {}), content="Let me see.")
    whole = client.messages.create(**ASKED, tools=[WEATHER])
    with client.messages.stream(**ASKED, tools=[WEATHER]) as stream:
        assert list(stream.text_stream) == ["Let", " me", " see."]
        said = stream.get_final_message()
    assert [block.to_dict() for block in said.content] == [block.to_dict() for block in whole.content]
    assert isinstance(whole.content[1], ToolUseBlock)
    assert whole.content[1].input == {"city": "Oslo"}
    assert (said.stop_reason, said.usage.output_tokens) == ("tool_use", whole.usage.output_tokens)


def test_tokens_that_were_cached_are_told_apart(model: ScriptedModel, client: Anthropic) -> None:
    model.script = lambda _: Answer(Reply("no"), "content_filter", Usage(90, 10, cached_tokens=80))
    answer = client.messages.create(**ASKED)
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (10, 80)
    assert answer.stop_reason == "refusal"


def test_an_answer_with_a_schema_is_the_scripts(model: ScriptedModel, client: Anthropic) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    model.script = lambda request: Reply.of(request.schema)
    answer = client.messages.create(**ASKED, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert answer.content[0].text == Reply.of(schema).content  # type: ignore[union-attr]


def test_a_script_that_fails_says_where_and_is_not_asked_again(model: ScriptedModel, client: Anthropic) -> None:
    def script(request: ChatRequest) -> Reply:
        raise ValueError("never heard of that")

    model.script = script
    with pytest.raises(BadRequestError, match=r"failed at test_anthropic\.py:\d+: ValueError: never heard of that"):
        client.messages.create(**ASKED)
