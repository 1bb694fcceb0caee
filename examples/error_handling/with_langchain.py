"""What fails, and how, with LangChain: a step that is tried again, and an error that no retry mends."""

from datetime import timedelta

from langchain.agents import create_agent

import perdure
from error_handling.forecasts import forecast
from perdure import RunOptions
from perdure.ext.langchain import DurableMiddleware, as_step

weather = perdure.Service("Weather")


# Three tries, then the tool has failed for good. A TerminalError is not tried again.
@as_step(options=RunOptions(max_attempts=3, initial_retry_interval=timedelta(seconds=1)))
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return forecast(city)


agent = create_agent(
    "openai:gpt-4o-mini",
    [get_weather],
    system_prompt="You answer questions about the weather.",
    middleware=[DurableMiddleware(RunOptions(max_attempts=5))],  # how often the model is asked
)


@weather.handler()
async def ask(ctx: perdure.Context, question: str) -> str:
    """Answer a question about the weather. If a tool fails for good, so does this, with the tool's own words."""
    result = await agent.ainvoke({"messages": [{"role": "user", "content": question}]})
    return result["messages"][-1].text


app = perdure.app([weather])
