"""What fails, and how, with Google ADK: steps that are tried again, and an error that no retry mends."""

from datetime import timedelta

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from error_handling.forecasts import forecast
from perdure import RunOptions
from perdure.ext.adk import DurablePlugin, DurableSessionService, as_step, final_answer

weather = perdure.Service("Weather")


# Three tries, then the step has failed for good. A TerminalError is not tried again, and ends the agent.
@as_step(options=RunOptions(max_attempts=3, initial_retry_interval=timedelta(seconds=1)))
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return forecast(city)


agent = Agent(
    name="weather_agent",
    model="gemini-2.5-flash",
    instruction="You answer questions about the weather.",
    tools=[get_weather],
)
# What the provider may mend by itself, as a rate limit, is asked for again; `run_options` says how often.
plugin = DurablePlugin(run_options=RunOptions(max_attempts=3))
runner = Runner(app=App(name="weather", root_agent=agent, plugins=[plugin]), session_service=DurableSessionService())


@weather.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question about the weather. If a tool fails for good, so does this, with the tool's own words."""
    return await final_answer(runner.run_async(user_id="user", session_id="ask", new_message=UserContent(question)))


app = perdure.app([weather])
