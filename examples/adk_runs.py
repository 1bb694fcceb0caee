"""How the examples with Google ADK that have several agents run one of them, with one message."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

from perdure.ext.adk import DurablePlugin, DurableSessionService, current_context, final_answer


def agent_of(name: str, instruction: str) -> Runner:
    """An agent, ready to be run in a handler."""
    agent = Agent(name=name, model="gemini-2.5-flash", instruction=instruction)
    app = App(name=name, root_agent=agent, plugins=[DurablePlugin()])
    return Runner(app=app, session_service=DurableSessionService())


async def run(runner: Runner, message: str) -> str:
    """What the agent answers to a message, which is the first of a new session."""
    session = str(current_context().uuid())
    return await final_answer(runner.run_async(user_id="user", session_id=session, new_message=UserContent(message)))
