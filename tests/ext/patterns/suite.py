"""What must hold for every version of every pattern, whichever SDK it is written with."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib import import_module

import pytest

from perdure.errors import TerminalError
from perdure.sdk.definition import tagged
from perdure.testing import Harness
from perdure.testing.model import ScriptedModel
from tests.ext.patterns import catalogue, interrupt
from tests.ext.patterns.pattern import Pattern, Play, Scene
from tests.ext.patterns.stumbling import Stumbling


class Examples:
    """A version's tests; a subclass names it."""

    VERSION: str

    @pytest.fixture
    def play(self, pattern: Pattern, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch) -> Play:
        services = catalogue.services(pattern.folder, self.VERSION)
        handlers = {each.target: tagged(each.fn, each) for service in services for each in service.handlers.values()}
        harness = Harness(services)
        for name in pattern.spied:
            module, _, function = name.rpartition(".")
            spy = harness.spy(getattr(import_module(module), function))
            monkeypatch.setattr(import_module(module), function, spy)
        model.script = pattern.script
        return Play(harness, handlers)

    async def test_it_comes_to_its_outcome(self, pattern: Pattern, play: Play) -> None:
        await _through(pattern, play)

    @pytest.mark.timeout(1800)  # some have a server of MCP started for each pass
    async def test_no_crash_changes_it_and_nothing_recorded_is_asked_again(
        self, pattern: Pattern, play: Play, model: ScriptedModel
    ) -> None:
        async with play.harness as h:
            await h.crash_at_every_step(
                play.handlers[pattern.target],
                pattern.arg,
                key=pattern.key,
                before=_on(pattern.before, play),
                meanwhile=_on(pattern.meanwhile, play),
                everywhere=True,
                model=model,
            )

    async def test_a_model_that_stumbles_changes_nothing(
        self, pattern: Pattern, play: Play, model: ScriptedModel
    ) -> None:
        with Stumbling(model) as stumbling:
            await _through(pattern, play)
        assert stumbling.met, "the model was never asked"
        assert stumbling.asked_again_by_clients == []
        assert stumbling.answered_twice == []

    async def test_who_waits_for_what_it_cancelled_can_be_cancelled(self, model: ScriptedModel) -> None:
        outcome = await interrupt.cancelled_as_it_waits(self.VERSION)
        assert outcome.failure is not None
        assert outcome.failure.code == 409


async def _through(pattern: Pattern, play: Play) -> None:
    """Plays a pattern once, to its outcome."""
    async with play.harness as h:
        if pattern.before is not None:
            await pattern.before(play)
        sent = await h.send(play.handlers[pattern.target], pattern.arg, key=pattern.key)
        meanwhile = asyncio.ensure_future(pattern.meanwhile(play)) if pattern.meanwhile is not None else None
        if pattern.fails is not None:
            with pytest.raises(TerminalError, match=re.escape(pattern.fails)):
                await h.attach(play.handlers[pattern.target], sent)
        else:
            outcome = await h.attach(play.handlers[pattern.target], sent)
            assert pattern.comes_to(outcome), f"it came to {outcome!r}"
        if meanwhile is not None:
            await meanwhile
        await h.settle()


def _on(scene: Scene | None, play: Play) -> Callable[[Harness], Awaitable[None]] | None:
    """A scene for whichever harness a pass has."""
    return None if scene is None else lambda harness: scene(Play(harness, play.handlers))
