"""How a very small model picks one of several tools: by what it thinks a question is about.

Asked for a tool's name, 135 million parameters answer by habit. Asked to go on with the words of the tools'
descriptions they know more: each tool is worth the mean log-probability of its description's words as the next word,
less the same for questions that say nothing (contextual calibration, Zhao et al. 2021). Pure: texts and numbers only.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest

from perdure.llm.chat import ToolFunction

EMPTY_QUESTIONS = ("", "N/A", "How do I do this?", "I have a question", "Please help me")
"""Questions that favour no tool: what the model says to them is its habit."""

LOGPROB_MIN = -20.0
"""For words that are not among those that the model deems likely."""

_NOT_TELLING = frozenset(("expert", "experts", "in", "and", "or", "the", "of", "for", "to", "a", "an", "how", "with"))

Logprobs = Mapping[str, float]
"""The model's next tokens, with the logarithm of each one's probability."""


class Decision:
    """One set of tools to pick from: its prompt, its words, and the model's habits with them.

    Make it once for a set: calibration asks the model five times.
    """

    def __init__(self, tools: Sequence[ToolFunction], next_tokens: Callable[[str], Logprobs]) -> None:
        self._tools = tools
        self._words = [telling_words(tool) for tool in tools]
        self._next_tokens = next_tokens
        self._shots = "".join(f"{_asked(question)} {_topic(tool)}\n\n" for question, tool in _interleaved(tools))
        habits = [self._read(question) for question in EMPTY_QUESTIONS]
        self._habit = {word: sum(habit[word] for habit in habits) / len(habits) for word in chain(*self._words)}

    def pick(self, question: str) -> ToolFunction:
        """The tool that the question raises most above habit."""
        read = self._read(question)
        worth = [sum(read[word] - self._habit[word] for word in words) / len(words) for words in self._words]
        return self._tools[worth.index(max(worth))]

    def _read(self, question: str) -> dict[str, float]:
        logprobs = self._next_tokens(self._shots + _asked(question))
        return {word: _logprob(logprobs, word) for word in chain(*self._words)}


def telling_words(tool: ToolFunction) -> list[str]:
    """The words of a tool's description that say what it is for; those of its name where it has none."""
    words = [word.lower() for word in re.findall(r"[A-Za-z]{2,}", tool.description)]
    telling = [word for word in words if word not in _NOT_TELLING]
    return telling or [word.lower() for word in re.findall(r"[A-Z]?[a-z]+", tool.name)] or [tool.name]


def _asked(question: str) -> str:
    return f"Question: {' '.join(question.split())}\nSpecialist:"


def _topic(tool: ToolFunction) -> str:
    return re.sub(r"^experts? in ", "", tool.description, flags=re.IGNORECASE) or tool.name


def _interleaved(tools: Sequence[ToolFunction]) -> Iterable[tuple[str, ToolFunction]]:
    """The tools' examples in turns, since the model leans to what it read last."""
    columns: list[list[tuple[str, ToolFunction]]] = [
        [(str(example), tool) for example in tool.parameters.get("examples", ())] for tool in tools
    ]
    return (shot for row in zip_longest(*columns) for shot in row if shot is not None)


def _logprob(logprobs: Logprobs, word: str) -> float:
    """That of the word as the next one; a word that the vocabulary cuts counts by its first piece."""
    pieces = (f" {word[:length]}" for length in range(len(word), 2, -1))
    return next((logprobs[piece] for piece in pieces if piece in logprobs), LOGPROB_MIN)
