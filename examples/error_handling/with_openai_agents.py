"""What fails, and how, with OpenAI Agents: steps that are tried again, and an error that no retry mends."""

from datetime import timedelta

from agents import Agent

import perdure
from error_handling.forecasts import forecast
from perdure import RunOptions
from perdure.ext.openai import DurableRunner, Step, durable_function_tool

weather = perdure.Service("Weather")


# Three tries, then the step has failed for good. A TerminalError is not tried again, and ends the agent.
@durable_function_tool(recorded=Step(RunOptions(max_attempts=3, initial_retry_interval=timedelta(seconds=1))))
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return forecast(city)


agent = Agent(
    name="WeatherAgent",
    model="gpt-4o-mini",
    instructions="You answer questions about the weather.",
    tools=[get_weather],
)


@weather.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question about the weather. If a tool fails for good, so does this, with the tool's own words."""
    # What the provider may mend by itself, as a rate limit, is asked for again; `run_options` says how often.
    result = await DurableRunner.run(agent, question, run_options=RunOptions(max_attempts=3))
    return result.final_output


app = perdure.app([weather])
