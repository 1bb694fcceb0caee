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
