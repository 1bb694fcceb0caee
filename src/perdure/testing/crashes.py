"""Rehearsals: a handler run again and again, with a crash at each entry of its journal, to the same end each time."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from msgspec import Struct, json

from perdure.sdk.definition import handler_of
from perdure.testing.asked_again import AskedAgain
from perdure.testing.harness import Harness
from perdure.testing.journal import Journal, entry_name
from perdure.testing.store import decoded
from perdure.testing.virtual_time import StandsStill

_IDEMPOTENCY_KEY = "crash-at-every-step"
_IDS = re.compile(r"\b(inv_|sign_|prom_)1[\w-]+|\b(chatcmpl-|resp_|msg_)[0-9a-f]{24}\b|\b(item_)[\w-]{32,}=*")
"""The engine's, and those under which a scripted model answers; of responses, each part has one that holds it."""
_UUIDS = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TIMES = re.compile(r"\b[12]\d{9}\.\d+|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?")
"""To the fraction of a second, as `ctx.time()` gives them: another pass is at another time."""


class Findings(Struct, frozen=True):
    """What came of one pass, as text to compare; ids that are drawn anew each time are left out, and so is the time."""

    outcome: list[str]
    invocations: list[str]
    state: list[str]
    effects: list[str]
    asked_again: list[str] = []


_ABOUT = {
    "outcome": "its outcome",
    "invocations": "what was called and sent",
    "state": "the state that it left",
    "effects": "what its spies saw",
    "asked_again": "what a model was asked again though a journal has the answer",
}


class Position(Struct, frozen=True):
    """Before or after an entry of the journal of a target's n-th invocation. `about` says so."""

    target: str
    n: int
    index: int
    before: bool
    about: str


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
        everywhere: bool,
        again: AskedAgain | None,
    ) -> None:
        self._harness = harness
        self._handler = handler
        self._target = handler_of(handler).target
        self._arg = arg
        self._key = key
        self._before = before
        self._meanwhile = meanwhile
        self._everywhere = everywhere
        self._again = again
        self._once = None if handler_of(handler).kind == "WORKFLOW" else _IDEMPOTENCY_KEY
        self._positions: list[Position] = []

    async def run(self) -> None:
        """Raises `AssertionError` where a pass differs from the first."""
        plain = await self._pass("without any crash", self._harness.twin())
        positions = self._positions
        replayed = await self._pass(when := "when it is replayed at each await", self._harness.twin(always_replay=True))
        self._compare(plain, replayed, when)
        for position in positions:
            found = await self._pass(when := f"with a crash {position.about}", self._harness.twin(), position)
            self._compare(plain, found, when)

    async def _pass(self, when: str, harness: Harness, position: Position | None = None) -> Findings:
        self._forget(harness)
        try:
            async with harness as h:
                if self._before is not None:
                    await self._before(h)
                    self._forget(harness)
                if position is not None:
                    where = (position.target, position.n, position.index)
                    h.crash_at_nth(*where, before=position.before, first=lambda: self._crashing(h))
                return await self._found(h)
        except StandsStill as error:
            raise AssertionError(f"{self._target} does not end {when}: {error}") from error

    def _crashing(self, h: Harness) -> None:
        if self._again is not None:
            self._again.crash(h.steps())

    def _forget(self, harness: Harness) -> None:
        for recorder in (*harness.fakes, *harness.spies):
            recorder.reset()
        if self._again is not None:
            self._again.begin()

    async def _found(self, h: Harness) -> Findings:
        earlier = {each.id for each in h.invocations()}
        sent = await h.send(self._handler, self._arg, key=self._key, idempotency_key=self._once)
        meanwhile = asyncio.ensure_future(self._meanwhile(h)) if self._meanwhile is not None else None
        try:
            outcome = await h.outcome(sent.invocation_id)
        except StandsStill:
            if meanwhile is not None and meanwhile.done():
                await meanwhile  # its error is the reason
            raise
        if meanwhile is not None:
            await meanwhile
        await h.settle()
        self._positions = list(self._read_positions(h, sent.invocation_id, earlier))
        failure = outcome.failure
        ended = (
            f"TerminalError: {failure.code} {failure.message}" if failure is not None else decoded(outcome.value or b"")
        )
        return Findings(
            outcome=[_text(ended)],
            invocations=sorted(_text([each.target, _input(h.journal(each.id))]) for each in h.invocations()),
            state=[_text(each) for each in h.all_state().items()],
            effects=sorted(f"{spy.name}{_text(effect)}" for spy in h.spies for effect in spy.effects()),
            asked_again=self._again.end(h.steps()) if self._again is not None else [],
        )

    def _read_positions(self, h: Harness, main: str, earlier: set[str]) -> Iterator[Position]:
        """Each place for a crash. The first entry, the input, is committed before the handler is there."""
        places: dict[str, tuple[str, int]] = {}  # of the handler's own invocation, and of those below it
        seen: Counter[str] = Counter()
        for each in h.invocations():
            if each.id in earlier:
                continue
            seen[each.target] += 1
            if each.id == main or (self._everywhere and each.caller_id in places):
                places[each.id] = (each.target, seen[each.target])
        for together in h.commits():
            entries = sorted((id, index) for id, index in together if id in places and (id, index) != (main, 0))
            for before, (id, index) in zip((True, False), (entries[:1] + entries[-1:]), strict=False):
                target, n = places[id]
                whose = "journal entry" if id == main else f"entry of the journal of {target}"
                about = f"{'before' if before else 'after'} {whose} {index} ({entry_name(h.envelopes(id)[index])})"
                yield Position(target, n, index, before, about)

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
    return _TIMES.sub("(a time)", _UUIDS.sub("(a UUID)", _IDS.sub(r"\1\2\3...", text)))
