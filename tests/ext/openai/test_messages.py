"""The SDK's items as the messages that a journal holds."""

from typing import Any

import pytest
from agents import ModelResponse, Usage
from agents.testing import assistant_message, function_call
from openai.types.responses import ResponseFunctionWebSearch

from perdure.ext.openai.messages import as_messages
from perdure.ext.openai.responses import RESPONSE

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "rain"}}


def test_a_text_is_what_the_user_says() -> None:
    assert as_messages("hello") == [{"role": "user", "content": "hello"}]


def test_all_that_a_model_says_in_one_go_is_one_message() -> None:
    items: list[Any] = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Think."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "1", "name": "a", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "b", "arguments": "{}"},
        SEARCH,
    ]
    [said] = as_messages(items)
    assert said["content"] == "Let me see."
    assert said["reasoning"] == "Think."
    assert [call["name"] for call in said["tool_calls"]] == ["a", "b"]
    assert said["hosted"] == [{"type": "web_search_call", "action": SEARCH["action"]}]


def test_what_a_tool_gave_answers_its_call() -> None:
    items: list[Any] = [
        {"type": "function_call_output", "call_id": "1", "output": "42"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "43"}]},
        {"type": "shell_call_output", "call_id": "3", "output": [{"stdout": "a.txt"}]},
    ]
    assert as_messages(items) == [
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "tool", "tool_call_id": "2", "content": "43"},
        {"role": "tool", "tool_call_id": "3", "content": [{"stdout": "a.txt"}]},
    ]


def test_pictures_are_parts() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": None}
    [message] = as_messages([{"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, picture]}])  # type: ignore[list-item]
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
    ]


@pytest.mark.parametrize(
    "output",
    [
        [assistant_message("hello")],
        [function_call("a", {"n": 1}, call_id="1"), function_call("b", {}, call_id="2")],
        [ResponseFunctionWebSearch.model_validate(SEARCH), assistant_message("it rains")],
    ],
)
def test_a_response_reads_the_same_when_it_comes_back_in_the_next_request(output: list[Any]) -> None:
    response = ModelResponse(output, Usage(), None)
    read = RESPONSE.from_json(RESPONSE.to_json(response))
    assert read == response
    assert as_messages(read.to_input_items()) == as_messages(response.to_input_items())


def test_an_item_that_nobody_has_heard_of_is_kept() -> None:
    item = {"type": "brand_new_call", "id": "x", "foo": {"a": 1}}
    read = RESPONSE.from_json({"output": [item], "usage": {}, "response_id": None})
    assert RESPONSE.to_json(read)["output"] == [item]
