"""Runs agents durably: `DurableRunner.run` in place of `Runner.run`, and nothing else changes.

The SDK starts runs of its own within a run: of an agent that is a tool, by a guardrail that asks another agent. They
come by its default runner, so that is where each run is made durable.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from agents import (
    Agent,
    AgentsException,
    RunConfig,
    Runner,
    RunResult,
    RunResultStreaming,
    RunState,
    Session,
    TResponseInputItem,
    UserError,
)
from agents.run import AgentRunner, get_default_agent_runner, set_default_agent_runner

from perdure.errors import RetryableError, TerminalError, UsageError
from perdure.ext.durable_here import durable_here
from perdure.ext.failures import final
from perdure.ext.openai.cancels import raise_as_it_was, unwrapping_cancels, wrapping_cancels
from perdure.ext.openai.config import durable_config
from perdure.ext.openai.run import Run, current_run, run_var
from perdure.ext.openai.session import DurableSession, check_not_durable, durable_session
from perdure.ext.openai.twins import Twins, check_resumed
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.foreign_awaits import unwatched

C = TypeVar("C")

_NO_STREAM = (
    "cannot stream in a durable run: a stream that breaks off could not go on where it was. Use DurableRunner.run, and "
    "send what users are to see meanwhile from a tool or a hook"
)


class DurableRunner:
    """`Runner` for handlers: model calls, tools, guardrails, handoffs and sessions go by the journal."""

    @classmethod
    async def run(
        cls,
        starting_agent: Agent[C],
        input: str | list[TResponseInputItem] | RunState[C],
        *,
        use_durable_session: bool = False,
        session: Session | None = None,
        run_options: RunOptions[Any] | None = None,
        **kwargs: Any,
    ) -> RunResult:
        """Runs an agent, as `Runner.run` does, and with all its arguments.

        `use_durable_session`: the conversation is kept in the state of this virtual object.
        `run_options`: how often each model call is tried; without, the invocation's own policy holds.

        Raises:
            NotInHandler: there is no handler here, so nothing could be recorded.
            AgentsException: the SDK's own, such as MaxTurnsExceeded; not caught, it fails the invocation for good.
            TerminalError: a provider or a tool refused for good, or the invocation was cancelled.
        """
        durable_here("DurableRunner.run")
        if use_durable_session:
            if session is not None:
                raise UsageError("DurableRunner.run was given a session and use_durable_session: leave one of them out")
            session = DurableSession()
        _install()
        around = current_run()
        options = run_options or (None if around is None else around.own_options)
        with unwrapping_cancels(), _final_failures(), _within(Run(options)):
            return await Runner.run(starting_agent, input, session=session, **kwargs)

    @classmethod
    def run_streamed(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses."""
        raise UsageError(f"DurableRunner.run_streamed {_NO_STREAM}")

    @classmethod
    def run_sync(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses."""
        raise UsageError(
            "DurableRunner.run_sync would block the event loop: make the handler `async def`, and await run"
        )


class _Durable(AgentRunner):
    """The SDK's default runner: within a durable run its runs are durable too, and else as they were."""

    def __init__(self, before: AgentRunner) -> None:
        self._before = before

    async def run(self, starting_agent: Agent[Any], input: Any, **kwargs: Any) -> RunResult:
        around = current_run()
        if around is None:
            check_not_durable(kwargs.get("session"))
            return await self._before.run(starting_agent, input, **kwargs)
        if not isinstance(starting_agent, Agent):  # pyright: ignore[reportUnnecessaryIsInstance]  code without type hints
            raise UsageError(f"DurableRunner.run takes an agent, such as Agent(name=...), not {starting_agent!r}")
        if input is None:
            raise UsageError(f"agent {starting_agent.name!r} was given None: its input is a text, or a list of items")
        check_resumed(input)
        given = kwargs.get("run_config")
        config = durable_config(given, durable_here("DurableRunner.run"))
        kwargs |= {"run_config": config, "session": durable_session(kwargs.get("session"))}
        running = self._before.run(Twins().of(starting_agent), input, **kwargs)
        try:
            with wrapping_cancels(), unwatched(), _within(Run(around.own_options)):
                return await running
        finally:
            if not (isinstance(given, RunConfig) or (given and "model_provider" in given)):
                await config.model_provider.aclose()  # it is of this run alone

    def run_streamed(self, starting_agent: Agent[Any], input: Any, **kwargs: Any) -> RunResultStreaming:
        if current_run() is not None:
            raise UsageError(f"agent {starting_agent.name!r} {_NO_STREAM}")
        check_not_durable(kwargs.get("session"))
        return self._before.run_streamed(starting_agent, input, **kwargs)

    def run_sync(self, starting_agent: Agent[Any], input: Any, **kwargs: Any) -> RunResult:
        return self._before.run_sync(starting_agent, input, **kwargs)


def _install() -> None:
    """Puts ours in front of whatever default runner there is."""
    runner = get_default_agent_runner()
    if not isinstance(runner, _Durable):
        set_default_agent_runner(_Durable(runner))


_install()  # here too, so that it sees a DurableSession that is given to a run which is not durable


@contextmanager
def _within(run: Run) -> Generator[None]:
    token = run_var.set(run)
    try:
        yield
    finally:
        run_var.reset(token)


@contextmanager
def _final_failures() -> Generator[None]:
    """Decides which of the SDK's exceptions end the invocation for good.

    What the SDK raises of its own accord, such as MaxTurnsExceeded, follows from what is recorded: another attempt
    would come to the same. But a UserError says that the program is wrong: when that is mended and deployed, the
    invocation goes on. If a UserError wraps what a tool has raised, the tool's exception is raised in its place.
    """
    try:
        yield
    except UserError as error:
        if isinstance(error.__cause__, (TerminalError, RetryableError)):
            raise_as_it_was(error.__cause__)
        raise
    except AgentsException as error:
        final(error)
        raise
