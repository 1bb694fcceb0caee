"""What fails, and how, with Pydantic AI: a tool that is tried again, and an error that no retry mends."""

from datetime import timedelta

from pydantic_ai import Agent

import perdure
from error_handling.forecasts import forecast
from perdure import RunOptions
from perdure.ext.pydantic_ai import DurableAgent, as_step

weather = perdure.Service("Weather")

agent = Agent("openai:gpt-4o-mini", name="WeatherAgent", instructions="You answer questions about the weather.")
# The requests to the model have tries of their own; errors that asking again cannot mend are raised at once.
weather_agent = DurableAgent(agent, run_options=RunOptions(max_attempts=5))


@agent.tool_plain
@as_step(options=RunOptions(max_attempts=3, initial_retry_interval=timedelta(seconds=1)))
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    # Three tries, then the run of the agent fails. To have the model hear of it instead, raise ToolFailed.
    return forecast(city)


@weather.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question about the weather. If a tool fails for good, so does this, with the tool's own words."""
    result = await weather_agent.run(question)
    return result.output


app = perdure.app([weather])
