"""An agent that runs durably in handlers, as its users know it: `DurableAgent(agent)` in the place of `agent`."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from perdure.errors import UsageError
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import final
from perdure.ext.missing import needs
from perdure.ext.pydantic_ai.durability import PerdureDurability
from perdure.ext.tool_calls import Recording
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.foreign_awaits import unwatched

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.agent import AbstractAgent, EventStreamHandler, WrapperAgent
    from pydantic_ai.exceptions import RunCancelled
    from pydantic_ai.output import OutputDataT
    from pydantic_ai.run import AgentRun
    from pydantic_ai.tools import AgentDepsT


class DurableAgent(WrapperAgent[AgentDepsT, OutputDataT]):
    """The same agent, with `PerdureDurability` for each of its runs; the one that it wraps stays as it is.

    All ways to run an agent lead through `iter`, so there is nothing else to do, whatever they are called.
    """

    def __init__(
        self,
        wrapped: AbstractAgent[AgentDepsT, OutputDataT],
        *,
        run_options: RunOptions[Any] | None = None,
        recorded: Mapping[str, Recording] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(wrapped)
        self._durability = PerdureDurability[AgentDepsT](
            run_options=run_options,
            recorded=recorded,
            event_stream_handler=event_stream_handler or wrapped.event_stream_handler,
            # Fixed here: a run may name the agent after the caller's variable, which depends on who calls first.
            name=name or wrapped.name or "agent",
        )

    @property
    def event_stream_handler(self) -> None:
        """None, as the capability has it, and calls it inside of steps."""

    @asynccontextmanager
    async def iter(self, *args: Any, **kwargs: Any) -> AsyncGenerator[AgentRun[AgentDepsT, Any]]:
        durable_here(f"agent {self._durability.name!r}")
        kwargs["capabilities"] = [*(kwargs.get("capabilities") or ()), self._durability]
        try:
            with unwatched():
                async with self.wrapped.iter(*args, **kwargs) as run:
                    yield run
        except RunCancelled as error:  # it cancelled itself, and would again
            raise final(error) from error.__cause__

    def run_stream(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _streams("run_stream")

    def run_stream_events(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _streams("run_stream_events")

    def run_stream_sync(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _streams("run_stream_sync")

    def realtime_session(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _streams("realtime_session")


def _streams(method: str) -> UsageError:
    return UsageError(
        f"DurableAgent.{method} is not durable: what a stream has given cannot be recorded before it ends. Use `run`; "
        "with `DurableAgent(..., event_stream_handler=...)`, events are delivered while a response comes in"
    )
