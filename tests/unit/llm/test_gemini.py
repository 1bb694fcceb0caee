"""Gemini's interface, told as chat. Google's own client is asked in tests/ext, where it is installed."""

import json
from typing import Any

from perdure.llm.answers import complete
from perdure.llm.chat import ChatRequest, Reply
from perdure.llm.gemini import request, response


def read(*contents: dict[str, Any], **body: Any) -> ChatRequest:
    return request(json.dumps({"contents": contents, **body}).encode())


def called(name: str, **also: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {"city": "Oslo"}, **also}}


def returned(name: str, value: object, **also: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": value, **also}}


def test_a_conversation_is_one_of_chat_completions() -> None:
    asked = read(
        {"role": "user", "parts": [{"text": "Rain"}, {"text": "?"}, {"inlineData": {"data": ""}}]},
        {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "Well"}, called("weather", id="a")]},
        {"role": "user", "parts": [returned("weather", {"result": "rain"}, id="a")]},
        {"role": "model", "parts": [{"text": "Rain."}]},
        systemInstruction={"parts": [{"text": "Be kind."}]},
        tools=[{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT"}}]}, {"googleSearch": {}}],
        generationConfig={"temperature": 0},
    )
    call = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    assert asked.messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Rain ?"},
        {"role": "assistant", "content": "Well", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
        {"role": "assistant", "content": "Rain."},
    ]
    assert (asked.offered, asked.settings) == (["weather"], {"temperature": 0})


def test_results_without_ids_belong_to_calls_of_their_name_in_turn() -> None:
    asked = read(
        {"role": "model", "parts": [called("weather"), called("time"), called("weather")]},
        {"role": "user", "parts": [returned("weather", {}), returned("weather", {"a": 1}), returned("time", {"b": 2})]},
    )
    [calls, *results] = asked.messages
    ids = [call["id"] for call in calls["tool_calls"]]
    assert len(set(ids)) == 3
    assert [result["tool_call_id"] for result in results] == [ids[0], ids[2], ids[1]]
    assert [result["content"] for result in results] == ["{}", '{"a": 1}', '{"b": 2}']


def test_a_result_of_a_call_that_is_not_told_has_the_functions_name() -> None:
    assert read({"parts": [returned("weather", {"result": [1]})]}).results == {"weather": "[1]"}


def test_names_in_snake_case_are_read_and_users_data_is_left_alone() -> None:
    asked = read(
        {"role": "model", "parts": [{"function_call": {"name": "weather", "args": {"the_city": "Oslo"}}}]},
        system_instruction={"parts": [{"text": "Be kind."}]},
        tools=[{"function_declarations": [{"name": "weather", "parameters": {"properties": {"the_city": {}}}}]}],
        generation_config={"response_schema": {"properties": {"a_name": {}}}},
    )
    assert asked.instructions == "Be kind."
    assert asked.messages[1]["tool_calls"][0]["function"]["arguments"] == '{"the_city": "Oslo"}'
    assert asked.tools is not None
    assert asked.tools[0].function.parameters == {"properties": {"the_city": {}}}
    assert asked.schema == {"properties": {"a_name": {}}}


def test_schemas_are_json_schemas() -> None:
    schema = {"type": "OBJECT", "properties": {"type": {"type": "STRING"}, "all": {"type": "ARRAY", "items": {}}}}
    asked = read({"parts": []}, generationConfig={"responseSchema": schema})
    assert asked.schema == {
        "type": "object",
        "properties": {"type": {"type": "string"}, "all": {"type": "array", "items": {}}},
    }


def test_an_answer_has_text_and_calls_as_parts() -> None:
    reply = Reply.calling(("weather", {"city": "Oslo"}), ("time", {}), content="Let me see.")
    answer = complete(reply, ChatRequest([]), "gemini")
    body = response(answer)
    [candidate] = body["candidates"]
    assert [list(part) for part in candidate["content"]["parts"]] == [["text"], ["functionCall"], ["functionCall"]]
    assert (candidate["finishReason"], body["modelVersion"], body["responseId"]) == ("STOP", "gemini", answer.id)
    assert body["usageMetadata"]["promptTokenCount"] > 0
