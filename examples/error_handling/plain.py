"""What fails, and how: steps that are tried again, and an error that no retry mends."""

from datetime import timedelta

import perdure
from agent_loop import run_agent
from error_handling.forecasts import forecast
from perdure import RunOptions

weather = perdure.Service("Weather")


async def get_weather(city: str) -> str:
    """Get the weather in a city."""
    # Three tries, then the step has failed for good. A TerminalError is not tried again.
    options = RunOptions[str](max_attempts=3, initial_retry_interval=timedelta(seconds=1))
    return await perdure.current_context().run_typed("get_weather", forecast, options, city=city)


@weather.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question about the weather. If a tool fails for good, so does this, with the tool's own words."""
    return await run_agent(ctx, "You answer questions about the weather.", question, [get_weather])


app = perdure.app([weather])
