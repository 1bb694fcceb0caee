"""How a conversation is shown to people."""

from typing import Any

from perdure.cli.conversation import conversation_lines

RUN = "Command: Run"


def lines(*records: dict[str, Any]) -> list[str]:
    return list(
        conversation_lines({"id": "inv_1", "depth": 0, "index": 1, "entry_type": RUN} | each for each in records)
    )


def model_call(**call: Any) -> dict[str, Any]:
    return {"name": "Clerk asks gpt", "value": {"model_call": {"call": 2, "model": "gpt", **call}, "response": {}}}


def test_a_model_call_shows_who_asks_what_it_cost_and_what_is_new() -> None:
    told = lines(
        model_call(
            follows={"call": 1, "messages": 3},
            instructions={"as_in_call": 1},
            tools=[{"name": "look_up"}, {"name": "charge"}],
            settings={"temperature": 0},
            messages=[{"role": "tool", "tool_call_id": "a", "content": "two\nlines"}],
            said=[
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "b", "name": "charge", "arguments": '{"n":1}'}],
                }
            ],
            usage={"input_tokens": 12, "output_tokens": 3, "cached_tokens": 8},
            finish_reason="tool_calls",
            answered_by="gpt-0613",
            latency_ms=40,
        )
    )
    assert told == [
        "1 Clerk asks gpt, call 2, 40 ms, 12 (8 cached) + 3 tokens, tool_calls, answered by gpt-0613",
        "    goes on after call 1 (3 messages)",
        "    tools: look_up, charge",
        '    settings: {"temperature": 0}',
        "    tool: two",
        "    lines",
        '    assistant calls charge {"n":1}',
    ]


def test_what_a_session_had_is_named_and_new_instructions_are_shown() -> None:
    told = lines(model_call(follows={"session": "chat", "messages": 4}, instructions="Be kind."))
    assert told[1:] == ["    goes on after the session chat (4 messages)", "    instructions: Be kind."]


def test_parts_of_a_content_are_shown_by_their_text() -> None:
    parts = [{"type": "text", "text": "look:"}, {"type": "image", "url": "x"}]
    told = lines(model_call(messages=[{"role": "user", "content": parts}]))
    assert told[1:] == ["    user: look:", '    {"type": "image", "url": "x"}']


def test_a_tool_call_shows_arguments_and_result() -> None:
    value = {"tool_call": {"name": "charge", "arguments": {"n": 1}, "latency_ms": 5}, "result": {"paid": True}}
    told = lines({"name": "tool charge", "value": value}, model_call())
    assert told[:3] == ["1 tool charge, 5 ms", '    arguments: {"n": 1}', '    result: {"paid": true}']


def test_failures_and_what_is_under_way_are_told() -> None:
    told = lines(
        {"name": "a", "failure": "[400] no such model", "attempts": ["429 slow down", "timeout"]},
        {"name": "b"},
        model_call(),
    )
    assert told[:6] == [
        "1 a",
        "    tried again after: 429 slow down",
        "    tried again after: timeout",
        "    failed: [400] no such model",
        "1 b",
        "    has not ended",
    ]


def test_what_was_called_is_indented_below_the_call() -> None:
    call = {"entry_type": "Command: Call", "invoked_target": "Clerk/run", "invoked_id": "inv_2", "value": "hi"}
    below = {"depth": 1, "id": "inv_2", "entry_type": "Command: Output", "value": "ho"}
    assert lines(call, below, model_call())[:4] == [
        "1 Call Clerk/run inv_2",
        "    hi",
        "  1 Output",
        "      ho",
    ]


def test_nothing_that_was_said_commands_a_terminal_or_fills_it() -> None:
    value = "\x1b[2J" + "a" * 5000
    [_, shown, _] = lines({"name": "b", "value": value})
    assert shown.startswith("    \\x1b[2Jaaa")
    assert shown.endswith("a… (1004 characters more: --json has all)")


def test_an_invocation_without_model_calls_says_so() -> None:
    [_, said] = lines({"entry_type": "Command: Input"})
    assert "no model call is recorded here" in said
    assert "DurableRunner" in said
