"""What the tests of the integration have in common: a handler that runs an agent."""

from typing import Any

from google.adk import Agent, Runner
from google.adk.apps import App
from google.adk.models import Gemini
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer
from perdure.testing import Harness
from perdure.testing.journal import Journal

GEMINI = "gemini-2.5-flash"
THE_MODEL = Gemini(model=GEMINI)
"""One for all tests: it keeps a client, with its connections, for as long as it lives."""

SESSION = "the-session"
USER = "ada"


def assistant(name: str = "ann", **settings: Any) -> Agent:
    """An agent."""
    return Agent(name=name, model=settings.pop("model", THE_MODEL), **settings)


def runner_of(root: Any, **settings: Any) -> Runner:
    """A durable runner."""
    app = App(name="tested", root_agent=root, plugins=[DurablePlugin(**settings)])
    return Runner(app=app, session_service=DurableSessionService())


class Asking:
    """A virtual object, and a service, whose one handler asks an agent."""

    def __init__(self, root: Any, **settings: Any) -> None:
        self.run_config = settings.pop("run_config", None)
        self.runner = root if isinstance(root, Runner) else runner_of(root, **settings)
        self.object = perdure.VirtualObject("Tested")
        self.service = perdure.Service("Passing")

        @self.object.handler()
        async def ask(ctx: perdure.ObjectContext, question: str) -> str:
            return await self.answer(question)

        @self.service.handler("ask")
        async def ask_once(ctx: perdure.Context, question: str) -> str:
            return await self.answer(question)

        self.ask = ask
        self.ask_once = ask_once

    async def answer(self, question: str) -> str:
        """What the agent says."""
        run = self.runner.run_async(
            user_id=USER, session_id=SESSION, new_message=UserContent(question), run_config=self.run_config
        )
        return await final_answer(run)


def journal_of(h: Harness, target: str = "Passing/ask") -> Journal:
    """The journal of the last invocation of a handler."""
    return h.journal(h.invocations(target)[-1].id)
