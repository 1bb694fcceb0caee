"""Whether a model is asked again for what a journal has the answer to: the one thing that durable agents must not do.

The model's own log says what it was asked, and under which id it answered; the journals say which of these answers are
recorded. A question is its conversation, without ids: an agent that asks the same again has other ones.
"""

import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from perdure.llm.chat import ChatRequest
from perdure.testing.call_log import Call, Fate
from perdure.testing.model import ScriptedModel
from perdure.testing.recorded import Step

_IDS = re.compile(r"\b(inv|sign|prom)_1[\w-]+")
_STRAGGLERS_S = 0.02  # for threads that are about to send a request


class AskedAgain:
    """What was asked in one pass after the other; the first, without a crash, says how often each question is asked."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model
        self._log = model.log
        self._plain: Counter[str] | None = None
        self._begun = 0
        self._crashed: int | None = None
        self._recorded: Counter[str] = Counter()

    def begin(self) -> None:
        """A pass begins here."""
        self._begun = len(self._log.calls)
        self._crashed = None
        self._recorded.clear()

    def crash(self, steps: Sequence[Step]) -> None:
        """A crash: these steps are what was recorded by now."""
        known = -1
        while known < (known := len(self._log.calls)):  # what was sent before it comes before it
            time.sleep(_STRAGGLERS_S)
            self._model.catch_up()
        self._crashed = known
        self._recorded = Counter(question(call) for call in self._answered(steps))

    def end(self, steps: Sequence[Step]) -> list[str]:
        """The pass is over: the questions that were asked again though their answers were recorded.

        Where there was no crash, that is all that was asked more often than in the first pass.
        """
        calls = self._log.calls[self._begun :]
        if self._plain is None:
            self._plain = Counter(question(call) for call in calls)
            recorded = {id(call) for call in self._answered(steps)}
            lost = [call for call in calls if call.fate is Fate.ANSWERED and id(call) not in recorded]
            return [f"(an answer that no journal has: {question(call)})" for call in lost]
        if self._crashed is not None:
            calls = self._log.calls[self._crashed :]
        return [
            text
            for text, times in Counter(question(call) for call in calls).items()
            if (self._crashed is None or self._recorded[text])
            and self._recorded[text] + times > max(self._plain[text], 1)
        ]

    def _answered(self, steps: Sequence[Step]) -> list[Call]:
        """The calls of this pass whose answers are recorded."""
        recorded = [step for step in steps if step.recorded]
        keys = {step.key for step in recorded}
        results = [step.result for step in recorded if step.result]
        return [
            call
            for call in self._log.calls[self._begun :]
            if call.fate is Fate.ANSWERED and (call.key in keys or _is_in(call.response_id, results))
        ]


def question(call: Call | ChatRequest) -> str:
    """What was asked, without what differs each time."""
    said = [
        [message.get("role"), message.get("content"), [_call(each) for each in message.get("tool_calls") or ()]]
        for message in call.messages
    ]
    return _IDS.sub(r"\1_...", msgspec.json.encode(said).decode())


def _is_in(response_id: str | None, results: Sequence[bytes]) -> bool:
    return response_id is not None and any(response_id.encode() in result for result in results)


def _call(call: dict[str, Any]) -> list[Any]:
    function = call.get("function") or call
    return [function.get("name"), function.get("arguments")]
