"""Waiting for people and other systems: the tokens that Pydantic AI hands out are awakeables.

So `RequestInput` and `AskUser` wait for months, and cost nothing meanwhile. Who answers resolves the token like any
awakeable: `POST /restate/awakeables/<token>/resolve`.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from perdure.errors import TerminalError
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import must_pass
from perdure.ext.missing import needs

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.external_events import ExternalEventError, ExternalEventWaiter


class Awakeables(ExternalEventWaiter):
    """How a durable run waits for what comes from outside."""

    async def wait(
        self,
        name: str,
        *,
        ask: Callable[[str], Awaitable[Any]],
        timeout: timedelta | None,  # noqa: ASYNC109  the framework's name
    ) -> Any:
        ctx = durable_here(f"waiting for {name!r}")
        token, resolved = ctx.awakeable(type_hint=object, timeout=timeout)

        async def asked() -> Any:
            return await ask(token)

        answer = await ctx.run_typed(f"ask for {name}", asked)
        if answer is not None:
            return answer
        try:
            return await resolved
        except TerminalError as error:
            if must_pass(error):
                raise
            raise ExternalEventError(error.message) from error
