"""Tools that run at the same time, with Google ADK: a model asks for three at once, and each is a step."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from parallel_tools import offers
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer

travel = perdure.Service("Travel")

agent = Agent(
    name="travel_agent",
    model="gemini-2.5-flash",
    instruction="You plan weekends. Look for flights, hotels and events, all at once, then suggest a plan.",
    tools=[offers.find_flights, offers.find_hotels, offers.find_events],
)
runner = Runner(
    app=App(name="travel", root_agent=agent, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@travel.handler()
async def plan(ctx: perdure.Context, city: str) -> str:
    """Plan a weekend in a city."""
    message = UserContent(f"A weekend in {city}")
    return await final_answer(runner.run_async(user_id="user", session_id="plan", new_message=message))


app = perdure.app([travel])
