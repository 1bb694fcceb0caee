"""What the small model calls tools with."""

import pytest

from perdure.llm.arguments import arguments
from perdure.llm.chat import ToolFunction

REFUND = ToolFunction("refund", parameters={"type": "object", "properties": {"amount": {}, "order": {}}})


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ('Claim: {"amount": 3, "order": null, "place": "here"} please', {"amount": 3, "order": None}),
        ("Please refund me", {}),
        ("a {brace} is not an object", {}),
    ],
)
def test_they_are_what_the_question_has_under_their_names(question: str, found: dict[str, object]) -> None:
    assert arguments(REFUND, question) == found


def test_a_tool_that_asks_for_nothing_gets_nothing() -> None:
    assert arguments(ToolFunction("now"), 'Claim: {"amount": 3}') == {}


def test_a_tool_that_asks_for_one_text_gets_the_question() -> None:
    look_up = ToolFunction("look_up", parameters={"properties": {"text": {"type": "string"}}, "required": ["text"]})
    assert arguments(look_up, "Lisbon") == {"text": "Lisbon"}
    assert arguments(look_up, '{"text": "Oslo"}') == {"text": "Oslo"}
    counts = ToolFunction("count", parameters={"properties": {"to": {"type": "integer"}}, "required": ["to"]})
    assert arguments(counts, "Lisbon") == {}
