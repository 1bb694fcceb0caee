"""Rehearsals: a handler run again and again, with a crash at each entry of its journal, to the same end each time."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct, json

from perdure.sdk.definition import handler_of
from perdure.testing.harness import Harness
from perdure.testing.journal import Journal, entry_name
from perdure.testing.store import decoded
from perdure.testing.virtual_time import StandsStill

_IDEMPOTENCY_KEY = "crash-at-every-step"
_IDS = re.compile(r"\b(inv|sign|prom)_1[\w-]+")


class Findings(Struct, frozen=True):
    """What came of one pass, as text to compare; ids that are drawn anew each time are left out."""

    outcome: list[str]
    invocations: list[str]
    state: list[str]
    effects: list[str]


_ABOUT = {
    "outcome": "its outcome",
    "invocations": "what was called and sent",
    "state": "the state that it left",
    "effects": "what its spies saw",
}


class Rehearsal:
    """One handler with one input, in as many passes as its journal has entries, twice, and two more."""

    def __init__(
        self,
        harness: Harness,
        handler: Callable[..., Any],
        arg: Any,
        key: str | None,
        before: Callable[[Harness], Awaitable[object]] | None,
        meanwhile: Callable[[Harness], Awaitable[object]] | None,
    ) -> None:
        self._harness = harness
        self._handler = handler
        self._target = handler_of(handler).target
        self._arg = arg
        self._key = key
        self._before = before
        self._meanwhile = meanwhile
        self._once = None if handler_of(handler).kind == "WORKFLOW" else _IDEMPOTENCY_KEY
        self._id = ""
        self._steps: list[str] = []

    async def run(self) -> None:
        """Raises `AssertionError` where a pass differs from the first."""
        plain = await self._pass("without any crash", self._harness.twin())
        steps = self._steps
        replayed = await self._pass(when := "when it is replayed at each await", self._harness.twin(always_replay=True))
        self._compare(plain, replayed, when)
        for index in range(1, len(steps)):
            for before in (True, False):
                when = f"with a crash {'before' if before else 'after'} journal entry {index} ({steps[index]})"
                found = await self._pass(when, self._harness.twin(), index, before)
                self._compare(plain, found, when)

    async def _pass(self, when: str, harness: Harness, index: int = 0, before: bool = False) -> Findings:
        for recorder in (*harness.fakes, *harness.spies):
            recorder.reset()
        try:
            async with harness as h:
                if self._before is not None:
                    await self._before(h)
                    for recorder in (*harness.fakes, *harness.spies):
                        recorder.reset()
                if index:
                    h.crash_at(self._id, index, before=before)
                return await self._found(h)
        except StandsStill as error:
            raise AssertionError(f"{self._target} does not end {when}: {error}") from error

    async def _found(self, h: Harness) -> Findings:
        sent = await h.send(self._handler, self._arg, key=self._key, idempotency_key=self._once)
        self._id = sent.invocation_id
        meanwhile = asyncio.ensure_future(self._meanwhile(h)) if self._meanwhile is not None else None
        outcome = await h.outcome(sent.invocation_id)
        if meanwhile is not None:
            await meanwhile
        await h.settle()
        self._steps = [entry_name(envelope) for envelope in h.envelopes(sent.invocation_id)]
        failure = outcome.failure
        ended = (
            f"TerminalError: {failure.code} {failure.message}" if failure is not None else decoded(outcome.value or b"")
        )
        return Findings(
            outcome=[_text(ended)],
            invocations=sorted(_text([each.target, _input(h.journal(each.id))]) for each in h.invocations()),
            state=[_text(each) for each in h.all_state().items()],
            effects=sorted(f"{spy.name}{_text(effect)}" for spy in h.spies for effect in spy.effects()),
        )

    def _compare(self, plain: Findings, found: Findings, when: str) -> None:
        lines: list[str] = []
        for field, about in _ABOUT.items():
            expected, actual = list(getattr(plain, field)), list(getattr(found, field))
            for each in list(expected):
                if each in actual:
                    expected.remove(each)
                    actual.remove(each)
            if expected or actual:
                lines.append(f"  {about}: {_list(expected)} without, {_list(actual)} with")
        if lines:
            raise AssertionError(
                "\n".join(
                    [
                        f"{self._target} comes to something else {when}:",
                        *lines,
                        "What a handler does must follow from its journal: put what differs from run to run, or has an "
                        "effect outside, into ctx.run.",
                    ]
                )
            )


def _input(journal: Journal) -> Any:
    return journal[0].value if journal else None


def _list(texts: list[str]) -> str:
    return ", ".join(texts) or "nothing"


def _text(value: Any) -> str:
    try:
        text = json.encode(value).decode()
    except (TypeError, UnicodeDecodeError):
        text = repr(value)
    return _IDS.sub(r"\1_...", text)
