"""What the tests of the integration have in common: a handler that runs an agent."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models import Model, infer_model

import perdure
from perdure.ext.pydantic_ai import DurableAgent

MODEL = "openai-chat:gpt-4o-mini"


@cache
def model_named(name: str = MODEL) -> Model:
    """The model of this name: one for all tests, as it keeps its connections for as long as it lives."""
    return infer_model(name)


def assistant(**settings: Any) -> Agent[Any, Any]:
    """An agent named Ann."""
    return Agent(model_named(settings.pop("model", MODEL)), name="Ann", **settings)


class Asking:
    """A service whose one handler does something with its input."""

    def __init__(self, do: Callable[[str], Awaitable[Any]], name: str = "Tested") -> None:
        self.service = perdure.Service(name)

        @self.service.handler()
        async def ask(ctx: perdure.Context, question: str) -> Any:
            return await do(question)

        self.ask = ask


def asking(agent: Agent[Any, Any], **settings: Any) -> Asking:
    """A service that gives what a durable run of the agent comes to."""
    durable = DurableAgent(agent, **settings)

    async def do(question: str) -> Any:
        return (await durable.run(question)).output

    return Asking(do)
