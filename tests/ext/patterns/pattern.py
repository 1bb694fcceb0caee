"""A pattern under test: what a version of it is asked, what the model says meanwhile, and what must come of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from perdure.testing import Harness
from perdure.testing.model import Script

Scene = Callable[["Play"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Play:
    """A pattern's version, deployed on one harness."""

    harness: Harness
    handlers: dict[str, Callable[..., Any]]
    """By `Service/handler`."""

    async def call(self, target: str, arg: Any = None, *, key: str | None = None) -> Any:
        """Calls a handler by name, and waits for its result."""
        return await self.harness.call(self.handlers[target], arg, key=key)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way through a pattern, the same for all SDKs.

    `before` brings the harness to where the call can be made; `meanwhile` is what people do while it runs, and looks at
    what came of it beside the outcome. Both may be played many times.
    """

    folder: str
    target: str
    """`Service/handler`: what is called."""
    arg: Any
    """Its input, as JSON has it."""
    outcome: Callable[[Any], bool] | Any
    """What it gives: a value, or what tells whether a value will do."""
    script: Script
    key: str | None = None
    fails: str | None = None
    """It fails, saying this, in the place of an outcome."""
    variant: str = ""
    before: Scene | None = None
    meanwhile: Scene | None = None
    spied: tuple[str, ...] = ()
    """`module.function`s with an effect outside."""

    @property
    def name(self) -> str:
        """What its tests are called."""
        return f"{self.folder}-{self.variant}" if self.variant else self.folder

    def comes_to(self, result: Any) -> bool:
        """Whether this is its outcome."""
        return self.outcome(result) if callable(self.outcome) else self.outcome == result
