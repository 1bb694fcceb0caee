"""Values of graphs as JSON: what is written comes back, and what can be read is readable."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.types import Command, Send
from pydantic import BaseModel

from perdure.ext.langchain.values import VALUES


class Verdict(BaseModel):
    approved: bool


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": [1, 2.5, "x", None, True]},
        (1, (2, 3)),
        {"s": {1, 2}, "tuple": ()},
        {"$message": "not one"},
        {1: "a key that is no text"},
        b"bytes",
        Verdict(approved=True),
        Point(3),
        Send("node", {"x": 1}),
        Command(update={"x": (1,)}, goto="node"),
        HumanMessage("hi", id="1"),
        SystemMessage("be brief"),
        AIMessage(
            "calling",
            id="2",
            name="Clerk",
            tool_calls=[{"name": "look", "args": {"x": 1}, "id": "c1", "type": "tool_call"}],
            usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            response_metadata={"finish_reason": "stop"},
        ),
        ToolMessage("seen", tool_call_id="c1", name="look", status="error", artifact=Point(1)),
        [HumanMessage([{"type": "text", "text": "a part"}])],
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:Deserializing unregistered type")
def test_what_is_written_comes_back(value: Any) -> None:
    written = json.loads(json.dumps(VALUES.to_json(value)))
    again = VALUES.from_json(written)
    assert again == value
    assert type(again) is type(value)


def test_a_number_that_json_has_not_comes_back() -> None:
    assert math.isnan(VALUES.from_json(VALUES.to_json(math.nan)))


def test_messages_can_be_read() -> None:
    assert VALUES.to_json(HumanMessage("hi")) == {"$message": "human", "data": {"content": "hi"}}


def test_a_message_comes_back_as_a_new_object() -> None:
    written = VALUES.to_json([HumanMessage("hi")])
    [first], [second] = VALUES.from_json(written), VALUES.from_json(written)
    assert first is not second
    assert isinstance(first, BaseMessage)


def test_sets_are_written_the_same_in_every_process() -> None:
    code = (
        "import json; from perdure.ext.langchain.values import VALUES; "
        "print(json.dumps(VALUES.to_json({'rain', 'snow', 'hail', 'sun', 'fog'})))"
    )
    command = [sys.executable, "-c", code]
    said = {
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
