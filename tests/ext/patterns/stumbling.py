"""A model that stumbles: each question meets faults before it is answered."""

import logging
from collections import Counter
from types import TracebackType
from typing import Self

from perdure.testing.asked_again import question
from perdure.testing.model import ChatRequest, Fate, Fault, ScriptedModel

# At most two faults a question: who asks gives up after the third.
PLANS = (
    (Fault(status=429, retry_after=0.3), Fault(status=500)),
    (Fault(cut=True), Fault(stall_s=0.05)),
    (Fault(status=503), Fault(hang_up=True)),
)
FAULTS = {id(fault): fault for plan in PLANS for fault in plan}


class Stumbling:
    """Lets the model stumble, for the length of a `with` block."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model
        self._asked: Counter[str] = Counter()
        self._plans: dict[str, tuple[Fault, ...]] = {}
        self._last: tuple[ChatRequest | None, Fault | None] = (None, None)
        self._failures = _Failures()
        self._refused: dict[str, int | None] = {}
        self.asked_again_by_clients: list[str] = []
        """Questions that were asked again after a fault, and no attempt had failed: nothing of it is durable."""

    @property
    def met(self) -> int:
        """How many faults there were."""
        return sum(min(asked, len(self._plans[text])) for text, asked in self._asked.items())

    @property
    def answered_twice(self) -> list[str]:
        """Questions that were asked again after an answer that had come through."""
        calls = self._model.log.calls[self._begun :]
        answered = Counter(question(call) for call in calls if call.fate is Fate.ANSWERED)
        return [text for text, times in answered.items() if times > 1]

    def _fault(self, request: ChatRequest) -> Fault | None:
        """What befalls this request; asked once for each kind of fault."""
        if self._last[0] is not request:
            text = question(request)
            plan = self._plans.setdefault(text, PLANS[len(self._plans) % len(PLANS)])
            nth = self._asked[text]
            self._asked[text] += 1
            fault = plan[nth] if nth < len(plan) else None
            self._look_who_asks(text, refused=fault is not None and not fault.stall_s)
            self._last = (request, fault)
        return self._last[1]

    def _look_who_asks(self, text: str, *, refused: bool) -> None:
        if text in self._refused and self._refused.pop(text) == self._failures.count:
            self.asked_again_by_clients.append(text)
        if refused:
            # Of questions asked at the same time, one ends the attempt for all, maybe before another one was here.
            self._refused[text] = None if self._refused else self._failures.count

    def __enter__(self) -> Self:
        self._begun = len(self._model.log.calls)
        for fault in FAULTS.values():
            self._model.aim(fault, at=lambda request, fault=fault: self._fault(request) is fault)
        _ENGINE.addHandler(self._failures)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _ENGINE.removeHandler(self._failures)
        self._model.aims.clear()


_ENGINE = logging.getLogger("perdure.engine")


class _Failures(logging.Handler):
    """Counts the attempts that failed, as the engine tells of them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += getattr(record, "action", None) == "attempt_failed"
