"""Picking a tool by the next word's probability, with a model that is a table."""

from perdure.llm.chat import ToolFunction
from perdure.llm.decisions import EMPTY_QUESTIONS, Decision, telling_words

BILLING = ToolFunction("BillingAgent", "Expert in payments and refunds", {"examples": ["Pay me back", "Wrong bill"]})
ACCOUNT = ToolFunction("AccountAgent", "Expert in login issues", {"examples": ["I am locked out"]})


class Table:
    """Knows which next words each question raises; leans to payments whatever is asked."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> dict[str, float]:
        self.prompts.append(prompt)
        tokens = {" payments": -1.0, " ref": -2.0, " login": -6.0, " issues": -7.0}
        if "password" in prompt:
            tokens |= {" login": -3.0, " issues": -5.0}
        return tokens


def test_a_leaning_of_the_model_does_not_decide() -> None:
    assert Decision([BILLING, ACCOUNT], Table()).pick("my password is wrong") is ACCOUNT


def test_it_asks_once_a_question_after_calibration() -> None:
    table = Table()
    decision = Decision([BILLING, ACCOUNT], table)
    assert len(table.prompts) == len(EMPTY_QUESTIONS)
    decision.pick("my password is wrong")
    assert len(table.prompts) == len(EMPTY_QUESTIONS) + 1


def test_examples_of_the_tools_take_turns_in_the_prompt() -> None:
    table = Table()
    Decision([BILLING, ACCOUNT], table).pick("why?")
    assert table.prompts[-1] == (
        "Question: Pay me back\nSpecialist: payments and refunds\n\n"
        "Question: I am locked out\nSpecialist: login issues\n\n"
        "Question: Wrong bill\nSpecialist: payments and refunds\n\n"
        "Question: why?\nSpecialist:"
    )


def test_a_tool_without_a_description_is_known_by_its_name() -> None:
    assert telling_words(ToolFunction("BillingAgent")) == ["billing", "agent"]
