"""What the tests have in common: a handler that runs an agent, and a model that says what it is told to."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents import Agent, FunctionTool

import perdure
from perdure.ext.openai import DurableRunner
from perdure.testing import Harness
from perdure.testing.journal import Journal
from perdure.testing.model import ChatRequest, Reply

IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="session")
"""As in a service's process: the SDK keeps its connections from one run to the next."""

MODEL = "gpt-4o-mini"


def ann(**settings: Any) -> Agent[Any]:
    """An agent."""
    return Agent(**{"name": "Ann", "model": MODEL, "instructions": "Be brief.", **settings})


class Asking:
    """A service whose one handler does something with its input."""

    def __init__(self, do: Callable[[str], Awaitable[Any]], name: str = "Tested") -> None:
        self.service = perdure.Service(name)

        @self.service.handler()
        async def ask(ctx: perdure.Context, question: str) -> Any:
            return await do(question)

        self.ask = ask

    async def journal(self, question: str = "?", **harness: Any) -> Journal:
        """What is recorded of one run to its end; its last entry has the outcome."""
        async with Harness(self.service, **harness) as h:
            sent = await h.send(self.ask, question)
            await h.outcome(sent.invocation_id)
            return h.journal(sent.invocation_id)

    async def comes_to(self, question: str = "?", **harness: Any) -> Any:
        """What it comes to, with no retries unless they are asked for."""
        async with Harness(self.service, **{"disable_retries": True, **harness}) as h:
            return await h.call(self.ask, question)


def asking(agent: Agent[Any], *, name: str = "Tested", **settings: Any) -> Asking:
    """A service that gives what a durable run of the agent comes to."""

    async def do(question: str) -> Any:
        return (await DurableRunner.run(agent, question, **settings)).final_output

    return Asking(do, name)


def using(*tools: FunctionTool, **settings: Any) -> Asking:
    """The same, of an agent that has these tools."""
    return asking(ann(tools=list(tools)), **settings)


def calling(*calls: tuple[str, dict[str, Any]]) -> Callable[[ChatRequest], Reply]:
    """A model that calls these tools in one answer, and then says what they gave."""

    def script(request: ChatRequest) -> Reply:
        if request.results:
            return Reply(" | ".join(request.results.values()))
        return Reply.calling(*calls)

    return script
