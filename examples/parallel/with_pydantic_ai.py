"""Agents at the same time, with Pydantic AI: three look at one text, and what they say is put together."""

import asyncio

from pydantic_ai import Agent

import perdure
from parallel.prompts import KEY_POINTS, SENTIMENT, SUMMARY
from perdure.ext.pydantic_ai import DurableAgent

text_analysis = perdure.Service("TextAnalysis")

PROMPTS = {"sentiment": SENTIMENT, "key_points": KEY_POINTS, "summary": SUMMARY}
agents = {
    name: DurableAgent(Agent("openai:gpt-4o-mini", name=name, instructions=prompt)) for name, prompt in PROMPTS.items()
}


@text_analysis.handler()
async def analyze(ctx: perdure.Context, text: str) -> dict[str, str]:
    """Have a text looked at from three sides."""
    results = await asyncio.gather(*(agent.run(text) for agent in agents.values()))
    return {name: result.output for name, result in zip(agents, results, strict=True)}


app = perdure.app([text_analysis])
