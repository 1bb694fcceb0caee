"""What fails, and how, with LiteLLM: a tool that is tried again, and an error that no retry mends."""

from datetime import timedelta

import perdure
from error_handling.forecasts import forecast
from litellm_loop import run_agent
from perdure import RunOptions
from perdure.ext.litellm import as_step

weather = perdure.Service("Weather")


# Three tries, then the step has failed for good. A TerminalError is not tried again.
@as_step(options=RunOptions(max_attempts=3, initial_retry_interval=timedelta(seconds=1)))
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return forecast(city)


@weather.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question about the weather. If a tool fails for good, so does this, with the tool's own words."""
    return await run_agent("You answer questions about the weather.", question, [get_weather])


app = perdure.app([weather])
